"""The Lightning module: network, memory bank and objective in one training step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from aucseg.data.sampling import mix_seed
from aucseg.data.spec import ClassSpec
from aucseg.errors import UserError
from aucseg.memory import TailMemoryBank
from aucseg.metrics import PixelAUC, SegmentationIoU
from aucseg.models import Network, create_model, padded_logits, sliding_window, view_logits
from aucseg.models.inference import needed_multiple, pad_to_multiple
from aucseg.training.bank import make_bank
from aucseg.training.config import RunConfig
from aucseg.training.objective import Objective
from aucseg.training.schedule import learning_rate
from aucseg.training.sections import ConfigError

_LOG_POINTS = 50  # how many points of each curve a record keeps


# counts of the streaming AUC: 32 MiB, at 19 classes 4096 bins of the scores
_AUC_COUNTS = 2**22


def _pixel_auc(spec: ClassSpec) -> PixelAUC:
    bins = max(1, _AUC_COUNTS // spec.num_classes**2)
    return PixelAUC(
        spec.num_classes,
        groups=spec.groups,
        ignore_index=spec.ignore_index,
        bins=max(64, min(4096, 2 ** (bins.bit_length() - 1))),
    )


def _extend(history: dict[str, list[float | None]], point: dict[str, float]) -> None:
    """Add a point to curves of one length; one without a value there gets ``None``.

    The age of pasted objects, for one, has none before the first was pasted.
    """
    length = len(history["step"])
    for key in history | point:
        history.setdefault(key, [None] * length).append(point.get(key))


class TrainingDiverged(UserError, RuntimeError):
    """The loss is no longer a number; the message names the step and the remedy."""


class SegmentationModule(LightningModule):
    """Trains one network as a :class:`~aucseg.training.RunConfig` says.

    A step is: batch on the device -> bank stores the tail classes it sees and pastes those it misses ->
    network -> objective -> AdamW. Every random number of a step comes from the run's seed and the step's
    number or from the bank's own generator, which the checkpoint holds; a resumed run therefore repeats the
    numbers of one that was never stopped.

    Args:
        config: the run.
        spec: classes of the data set.

    Raises:
        ConfigError: if there is no such network, encoder, option or file of weights.
    """

    def __init__(self, config: RunConfig, spec: ClassSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        with torch.random.fork_rng(devices=[]):  # networks are initialised on the CPU
            torch.default_generator.manual_seed(mix_seed(config.seed, "weights"))
            try:
                model = create_model(
                    config.model.name,
                    config.model.encoder,
                    num_classes=spec.num_classes,
                    encoder_weights=config.model.encoder_weights,
                    **config.model.options,
                )
            except UserError as error:
                raise ConfigError(f"model: {error}") from error
        # Convolutions run faster this way on CUDA and no slower on a CPU.
        self.model = model.to(memory_format=torch.channels_last)
        self.objective = Objective(config.loss, spec.num_classes, spec.ignore_index, spec.tail)
        self.bank: TailMemoryBank | None = None
        if config.bank is not None:
            generator = torch.Generator().manual_seed(mix_seed(config.seed, "bank"))
            self.bank = make_bank(config.bank, spec, config.data.crop_size or config.data.size, generator)
        self.iou = SegmentationIoU(spec.num_classes, spec.groups, spec.ignore_index)
        # The AUC loss ranks sigmoids, the prediction is the largest softmax: the two rank pixels differently.
        self.auc_sigmoid, self.auc_softmax = _pixel_auc(spec), _pixel_auc(spec)
        self.history: dict[str, list[float | None]] = {"step": [], "learning_rate": []}
        self.step_seconds: list[float] = []
        self._sums: dict[str, Tensor] = {}
        self._since, self._clock = 0, time.perf_counter()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,K,H,W) for normalised images (B,3,H,W) of any size."""
        return padded_logits(self.model, images)

    def views(self, images: Tensor) -> Iterator[Tensor]:
        """Logits (B,K,H,W) of each view of normalised images that the configuration evaluates by."""
        how = self.config.evaluation
        model = partial(padded_logits, self.model)
        if how.window is not None:
            model = partial(sliding_window, model, window=how.window, stride=how.stride)
        within = self.config.data.resize
        return view_logits(model, images, ratios=how.ratios, flip=how.flip, within=within)

    def look(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class ids (B,H,W), and sigmoids and softmax probabilities (B,K,H,W), as means over the views.

        A single view is classified by its logits, whose order a softmax rounds away where two are close.
        """
        views = self.views(images)
        logits = next(views)
        ids, sigmoid, softmax = logits.argmax(dim=1), logits.sigmoid(), logits.softmax(dim=1)
        count = 1
        for logits in views:  # means of scores, as in aucseg.models.multi_scale
            sigmoid, softmax, count = sigmoid + logits.sigmoid(), softmax + logits.softmax(dim=1), count + 1
        if count == 1:
            return ids, sigmoid, softmax
        return softmax.argmax(dim=1), sigmoid / count, softmax / count

    def on_train_start(self) -> None:
        """Start the clock."""
        self._clock = time.perf_counter()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the global generator from the step, so that dropout too survives a resume."""
        torch.manual_seed(mix_seed(self.config.seed, "step", self.global_step))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """One step of Algorithm 2."""
        images, target = batch
        if self.bank is not None:
            images, target = self.bank(images, target)
        parts = self.losses(images, target)
        self._note({key: value.detach() for key, value in parts.items()})
        self.log("loss", parts["loss"], prog_bar=True, logger=False)
        return parts["loss"]

    def losses(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What the network is trained on: the objective of its main logits, and its own auxiliary terms.

        Args:
            images: (B,3,H,W), normalised.
            target: (B,H,W) int64.

        Returns:
            The total under ``"loss"``, and its parts under their own names; ``auxiliary/...`` for the terms
            that belong to the network, with their weights.
        """
        if not isinstance(self.model, Network):
            return self.objective(self(images), target)
        height, width = target.shape[-2:]
        images = pad_to_multiple(images, needed_multiple(self.model))
        # what was added to an image has no label, for the auxiliary terms too
        right, bottom = images.shape[-1] - width, images.shape[-2] - height
        target = F.pad(target, (0, right, 0, bottom), value=self.spec.ignore_index)
        output = self.model(images)
        parts = self.objective(output.logits, target)
        terms = self.model.auxiliary_losses(output.auxiliary, target, self.spec.ignore_index)
        total = parts["loss"] + sum(terms.values())
        return parts | {"loss": total} | {f"auxiliary/{name}": term for name, term in terms.items()}

    def _note(self, parts: dict[str, Tensor]) -> None:
        """Add a step to the curves; at the end of a stretch read the clock and look for NaN.

        Only then does a number travel to the host. This is done within the step and not after it, because
        Lightning writes checkpoints before it calls a module's hook for the end of a batch.
        """
        for key, value in parts.items():
            self._sums[key] = self._sums[key].to(value.device) + value if key in self._sums else value
        self._since += 1
        optim, step = self.config.optim, self.global_step + 1
        if step % max(1, optim.steps // _LOG_POINTS) and step != optim.steps:
            return
        means = {key: float(total) / self._since for key, total in self._sums.items()}
        if not all(map(math.isfinite, means.values())):
            raise TrainingDiverged(
                f"loss is {means['loss']} at step {step}: lower optim.lr ({optim.lr}) or use "
                "precision 32-true; on a GPU a label outside the classes shows like this too: verify the data"
            )
        point = {"step": float(step), "learning_rate": learning_rate(step - 1, optim)} | means
        if self.bank is not None:
            point |= self.bank.metrics()
        _extend(self.history, point)
        now = time.perf_counter()
        self.step_seconds.append((now - self._clock) / self._since)
        self._sums, self._since, self._clock = {}, 0, now

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count confusions and ranks; logits never outlive their batch."""
        images, target = batch
        ids, sigmoid, softmax = self.look(images)
        self.iou.update(ids, target)
        self.auc_sigmoid.update(sigmoid, target)
        self.auc_softmax.update(softmax, target)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW and the schedule of AUCSeg F.2."""
        optim = self.config.optim
        # The rate is the scheduler's alone: with a base of 1 its factor is the rate itself.
        encoder: dict[str, Any] = {"params": []}
        rest: dict[str, Any] = {"params": [], "lr": optim.decoder_factor}
        for name, parameter in self.model.named_parameters():
            (encoder if name.startswith("encoder.") else rest)["params"].append(parameter)
        # one group where one rate does: checkpoints written before there were two go on
        groups: Any = self.model.parameters() if optim.decoder_factor == 1 else [encoder, rest]
        optimizer = torch.optim.AdamW(groups, lr=1.0, weight_decay=optim.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, optim))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resume and a reader of the file need, as plain values."""
        checkpoint["aucseg"] = {
            "identity": self.config.identity,
            "config": self.config.model_dump(mode="json"),
            "spec": self.spec.to_dict(),
            "history": self.history,
            "step_seconds": self.step_seconds,
            "sums": self._sums,
            "since": self._since,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up curves where the checkpoint left them."""
        state = checkpoint["aucseg"]
        self.history, self.step_seconds = state["history"], state["step_seconds"]
        self._sums = dict(state["sums"])
        self._since = state["since"]

    @property
    def seconds_per_step(self) -> float:
        """Median over the stretches of the run; 0 before the first is closed."""
        return median(self.step_seconds) if self.step_seconds else 0.0
