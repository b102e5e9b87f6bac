"""Weights, their beginning, and what a loss of somebody's own gets of the class above it."""

from __future__ import annotations

import pytest
import torch

from aucseg.losses import FocalLoss, LogitAdjustedLoss, PixelwiseLoss, WeightedCrossEntropyLoss, class_weights
from tests.functional.oracle import streets
from tests.losses.base import LossTester

WEIGHTS = [0.5, 0.0, 3.0, 1.25]


class Squares(PixelwiseLoss):
    """A loss of one's own: the square of the own logit."""

    def pixel_losses(self, logits, rows):
        void = rows >= self.num_classes
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        own = wide.gather(1, rows.masked_fill(void, 0)[:, None])[:, 0]
        return own.square().masked_fill(void, 0)


class TestOwn(LossTester):
    factory = Squares


class TestDeferred(LossTester):
    factory = staticmethod(lambda k, **o: WeightedCrossEntropyLoss([2.0] * k, weights_from=3, **o))
    stateful = True

    def test_too_few_classes(self):
        pytest.skip("the number of classes is that of the weights")


@pytest.fixture
def batch():
    logits, target = streets(2, 4, 6, 7, seed=3, void=0.2)
    return logits.requires_grad_(), target


@pytest.mark.parametrize("normalize", ["weights", "pixels"])
def test_weights_of_any_loss(normalize, batch):
    logits, target = batch
    loss = FocalLoss(4, weights=WEIGHTS, normalize=normalize)
    pixels = FocalLoss(4).pixel_losses(logits.flatten(2), target.where(target != 255, 4).flatten(1)).flatten()
    weight = torch.tensor([*WEIGHTS, 0.0], dtype=torch.float64)[target.where(target != 255, 4).flatten()]
    mass = weight.sum() if normalize == "weights" else (target != 255).sum()
    expected = (pixels * weight).sum() / mass
    torch.testing.assert_close(loss(logits, target), expected)


def test_weights_begin_at_their_step(batch):
    loss = WeightedCrossEntropyLoss(WEIGHTS, weights_from=2)
    plain, weighted = WeightedCrossEntropyLoss([1] * 4), WeightedCrossEntropyLoss(WEIGHTS)
    values = [loss(*batch) for _ in range(4)]
    assert [v.item() for v in values] == [plain(*batch).item()] * 2 + [weighted(*batch).item()] * 2


def test_looking_is_no_step(batch):
    loss = WeightedCrossEntropyLoss(WEIGHTS, weights_from=1)
    plain = WeightedCrossEntropyLoss([1] * 4)(*batch)
    with torch.no_grad():
        assert torch.equal(loss(*batch), plain)
    loss.eval()
    assert torch.equal(loss(*batch), plain)
    loss.train()
    assert torch.equal(loss(*batch), plain)
    assert not torch.equal(loss(*batch), plain)


def test_a_step_of_several_batches_is_told(batch):
    loss = WeightedCrossEntropyLoss(WEIGHTS, weights_from=2)
    plain, weighted = WeightedCrossEntropyLoss([1] * 4), WeightedCrossEntropyLoss(WEIGHTS)
    for step in range(4):
        loss.at_step(step)
        for _ in range(3):
            assert torch.equal(loss(*batch), (weighted if step >= 2 else plain)(*batch))


@pytest.mark.parametrize("told", [False, True])
def test_a_resumed_training_goes_on_at_its_step(told, batch, tmp_path):
    def build():
        return LogitAdjustedLoss([9, 5, 3, 1], weights=class_weights([9, 5, 3, 1]), weights_from=3)

    loss = build()
    for step in range(2):
        if told:
            loss.at_step(step)
        loss(*batch)
    torch.save(loss.state_dict(), tmp_path / "loss.pt")
    resumed = build()
    resumed.load_state_dict(torch.load(tmp_path / "loss.pt", weights_only=True))
    for step in range(2, 5):
        if told:
            loss.at_step(step)
            resumed.at_step(step)
        assert torch.equal(resumed(*batch), loss(*batch))
        assert loss.count.step == resumed.count.step == step + (0 if told else 1)


def test_without_a_schedule_a_step_is_nothing(batch):
    loss = FocalLoss(4)
    loss.at_step(7)
    assert not loss.state_dict()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1.0, 2.0]}, "weights are of 2 classes, expected num_classes=4"),
        ({"weights": [1.0, -1.0, 1.0, 1.0]}, "weights must be finite and not negative"),
        ({"weights_from": 3}, "weights_from=3 without weights"),
        ({"weights": [1.0] * 4, "weights_from": -1}, "weights_from must be an int of at least 0, got -1"),
        ({"normalize": "mean"}, "unknown normalize 'mean'"),
        ({"gradients": "none"}, "unknown gradients 'none'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        FocalLoss(4, **options)
