"""Gradients that a trainer accumulates are those of the whole batch."""

from __future__ import annotations

import copy
import socket
import warnings
from types import SimpleNamespace

import lightning
import pytest
import torch
from lightning.pytorch.strategies import DeepSpeedStrategy, SingleDeviceStrategy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from aucseg.errors import OptionError
from aucseg.losses import (
    AUCLoss,
    AUCSegLoss,
    SumQueue,
    lightning_accumulation,
    transformers_accumulation,
    two_passes,
)
from aucseg.memory import TailMemoryBank
from aucseg.metrics import SegmentationIoU
from tests.losses import accumulation_ranks
from tests.losses.test_micro_batches import batch
from tests.processes import on_ranks

K = 4


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.GELU(), nn.Conv2d(8, K, 1)
    ).double()


def parts(number: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    images, target = batch()
    size = 6 // number
    return list(zip(images.split(size), target.split(size), strict=True))


def gradients(module: nn.Module) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in module.parameters()]


def whole_batch(model: nn.Module, criterion: nn.Module) -> list[torch.Tensor]:
    """AUC and cross entropy of the whole, and a term that is a mean over images."""
    model.zero_grad()
    images, target = batch()
    logits = model(images)
    (criterion(logits, target) + 0.1 * logits.square().mean()).backward()
    return gradients(model)


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_the_gradients_add_up_to_that_of_the_whole_batch(number: int) -> None:
    model, criterion = network(), AUCSegLoss(K, ce_weight=0.5)
    expected, value = whole_batch(model, criterion), criterion(model(batch()[0]), batch()[1])
    model.zero_grad()

    def step(part):
        logits = model(part[0])
        found = criterion(logits, part[1])
        if torch.is_grad_enabled():
            torch.testing.assert_close(found, value)  # that of the whole batch
        return found + 0.1 * logits.square().mean()

    for loss in two_passes(step, parts(number), (model, criterion), divided_by=number):
        (loss / number).backward()  # as trainers do
    for mine, theirs in zip(gradients(model), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_a_loss_that_is_called_twice_has_two_wholes() -> None:
    model, criterion = network(), AUCLoss(K)
    images, target = batch()
    logits = model(images)
    (criterion(logits, target) + 0.4 * criterion(logits.tanh(), target)).backward()
    expected = gradients(model)
    model.zero_grad()

    def step(part):
        found = model(part[0])
        return criterion(found, part[1]) + 0.4 * criterion(found.tanh(), part[1])

    for loss in two_passes(step, parts(), (model, criterion)):
        loss.backward()
    for mine, theirs in zip(gradients(model), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


class Everything(nn.Module):
    """Batch norm, dropout, a bank and a metric, all of which remember or draw."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Conv2d(8, K, 1))
        self.bank = TailMemoryBank([3], sample_ratio=1.0, generator=torch.Generator().manual_seed(1))
        self.criterion = AUCLoss(K)
        self.iou = SegmentationIoU(K)

    def forward(self, part):
        images, target = self.bank(*part)
        logits = self.model(images)
        self.iou.update(logits, target)
        return self.criterion(logits, target)


def test_the_first_pass_leaves_no_trace() -> None:
    torch.manual_seed(0)
    module = Everything().double()
    alone = copy.deepcopy(module)
    torch.manual_seed(5)
    values = list(two_passes(module, parts(), module))
    after = torch.rand(1)
    torch.manual_seed(5)
    for part in parts():
        alone(part)
    assert torch.equal(torch.rand(1), after)
    assert len(values) == 3
    mine, theirs = module.state_dict(), alone.state_dict()
    assert torch.equal(mine["model.1.running_mean"], theirs["model.1.running_mean"])
    assert mine["model.1.num_batches_tracked"] == 3
    assert module.bank.stats() == alone.bank.stats()
    assert torch.equal(module.iou.confusion, alone.iou.confusion)


def test_what_has_no_parts_is_refused() -> None:
    model = network()
    with pytest.raises(OptionError, match="no AUC loss among the modules"):
        next(two_passes(lambda part: model(part[0]).sum(), parts(), model))
    queued = AUCLoss(K, queue=SumQueue(batches=1))
    with pytest.raises(OptionError, match="a queue would remember every micro-batch"):
        next(two_passes(lambda part: queued(model(part[0]), part[1]), parts(), (model, queued)))
    ordered = AUCLoss(K, surrogate="hinge", margin=0.1)
    with pytest.raises(ValueError, match="needs the order of the pixels"):
        next(two_passes(lambda part: ordered(model(part[0]), part[1]), parts(), (model, ordered)))


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model, self.criterion = network(), AUCSegLoss(K, ce_weight=0.5)
        self.seen: list[list[torch.Tensor]] = []
        self.calls = 0

    def training_step(self, part, index):
        self.calls += torch.is_grad_enabled()
        logits = self.model(part[0])
        loss = self.criterion(logits, part[1])
        self.log("auc", loss, on_epoch=True, on_step=False, batch_size=2)
        return {"loss": loss + 0.1 * logits.square().mean()}

    def on_before_optimizer_step(self, optimizer) -> None:
        self.seen.append(gradients(self.model))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fitted(
    *callbacks, accumulate: int, size: int, epochs: int = 1, module: Module | None = None, **options
) -> tuple[Module, lightning.Trainer]:
    module = module or Module()
    with warnings.catch_warnings(action="ignore"):  # advice on this machine and its loaders
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accumulate_grad_batches=accumulate,
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
            precision="64-true",
            **options,
        )
        trainer.fit(module, DataLoader(TensorDataset(*batch()), batch_size=size))
    return module, trainer


def test_lightning_accumulates_the_gradient_of_the_batch() -> None:
    module, trainer = fitted(lightning_accumulation(), accumulate=3, size=2, epochs=2)
    expected = whole_batch(module.model, module.criterion)
    assert (trainer.global_step, module.calls, len(module.seen)) == (2, 6, 2)
    for found in module.seen:
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
    value = module.criterion(module.model(batch()[0]), batch()[1])
    assert trainer.callback_metrics["auc"].item() == pytest.approx(value.item(), rel=1e-6)
    assert "training_step" not in vars(module)
    # what it makes of it otherwise
    other, _ = fitted(accumulate=3, size=2)
    away = (other.seen[0][0] - expected[0]).norm() / expected[0].norm()
    assert away > 0.01


def test_lightning_ends_an_epoch_with_fewer_micro_batches() -> None:
    """Three micro-batches, two to a step: the last step has one, whose AUC loss is that of it alone."""
    module, trainer = fitted(lightning_accumulation(), accumulate=2, size=2)
    assert (trainer.global_step, module.calls) == (2, 3)
    images, target = batch()
    for found, some in zip(module.seen, (slice(0, 4), slice(4, 6)), strict=True):
        module.zero_grad()
        logits = module.model(images[some])
        share = (some.stop - some.start) / 4  # of a term that is a mean, as Lightning has it
        (module.criterion(logits, target[some]) + share * 0.1 * logits.square().mean()).backward()
        for mine, theirs in zip(found, gradients(module.model), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_who_accumulates_by_itself_is_refused() -> None:
    """DeepSpeed goes backward and steps when it likes; a module may optimise by itself."""

    class Accumulating(SingleDeviceStrategy):  # as DeepSpeed's, which needs a GPU
        handles_gradient_accumulation = True

    assert DeepSpeedStrategy.handles_gradient_accumulation.fget(None)  # it asks no object
    with pytest.raises(OptionError, match="Accumulating accumulates gradients by itself; train with DDP"):
        fitted(lightning_accumulation(), accumulate=3, size=2, strategy=Accumulating("cpu"))

    class Manual(Module):
        automatic_optimization = False

    with pytest.raises(OptionError, match=r"optimises by itself .*; call two_passes in its training_step"):
        fitted(lightning_accumulation(), accumulate=1, size=2, module=Manual())


def test_lightning_without_accumulation_is_as_ever() -> None:
    module, _ = fitted(lightning_accumulation(), accumulate=1, size=6)
    for mine, theirs in zip(module.seen[0], whole_batch(module.model, module.criterion), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_transformers_with_deepspeed_is_refused() -> None:
    with warnings.catch_warnings(action="ignore"):
        pytest.importorskip("transformers", reason="transformers is not installed")
    trainer = SimpleNamespace(is_deepspeed_enabled=True)
    callback = transformers_accumulation(trainer, AUCLoss(K))
    with pytest.raises(OptionError, match="DeepSpeed accumulates gradients by itself; train with DDP"):
        callback.on_train_begin(None, None, None)


def test_transformers_accumulates_the_gradient_of_the_batch(tmp_path) -> None:
    with warnings.catch_warnings(action="ignore"):
        pytest.importorskip("transformers", reason="transformers is not installed")
        pytest.importorskip("accelerate", reason="accelerate is not installed")
    found, model, criterion, result = accumulation_ranks.steps_with_transformers(str(tmp_path), size=2)
    expected = whole_batch(model, criterion)
    assert len(found) == 2
    for each in found:
        for mine, theirs in zip(each, expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
    assert result.training_loss > 0


@pytest.mark.parametrize("trainer", ["lightning", "transformers"])
def test_micro_batches_of_two_ranks_are_one_batch(trainer: str, tmp_path) -> None:
    if trainer == "transformers":
        with warnings.catch_warnings(action="ignore"):
            pytest.importorskip("transformers", reason="transformers is not installed")
            pytest.importorskip("accelerate", reason="accelerate is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = getattr(accumulation_ranks, f"with_{trainer}")
    on_ranks(run, accumulation_ranks.WORLD, str(tmp_path), port)
    model, criterion = network(), AUCSegLoss(K, ce_weight=0.5)
    expected = whole_batch(model, criterion)
    for rank in range(accumulation_ranks.WORLD):
        steps = torch.load(tmp_path / f"{trainer}-{rank}.pt")
        assert len(steps) == 2
        for mine, theirs in zip(steps[-1], expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_under_autocast_every_weight_has_its_gradient() -> None:
    """Weights that autocast made narrow in the first pass have no way back: gradients were lost."""
    model, criterion = network().float(), AUCSegLoss(K, ce_weight=0.5)
    images, target = batch()
    images = images.float()

    def whole(model: nn.Module) -> list[torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            loss = criterion(model(images), target)
        loss.backward()
        return gradients(model)

    expected = whole(copy.deepcopy(model))
    pieces = list(zip(images.split(2), target.split(2), strict=True))
    with torch.autocast("cpu", torch.bfloat16):  # one context for all of it, as Lightning has
        step = lambda part: criterion(model(part[0]), part[1])  # noqa: E731
        for loss in two_passes(step, pieces, (model, criterion)):
            loss.backward()
    for (name, parameter), theirs in zip(model.named_parameters(), expected, strict=True):
        assert parameter.grad is not None, name
        # each micro-batch rounds its own part to bfloat16
        away = (parameter.grad - theirs).norm() / theirs.norm()
        assert away < 0.02, name
