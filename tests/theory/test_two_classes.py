"""The two normal classes beside samples of them, and beside scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_expit
from scipy.stats import norm
from sklearn.metrics import jaccard_score, recall_score

from aucseg.theory import TwoClasses, learned_logit


@pytest.mark.parametrize("offset", [-1.5, 0.0, 2.0, 4.6])
def test_numbers_are_those_of_a_sample(offset):
    two, n = TwoClasses(0.02, 1.8), 2_000_000
    rng = np.random.default_rng(0)
    rare = rng.random(n) < two.share
    x = rng.standard_normal(n) + two.distance * rare
    called = two.distance * x - two.distance**2 / 2 + two.log_odds + offset > 0
    assert two.accuracy(offset) == pytest.approx(recall_score(rare, called), abs=0.01)
    assert two.iou(offset) == pytest.approx(jaccard_score(rare, called), abs=0.005)
    assert two.head_iou(offset) == pytest.approx(jaccard_score(~rare, ~called), abs=0.002)
    assert two.false_positives(offset) == pytest.approx((called & ~rare).mean(), abs=1e-3)


def test_a_case_by_hand():
    """Equal shares, d = 2: the boundary is in the middle, one standard deviation from both means."""
    two = TwoClasses(0.5, 2.0)
    right = 0.8413447460685429  # of a normal variable below 1
    assert two.boundary(0) == 1
    assert two.accuracy(0) == pytest.approx(right)
    assert two.iou(0) == two.head_iou(0) == pytest.approx(0.5 * right / (0.5 + 0.5 * (1 - right)))


@settings(deadline=None, max_examples=50)
@given(st.floats(0.001, 0.5), st.floats(0.5, 4))
def test_accuracy_rises_with_the_offset_and_iou_has_one_best(share, distance):
    two = TwoClasses(share, distance)
    offsets = np.linspace(-8, 12, 401)
    assert (np.diff(two.accuracy(offsets)) >= 0).all()
    assert two.iou(two.best_offset()) >= two.iou(offsets).max() - 1e-7
    best = two.balanced_accuracy(-two.log_odds)
    assert (two.balanced_accuracy(offsets) <= best + 1e-12).all()


def test_what_balances_accuracy_costs_iou():
    """The claim of Region Rebalance, Section 3.1, where everything is known."""
    two = TwoClasses(0.01, 2.0)
    assert two.balanced_accuracy(-two.log_odds) > two.balanced_accuracy(0)
    assert two.iou(-two.log_odds) < two.iou(0) < two.iou(two.best_offset())


@pytest.mark.parametrize(("share", "distance"), [(0, 1), (1, 1), (0.5, 0), (0.5, -1), (float("nan"), 1)])
def test_out_of_range(share, distance):
    with pytest.raises(ValueError, match=r"share|distance"):
        TwoClasses(share, distance)


def test_the_logit_is_the_ratio_of_the_densities():
    two, x = TwoClasses(0.02, 1.8), np.linspace(-3, 5, 9)
    rare, frequent = two.share * norm.pdf(x, two.distance), (1 - two.share) * norm.pdf(x)
    np.testing.assert_allclose(two.logit(x), np.log(rare / frequent), atol=1e-12)
    assert two.logit(two.boundary(0.7)) == pytest.approx(-0.7)


def test_a_constant_is_undone_exactly():
    np.testing.assert_allclose(learned_logit([-2.0, 0.0, 3.0], 0.9), [-2.9, -0.9, 2.1], atol=1e-12)


@pytest.mark.parametrize("best", [-3.0, 0.0, 2.0])
def test_the_learned_logit_has_the_least_expected_cross_entropy(best):
    """Minimised without its gradient, on noise that is drawn."""
    noise = np.random.default_rng(0).normal(0.5, 2, 500)
    probability = 1 / (1 + np.exp(-best))

    def loss(z):
        return -(probability * log_expit(z + noise) + (1 - probability) * log_expit(-z - noise)).mean()

    found = minimize(loss, [best], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-14})
    assert learned_logit(best, noise) == pytest.approx(found.x[0], abs=1e-4)


@pytest.mark.parametrize("noise", [[], [0.0, float("nan")]])
def test_noise_must_be_there(noise):
    with pytest.raises(ValueError, match="noise needs values"):
        learned_logit(0.0, noise)
