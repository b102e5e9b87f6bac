"""The curves of a training: means over stretches, whatever a step returns."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from aucseg.experiments import make_config
from aucseg.training import Curves, TrainingDiverged, learning_rate

CONFIG = make_config("streets", "laptop").with_(optim__steps=120, optim__warmup_steps=5)


class Ages:
    """A bank that knows its age from the second time on."""

    asked = 0

    def metrics(self) -> dict[str, float]:
        self.asked += 1
        return {"bank/age": 7.0} if self.asked > 1 else {}


def walk(curves: Curves, losses: list[float], *, start: int = 0, bank: object = None) -> None:
    module = SimpleNamespace(config=CONFIG, bank=bank)
    for step, loss in enumerate(losses, start + 1):
        parts = {"loss": torch.tensor(loss), "part": torch.tensor(2 * loss)}
        curves.on_train_batch_end(SimpleNamespace(global_step=step, world_size=1), module, parts)


def test_points_are_means_over_stretches():
    """120 steps in 50 points: one each two steps."""
    curves = Curves()
    losses = [float(i) for i in range(120)]
    walk(curves, losses)
    assert curves.history["step"] == [float(step) for step in range(2, 121, 2)]
    assert curves.history["loss"] == [(a + b) / 2 for a, b in zip(losses[::2], losses[1::2], strict=True)]
    assert curves.history["part"] == [a + b for a, b in zip(losses[::2], losses[1::2], strict=True)]
    rates = [learning_rate(int(step) - 1, CONFIG.optim) for step in curves.history["step"]]
    assert curves.history["learning_rate"] == rates
    assert len(curves.step_seconds) == 60
    assert curves.seconds_per_step > 0


def test_a_curve_without_a_value_has_none_there():
    curves = Curves()
    walk(curves, [1.0] * 6, bank=Ages())
    assert curves.history["bank/age"] == [None, 7.0, 7.0]


def test_they_are_taken_up_within_a_stretch():
    whole, first, second = Curves(), Curves(), Curves()
    losses = [float(i) for i in range(9)]
    walk(whole, losses)
    walk(first, losses[:5])
    checkpoint: dict = {}
    first.on_save_checkpoint(None, None, checkpoint)
    second.on_load_checkpoint(None, None, checkpoint)
    walk(second, losses[5:], start=5)
    assert second.history == whole.history


def test_no_number_ends_the_run_at_the_end_of_a_stretch():
    curves = Curves()
    walk(curves, [1.0, 1.0, float("nan")])
    with pytest.raises(TrainingDiverged, match=r"loss is nan at step 4.*optim\.lr"):
        walk(curves, [1.0], start=3)
