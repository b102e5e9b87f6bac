from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from aucseg.losses import BLVLoss, GCLLoss, cross_entropy
from tests.functional.oracle import streets
from tests.losses.base import CountedLossTester

COUNTS = (900.0, 40.0, 7.0, 3.0)


class Fresh(GCLLoss):
    """Draws the same clouds at every call."""

    def forward(self, logits, target):
        self.count.calls = 0
        return super().forward(logits, target)


class TestGCL(CountedLossTester):
    """The clouds are one for each place: what moves pixels or classes meets others."""

    factory = staticmethod(lambda counts, **options: Fresh(counts, scale=3.0, seed=3, **options))
    stateful = True
    test_permutation_of_labels = None
    test_order_of_images_and_pixels = None


@pytest.fixture
def batch():
    logits, target = streets(2, 4, 6, 7, seed=3, void=0.2)
    return F.normalize(logits, dim=1).requires_grad_(), target


W = [math.log(900 / q) / math.log(900 / 3) for q in COUNTS]


def test_value_and_gradient_are_those_of_the_clouded_cosines(batch):
    logits, target = batch
    loss = GCLLoss(COUNTS, strength=0.4, scale=5.0, seed=1)
    clouds = loss.noise(logits.flatten(2), target.flatten(1))
    assert loss.coefficients().tolist() == pytest.approx([-0.4 * w for w in W])
    assert (clouds <= 0).all()  # lowered, the rare most
    assert clouds.mean((0, 2)).diff().max() < 0
    expected = F.cross_entropy(5 * (logits + clouds.view_as(logits)), target, ignore_index=255)
    found = loss(logits, target)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (found, expected)))


def test_draws_are_clipped_gaussians_of_a_third():
    loss = GCLLoss([10, 1], strength=1.0, seed=0)
    clouds = -loss.noise(torch.zeros(1, 2, 100_000), torch.zeros(1, 100_000).long())[:, 1]
    assert clouds.max() == 1
    for x in (0.1, 1 / 3, 0.9):
        share = (clouds <= x).double().mean().item()
        assert share == pytest.approx(math.erf(3 * x / math.sqrt(2)), abs=0.005)


def test_evaluation_has_no_clouds(batch):
    logits, target = batch
    found = GCLLoss(COUNTS, scale=5.0).eval()(logits, target)
    torch.testing.assert_close(found, cross_entropy(5 * logits, target))


@pytest.mark.parametrize("options", [{"strength": 0}, {"sigma": 0}, {"counts": [5, 5, 5, 5]}])
def test_without_clouds_it_is_scaled_cross_entropy(options, batch):
    logits, target = batch
    found = GCLLoss(**({"counts": COUNTS, "scale": 4.0} | options))(logits, target)
    torch.testing.assert_close(found, cross_entropy(4 * logits, target))


def test_its_sign_is_opposite_to_logit_variations():
    """A pixel of the rarest class costs more than without noise; with logit variation less."""
    logits = torch.zeros(1, 4, 1, 500, dtype=torch.float64)
    rare = torch.full((1, 1, 500), 3)
    plain = cross_entropy(logits, rare)
    assert GCLLoss(COUNTS, scale=1.0, seed=0)(logits, rare) > plain
    assert BLVLoss(COUNTS, seed=0)(logits, rare) < plain


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": -1}, "strength must be a number of at least 0, got -1"),
        ({"sigma": -1}, "sigma must be a number of at least 0, got -1"),
        ({"scale": 0}, "scale must be a number above 0, got 0"),
        ({"draws": "image"}, "unknown draws 'image'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        GCLLoss(COUNTS, **options)
