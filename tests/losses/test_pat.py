from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from aucseg.losses import PATLoss, cross_entropy
from tests.functional.oracle import streets
from tests.losses.base import LossTester


class Slow(PATLoss):
    """With the weights as constants of the first call, as a finite difference wants them."""

    def _weights(self, shares, own):
        key = tuple(shares.shape)
        self.kept = getattr(self, "kept", {})
        if key not in self.kept:
            self.kept[key] = super()._weights(shares, own)
        return self.kept[key]


class TestPAT(LossTester):
    factory = PATLoss
    twice = False
    test_gradcheck = None  # below: its weights are constants to the gradient


class TestPATArchive(LossTester):
    factory = staticmethod(lambda k, **options: PATLoss(k, weighting="archive", **options))
    compiles = False
    twice = False
    test_gradcheck = None


@pytest.fixture
def batch():
    logits, target = streets(1, 4, 6, 7, seed=3, void=0.2)
    return logits.requires_grad_(), target


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("weighting", ["inverted_softmax", "archive"])
def test_every_pixel_by_the_formula(temperature, weighting, batch):
    logits, target = batch
    costs = []
    for row, line in enumerate(target[0].tolist()):
        for column, y in enumerate(line):
            if y == 255:
                continue
            z = logits[0, :, row, column].tolist()
            p = [math.exp(v) / sum(map(math.exp, z)) for v in z]
            if weighting == "archive":
                beta = math.exp(4 * (1 - p[y])) / 2
            else:
                inverted = [math.exp(-v / temperature) for v in p]
                beta = 4 * inverted[y] / sum(inverted)
            costs.append(-beta * math.log(p[y]))
    found = PATLoss(4, temperature=temperature, weighting=weighting)(logits, target)
    assert found.item() == pytest.approx(sum(costs) / len(costs), rel=1e-12)


@pytest.mark.parametrize("weighting", ["inverted_softmax", "archive"])
def test_gradient_takes_the_weights_for_constants(weighting, batch):
    logits, target = batch
    loss = Slow(4, weighting=weighting)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)
    (grad,) = torch.autograd.grad(PATLoss(4, weighting=weighting)(logits, target), logits)
    p = logits.detach().softmax(1)
    y = target.where(target != 255, 0)
    own = p.gather(1, y[:, None])
    weight = 4 * (-own).exp() / (-p).exp().sum(1, keepdim=True)
    weight = (4 * (1 - own)).exp() / 2 if weighting == "archive" else weight
    expected = weight * (p - F.one_hot(y, 4).movedim(-1, 1)) * (target != 255)[:, None]
    torch.testing.assert_close(grad, expected / (target != 255).sum())


def test_weights_fall_with_confidence_and_never_reach_zero():
    own = torch.tensor([0.01, 0.25, 0.5, 0.999], dtype=torch.float64)
    shares = torch.cat((own[None], ((1 - own) / 3).expand(3, 4)))
    weights = PATLoss(4)._weights(shares, own)
    assert (weights.diff() < 0).all()
    assert weights[1].item() == pytest.approx(1)  # all four classes alike
    assert weights[-1] > 0.4


def test_a_high_temperature_is_cross_entropy(batch):
    logits, target = batch
    torch.testing.assert_close(
        PATLoss(4, temperature=1e9)(logits, target), cross_entropy(logits, target), rtol=1e-7, atol=0
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature must be a number above 0, got 0"),
        ({"weighting": "focal"}, "unknown weighting 'focal'; use one of 'inverted_softmax', 'archive'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        PATLoss(4, **options)
