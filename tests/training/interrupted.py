"""Ends a training in the middle of it."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, Trainer


class StopAt(Callback):
    """Fails after a step, before a checkpoint of it is written.

    Args:
        step: steps that are made.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Fail."""
        if trainer.global_step == self.step:
            raise ConnectionError("the power went out")
