"""Covering numbers against every partition; Lemma 5 on random classes; Lemma 6 by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.theory import covering_number, dudley_bound, linear_log_covering, loss_contraction

few = settings(max_examples=25, deadline=None)


def partitions(items: list[int]) -> list[list[list[int]]]:
    if not items:
        return [[]]
    first, *rest = items
    found = []
    for smaller in partitions(rest):
        found.append([[first], *smaller])
        found += [[*smaller[:i], [first, *smaller[i]], *smaller[i + 1 :]] for i in range(len(smaller))]
    return found


@few
@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 999), st.integers(3, 40))
def test_against_every_partition(functions: int, points: int, seed: int, part: int) -> None:
    # multiples of 1/64, whose middles are exact: of a distance of twice the radius rounding must not decide
    values = np.random.default_rng(seed).integers(0, 65, (functions, points)) / 64
    radius = part / 64

    def fits(group: list[int]) -> bool:
        """Whether the middle of each coordinate is within the radius of all members."""
        middle = (values[group].max(0) + values[group].min(0)) / 2
        return bool(np.abs(values[group] - middle).max() <= radius)

    expected = min(len(p) for p in partitions(list(range(functions))) if all(map(fits, p)))
    assert covering_number(values, radius) == expected


def test_a_grid_on_a_line() -> None:
    values = np.linspace(0, 1, 41)[:, None]
    assert [covering_number(values, r) for r in (0.5, 0.25, 0.1250001, 0.01)] == [1, 2, 4, 41]


@few
@given(st.integers(2, 9), st.integers(0, 999), st.floats(0.01, 1.0))
def test_lemma_5_on_random_classes(functions: int, seed: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (3, 4))
    labels[0, :2] = 0, 1
    base = rng.random((3, 4))
    wide = rng.random()
    scores = np.clip(base + wide * rng.uniform(-1, 1, (functions, 3, 4)), 0, 1)
    found = loss_contraction(scores, labels, 1, 0, radius)
    assert 1 <= found.losses <= found.scores <= functions
    assert found.score_radius == pytest.approx(radius / (8 * found.rho_max))


def test_lemma_5_is_no_empty_statement() -> None:
    """A class of constant shifts: the losses do not change at all, the scores do."""
    labels = np.array([[0, 1], [1, 0]])
    scores = np.stack([np.full((2, 2), level) for level in np.linspace(0, 1, 5)])
    found = loss_contraction(scores, labels, 1, 0, 0.01)
    assert (found.losses, found.scores) == (1, 5)


def test_linear_covering_bound_holds() -> None:
    """Scores of many weights of the unit disc at some features: no more balls than the bound says."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(24, 2))
    weights *= (rng.random(24) ** 0.5 / np.linalg.norm(weights, axis=1))[:, None]
    features = rng.normal(size=(50, 2))
    features /= np.linalg.norm(features, axis=1)[:, None]
    for radius in (0.1, 0.3, 0.6, 1.0):
        found = covering_number(weights @ features.T, radius)
        assert math.log(found) <= linear_log_covering(2)(radius) + 1e-12


def test_dudley_by_hand() -> None:
    """A log covering number of c / epsilon^2: the integral is -root(c) log(alpha)."""
    c, n = 0.01, 400
    found = dudley_bound(lambda e: c / e**2, n)
    slope = 12 / math.sqrt(n) * math.sqrt(c)
    best = slope / 4
    assert found.alpha == pytest.approx(best, rel=1e-3)
    assert found.value == pytest.approx(4 * best - slope * math.log(best), rel=1e-6)
    values = [4 * a - slope * math.log(a) for a in np.geomspace(1e-6, 1, 500)]
    assert found.value <= min(values) + 1e-9


def test_dudley_with_a_single_function_is_near_zero() -> None:
    assert dudley_bound(lambda e: 0.0, 10).value < 1e-6


def test_dudley_never_exceeds_four() -> None:
    """With alpha = 1 the integral is empty."""
    assert dudley_bound(lambda e: 1e6, 2).value == pytest.approx(4)


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"finite, \(functions, points\)"):
        covering_number([1.0, 2.0], 0.1)
    with pytest.raises(ValueError, match="radius is 0"):
        covering_number([[1.0]], 0)
    labels = np.array([[0, 1], [1, 0]])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        loss_contraction(np.full((1, 2, 2), 1.5), labels, 1, 0, 0.1)
    with pytest.raises(ValueError, match="no image holds both"):
        loss_contraction(np.zeros((1, 2, 2)), np.array([[0, 0], [1, 1]]), 1, 0, 0.1)
    with pytest.raises(ValueError, match="a covering number is at least 1"):
        dudley_bound(lambda e: -1.0, 10)
    with pytest.raises(ValueError, match="sample_size is 0"):
        dudley_bound(lambda e: 1.0, 0)
