"""Looking at the network during training: curves of its metrics, the best checkpoint, and an early end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback

from aucseg.training.checkpoint import best_path
from aucseg.training.curves import Curves
from aucseg.training.datamodule import SegmentationDataModule
from aucseg.training.module import SegmentationModule

_CHOSEN_BY = "mIoU"


class Validation(Callback):
    """Evaluates the network every so many steps, as it will be evaluated at the end.

    It comes before what writes checkpoints, so that these hold all that was seen up to their step, and it
    draws no random number: the weights are those of a run without it.

    Args:
        data: has the images.
        path: where the last checkpoint lies; the best one lies beside it.
        clock: of the steps, of which this is none.
        report: called with a line where there is something to say.

    Attributes:
        curves: ``"step"`` and, for the same steps, each figure that is one number, ``None`` where it has no
            value.
        best: step and mIoU of the best validation; ``None`` before the first that had one.
        stopped: the step at which patience ended the training.
    """

    def __init__(
        self, data: SegmentationDataModule, path: Path, clock: Curves, report: Callable[[str], None]
    ) -> None:
        self.data, self.path, self.clock, self.report = data, path, clock, report
        self.how = data.config.evaluation
        self.curves: dict[str, list[Any]] = {"step": []}
        self.best: tuple[int, float] | None = None
        self.stopped: int | None = None
        self._loader: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: SegmentationModule) -> None:
        """Say what is looked at, and end at once what has ended before."""
        split = self.how.validation_split
        if split == self.data.config.data.eval_split:
            self.report(
                f"validation is on split {split!r}, which is also reported: its best step is no fair figure"
            )
        if self.stopped is not None:
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: SegmentationModule, outputs: Any, *_: Any
    ) -> None:
        """Look at the network where it is time to."""
        step = trainer.global_step
        assert self.how.every is not None
        if step % self.how.every and step != trainer.max_steps:
            return
        begun = time.perf_counter()
        figures = {k: v for k, v in self._look(trainer, pl_module).items() if not isinstance(v, dict)}
        for key, value in {"step": step, **figures}.items():
            self.curves.setdefault(key, []).append(value)
        now = figures[_CHOSEN_BY]
        if now is not None and (self.best is None or now > self.best[1]):
            self.best = (step, now)
            trainer.save_checkpoint(best_path(self.path))
        since = sum(seen > (self.best[0] if self.best else 0) for seen in self.curves["step"])
        if self.how.patience is not None and since >= self.how.patience and step != trainer.max_steps:
            self.stopped = step
            trainer.should_stop = True
            self.report(f"step {step}: no better {_CHOSEN_BY} in {since} validations, the training ends")
        self.clock.leave_out(time.perf_counter() - begun)

    def _look(self, trainer: Trainer, module: SegmentationModule) -> dict[str, Any]:
        if self._loader is None:
            self._loader = self.data.validation_loader()
        modes = {part: part.training for part in module.modules()}
        module.eval()
        module.reset_metrics()
        try:
            with torch.no_grad(), trainer.precision_plugin.val_step_context():
                for number, batch in enumerate(self._loader):
                    module.test_step(trainer.strategy.batch_to_device(batch), number)
            return module.figures()
        finally:
            module.reset_metrics()
            for part, mode in modes.items():
                part.training = mode

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: SegmentationModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what was seen to what the module writes."""
        state = {"curves": self.curves, "best": self.best, "stopped": self.stopped}
        checkpoint.setdefault("aucseg", {})["validation"] = state

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: SegmentationModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take up the curves where the checkpoint left them."""
        state = checkpoint["aucseg"]["validation"]
        self.curves, self.stopped = state["curves"], state["stopped"]
        self.best = None if state["best"] is None else (state["best"][0], state["best"][1])

    def summary(self, metrics: dict[str, Any], steps: int, best: dict[str, Any] | None) -> dict[str, Any]:
        """What the record keeps, see :attr:`Record.validation`.

        Args:
            metrics: of the last network on the evaluation split.
            steps: the step of that network.
            best: those of the best one; ``None`` where it is the last.
        """
        split = self.how.validation_split or "held out"
        found = None
        if self.best is not None:
            found = {"step": self.best[0], "metrics": metrics if self.best[0] == steps else best}
        return {"split": split, **self.curves, "stopped": self.stopped, "best": found}
