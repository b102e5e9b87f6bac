"""The curves of a training: what a record keeps of every step, and the end of one that diverges."""

from __future__ import annotations

import math
import time
from statistics import median
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from aucseg.errors import UserError
from aucseg.training.module import SegmentationModule
from aucseg.training.optim import learning_rate

_POINTS = 50  # how many points of each curve a record keeps


class TrainingDiverged(UserError, RuntimeError):
    """The loss is no longer a number; the message names the step and the remedy."""


class Curves(Callback):
    """Means of what each step returns over stretches of the run, the learning rate, and what a bank tells.

    A number travels to the host at the end of a stretch only, and there a loss that is none ends the run.
    Lightning calls those that write checkpoints after all other callbacks: what a checkpoint holds is always
    complete up to its step.

    Attributes:
        history: ``"step"`` and, for the same steps, each curve; ``None`` where it had no value.
        step_seconds: seconds of a step in each stretch.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float | None]] = {"step": [], "learning_rate": []}
        self.step_seconds: list[float] = []
        self._sums: dict[str, Tensor] = {}
        self._since, self._clock = 0, time.perf_counter()
        self._before, self._begun = 0.0, self._clock

    @property
    def seconds(self) -> float:
        """Seconds of training so far, with those before the run was resumed."""
        return self._before + time.perf_counter() - self._begun

    @property
    def seconds_per_step(self) -> float:
        """Median over the stretches; 0 before the first is closed."""
        return median(self.step_seconds) if self.step_seconds else 0.0

    def on_train_start(self, trainer: Trainer, pl_module: SegmentationModule) -> None:
        """Start the clock."""
        self._clock = self._begun = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: SegmentationModule, outputs: dict[str, Tensor], *_: Any
    ) -> None:
        """Add a step to the curves."""
        for key, value in outputs.items():
            self._sums[key] = self._sums[key].to(value.device) + value if key in self._sums else value
        self._since += 1
        optim, step = pl_module.config.optim, trainer.global_step
        if step % max(1, optim.steps // _POINTS) and step != optim.steps:
            return
        sums = self._sums
        if trainer.world_size > 1:  # most parts are of the whole batch already, and equal on all ranks
            joined = trainer.strategy.reduce(torch.stack([*sums.values()]), reduce_op="mean")
            sums = dict(zip(sums, joined, strict=True))
        means = {key: float(total) / self._since for key, total in sums.items()}
        if not all(map(math.isfinite, means.values())):
            raise TrainingDiverged(
                f"loss is {means['loss']} at step {step}: lower optim.lr ({optim.lr}) or use "
                "precision 32-true; on a GPU a label outside the classes shows like this too: verify the data"
            )
        point = {"step": float(step), "learning_rate": learning_rate(step - 1, optim)} | means
        if pl_module.bank is not None:
            point |= pl_module.bank.metrics()
        self._extend(point)
        now = time.perf_counter()
        self.step_seconds.append((now - self._clock) / self._since)
        self._sums, self._since, self._clock = {}, 0, now

    def leave_out(self, seconds: float) -> None:
        """Do not count some time as that of a step.

        Args:
            seconds: how much of the last.
        """
        self._clock += seconds
        self._begun += seconds

    def _extend(self, point: dict[str, float]) -> None:
        """Add a point to curves of one length; one without a value there gets ``None``.

        The age of pasted objects, for one, has none before the first was pasted.
        """
        length = len(self.history["step"])
        for key in self.history | point:
            self.history.setdefault(key, [None] * length).append(point.get(key))

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: SegmentationModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the curves to what the module writes."""
        checkpoint.setdefault("aucseg", {}).update(
            history=self.history,
            step_seconds=self.step_seconds,
            sums=self._sums,
            since=self._since,
            seconds=self.seconds,
        )

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: SegmentationModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take up the curves where the checkpoint left them."""
        state = checkpoint["aucseg"]
        self.history, self.step_seconds = state["history"], state["step_seconds"]
        self._sums, self._since = dict(state["sums"]), state["since"]
        self._before = state.get("seconds", 0.0)  # the first checkpoints did not tell
