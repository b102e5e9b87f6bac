"""Trainers that accumulate gradients by themselves, with the exact gradient of the AUC loss."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn

from aucseg.errors import OptionError
from aucseg.functional.distributed import scale_gradient
from aucseg.functional.sums import ClassSums
from aucseg.losses.auc import AUCLoss

_BY_ITSELF = "train with DDP or on one device, or make each batch a whole one"


def two_passes(
    step: Callable[[Any], Tensor],
    batches: Sequence[Any],
    modules: nn.Module | Sequence[nn.Module],
    *,
    divided_by: float = 1.0,
) -> Iterator[Tensor]:
    r"""The losses of micro-batches, whose gradients add up to that of the AUC loss of all of them.

    The first pass calls ``step`` for every micro-batch without a gradient, and keeps of each AUC loss in it
    the sums over its pixels. It leaves no trace: random state, buffers (as those of batch norm), states of
    banks and metrics are put back. The second pass calls ``step`` again; each AUC loss has the value of the
    whole batch there, and of its gradient the part of that micro-batch.

    Args:
        step: the loss of a micro-batch. It calls the AUC losses as ``criterion(logits, target)``, equally
            often for each, and may add other terms.
        batches: the micro-batches of one step of the optimiser.
        modules: network, criterion and all else with a state that ``step`` changes. The AUC losses are those
            among them.
        divided_by: what the trainer divides each loss by before it goes backward, the number of micro-batches
            as a rule: the gradients of the AUC losses are multiplied by it, all other terms are as they are.

    Yields:
        The loss of each micro-batch. Go backward from it before the next one is asked for.

    Raises:
        OptionError: if there is no AUC loss, or one with a queue, which would remember each micro-batch.
        ValueError: if the surrogate is sorted: it has no such sums.

    Example:
        >>> network, criterion = nn.Conv2d(3, 5, 1), AUCLoss(5)
        >>> parts = [(torch.rand(2, 3, 4, 4), torch.randint(0, 5, (2, 4, 4))) for _ in range(4)]
        >>> for loss in two_passes(lambda p: criterion(network(p[0]), p[1]), parts, (network, criterion)):
        ...     loss.backward()
    """
    given = [modules] if isinstance(modules, nn.Module) else list(modules)
    every = list({id(part): part for module in given for part in module.modules()}.values())
    criteria = [part for part in every if isinstance(part, AUCLoss)]
    if not criteria:
        raise OptionError(
            "there is no AUC loss among the modules",
            remedy="make it a submodule, or give it beside the network",
        )
    if any(criterion.queue is not None for criterion in criteria):
        raise OptionError(
            "a queue would remember every micro-batch as a batch of its own",
            remedy="leave the queue out, or take micro_batched",
        )
    sums: dict[int, list[list[ClassSums]]] = {id(criterion): [] for criterion in criteria}
    with _without_trace(every), torch.no_grad():
        for batch in batches:
            with _taking_sums(criteria, sums):
                step(batch)
        # autocast keeps what it made of the weights, here without a way back to them
        torch.clear_autocast_cache()
    whole = {}
    for key, found in sums.items():
        if len({len(calls) for calls in found}) > 1:
            raise OptionError("an AUC loss was not called equally often for each micro-batch")
        whole[key] = [reduce(add, each) for each in zip(*found, strict=True)]
    for batch in batches:
        with _as_parts(criteria, whole, divided_by):
            loss = step(batch)
        yield loss


def lightning_accumulation() -> Any:
    """A callback that makes Lightning's ``accumulate_grad_batches`` exact for the AUC loss.

    The AUC losses are those among the submodules of the ``LightningModule``, which is otherwise as it is.
    Micro-batches are kept until the last one of a step has come; then :func:`two_passes` takes all of them.
    What that costs is one forward pass more. ``self.log`` in ``training_step`` is silent in the first pass.
    It works under ``precision="16-mixed"`` and ``"bf16-mixed"`` and with DDP, whose ranks are one batch.

    Returns:
        A ``lightning.pytorch.Callback``. Give it to the trainer.

    Raises:
        ImportError: without Lightning.
        OptionError: when training begins, if the module optimises by itself or the strategy accumulates by
            itself (DeepSpeed), where no micro-batch can wait for the others.

    Example:
        >>> exact = lightning_accumulation()  # doctest: +SKIP
        >>> trainer = Trainer(accumulate_grad_batches=4, callbacks=[exact])  # doctest: +SKIP
    """
    from lightning.pytorch import Callback

    class ExactAccumulation(Callback):
        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            if not pl_module.automatic_optimization:
                raise OptionError(
                    "the module optimises by itself (automatic_optimization=False)",
                    remedy="call two_passes in its training_step",
                )
            if trainer.strategy.handles_gradient_accumulation:
                raise OptionError(
                    f"{type(trainer.strategy).__name__} accumulates gradients by itself",
                    remedy=_BY_ITSELF,
                )
            self._own = pl_module.training_step
            kept: list[tuple[Any, ...]] = []

            def first_pass_is_silent(arguments: tuple[Any, ...]) -> Any:
                silent = not torch.is_grad_enabled()
                if silent:
                    pl_module.log = pl_module.log_dict = lambda *_, **__: None
                try:
                    output = self._own(*arguments)
                finally:
                    if silent:
                        del pl_module.log, pl_module.log_dict
                return output["loss"] if isinstance(output, dict) else output

            def training_step(*arguments: Any) -> Tensor:
                kept.append(arguments)
                number = trainer.accumulate_grad_batches
                if (self._index + 1) % number and not trainer.is_last_batch:
                    # Lightning goes backward from something, and clears the gradients before the first
                    return torch.zeros((), device=pl_module.device, requires_grad=True)
                parts = list(kept)
                kept.clear()
                losses = two_passes(first_pass_is_silent, parts, pl_module, divided_by=number)
                for index, loss in enumerate(losses, 1):
                    if index == len(parts):
                        return loss
                    trainer.strategy.backward(loss / number, None)
                raise AssertionError("a step has a micro-batch")

            pl_module.training_step = training_step

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            self._index = batch_idx

        def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
            pl_module.__dict__.pop("training_step", None)

    return ExactAccumulation()


def transformers_accumulation(trainer: Any, criterion: AUCLoss) -> Any:
    """A callback that makes transformers' ``gradient_accumulation_steps`` exact for the AUC loss.

    Inputs are kept until the last micro-batch of a step has come; then :func:`two_passes` takes all of them,
    by the trainer's own ``compute_loss``. What that costs is one forward pass more.

    Args:
        trainer: a ``transformers.Trainer`` whose ``compute_loss`` calls the criterion.
        criterion: the AUC loss that it calls.

    Returns:
        A ``transformers.TrainerCallback``. Give it to ``trainer.add_callback``.

    Raises:
        ImportError: without transformers.
        OptionError: when training begins, with DeepSpeed, which accumulates by itself.

    Example:
        >>> trainer.add_callback(transformers_accumulation(trainer, criterion))  # doctest: +SKIP
    """
    from transformers import TrainerCallback

    class ExactAccumulation(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if getattr(trainer, "is_deepspeed_enabled", False):
                raise OptionError("DeepSpeed accumulates gradients by itself", remedy=_BY_ITSELF)
            own, own_loss = trainer.training_step, trainer.compute_loss
            kept: list[Any] = []

            def training_step(model: nn.Module, inputs: Any, *rest: Any, **named: Any) -> Tensor:
                kept.append(inputs)
                if not trainer.accelerator.sync_gradients:
                    return torch.zeros((), device=args.device)
                parts = list(kept)
                kept.clear()
                items = rest[0] if rest else named.get("num_items_in_batch")
                number = args.gradient_accumulation_steps
                number = getattr(trainer, "current_gradient_accumulation_steps", number)
                counted = trainer.model_accepts_loss_kwargs and items is not None
                if counted or getattr(trainer, "compute_loss_func", None) is not None:
                    number = 1  # such a loss is divided by its own maker

                def loss_of(part: Any) -> Tensor:
                    with trainer.compute_loss_context_manager():
                        loss: Tensor = own_loss(
                            model, trainer._prepare_inputs(part), num_items_in_batch=items
                        )
                    return loss

                model.train()
                losses = two_passes(loss_of, parts, (model, criterion), divided_by=number)
                total = torch.zeros((), device=args.device)
                for part in parts:
                    # the trainer's own step, with its scaling and its way backward, for this loss
                    trainer.compute_loss = lambda *_, **__: next(losses)
                    try:
                        if part is parts[-1]:
                            total = total + own(model, part, *rest, **named)
                        else:
                            with trainer.accelerator.no_sync(model):
                                total = total + own(model, part, *rest, **named)
                    finally:
                        del trainer.compute_loss
                return total

            trainer.training_step = training_step

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del trainer.training_step

    return ExactAccumulation()


@contextmanager
def _taking_sums(criteria: Sequence[AUCLoss], sums: dict[int, list[list[ClassSums]]]) -> Iterator[None]:
    """Keep the sums of each call of a loss, micro-batch by micro-batch."""
    for calls in sums.values():
        calls.append([])

    def take(criterion: AUCLoss, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        sums[id(criterion)][-1].append(criterion.class_sums(*arguments, **named))

    with _hooked([each.register_forward_pre_hook(take, with_kwargs=True) for each in criteria]):
        yield


@contextmanager
def _as_parts(
    criteria: Sequence[AUCLoss], whole: dict[int, list[ClassSums]], divided_by: float
) -> Iterator[None]:
    """Call the losses with the sums of all micro-batches, and their gradients multiplied."""
    calls = {key: iter(each) for key, each in whole.items()}

    def say(criterion: AUCLoss, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return arguments, {**named, "whole": next(calls[id(criterion)])}

    def multiply(criterion: AUCLoss, arguments: Any, value: Tensor) -> Tensor:
        return scale_gradient(value, divided_by)

    hooks = [each.register_forward_pre_hook(say, with_kwargs=True) for each in criteria]
    with _hooked([*hooks, *(each.register_forward_hook(multiply) for each in criteria)]):
        yield


@contextmanager
def _hooked(hooks: Sequence[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _without_trace(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put back what modules remember, and the random state of PyTorch's devices."""
    buffers = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers(recurse=False)]
    extra = [
        (module, copy.deepcopy(module.get_extra_state()))
        for module in modules
        if type(module).get_extra_state is not nn.Module.get_extra_state
    ]
    # metrics of torchmetrics keep their counts beside the buffers
    counting: list[Any] = [module for module in modules if hasattr(module, "metric_state")]
    metrics = [
        (metric, {name: _copied(value) for name, value in metric.metric_state.items()}, metric._update_count)
        for metric in counting
    ]
    gpus = sorted({each.device.index for module in modules for each in module.parameters() if each.is_cuda})
    with torch.random.fork_rng(devices=gpus):
        yield
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    for module, before in extra:
        module.set_extra_state(before)
    for metric, state, count in metrics:
        for name, value in state.items():
            setattr(metric, name, value)
        metric._update_count, metric._computed = count, None


def _copied(value: Any) -> Any:
    return [each.clone() for each in value] if isinstance(value, list) else value.clone()
