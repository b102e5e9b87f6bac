"""How far a run is: a bar in a terminal and in a notebook, lines in a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, RichProgressBar
from rich.console import Console

from aucseg.training.claims import Claim

_LINES = 20  # of a training that is short
_PAUSE = 60.0  # seconds without a line, at most


def progress_bar(report: Callable[[str], None]) -> Callback:
    """A bar where it can move, else lines.

    Args:
        report: called with each line.
    """
    console = Console()
    moves = console.is_terminal or console.is_jupyter
    return StepBar(leave=True) if moves else StepLines(report)


class StepBar(RichProgressBar):
    """A bar over the steps of the whole run: epochs mean nothing where the length is given in steps."""

    def _get_train_description(self, current_epoch: int) -> str:
        return self.train_description


class StepLines(Callback):
    """Step, loss, seconds of a step and time left, in twenty lines or one a minute; no line is taken back.

    Args:
        report: called with each line.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report = report
        self._since, self._first, self._told, self._batches = 0.0, 0, 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._since = self._told = time.monotonic()
        self._first = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Tell where the training is, if it is time."""
        step, steps, now = trainer.global_step, trainer.max_steps, time.monotonic()
        due = step % max(1, steps // _LINES) == 0 or step == steps or now - self._told >= _PAUSE
        if not due:
            return
        each = (now - self._since) / max(1, step - self._first)
        left = timedelta(seconds=round(each * (steps - step)))
        self.report(
            f"step {step}/{steps}  loss {float(outputs['loss']):.4f}  {each:.3g} s a step  {left} left"
        )
        self._told = now

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and say that steps are over."""
        self._told, self._batches = time.monotonic(), 0

    def on_test_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Tell where the evaluation is, if it is time."""
        self._batches += 1
        if time.monotonic() - self._told >= _PAUSE:
            self._told = time.monotonic()
            (total,) = trainer.num_test_batches
            self.report(f"evaluation: {self._batches} of {total} batches")


class Pulse(Callback):
    """Tells beside the claim on a run how far it is, for those who look from elsewhere.

    Args:
        mine: the claim.
    """

    def __init__(self, mine: Claim) -> None:
        self.mine = mine
        self._since, self._first = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._since, self._first = time.monotonic(), trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Tell, if it is time; a claim that is lost ends the training here."""
        self.mine.check()
        step = trainer.global_step
        each = (time.monotonic() - self._since) / max(1, step - self._first)
        self.mine.tell(step=step, steps=trainer.max_steps, seconds_per_step=each)
