"""Linear classes: every vector of signs, a search over weights, and Lemma 6 above both."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.theory import dudley_bound, linear_log_covering, linear_rademacher, linear_rademacher_bound


def pixels(count: int, dimensions: int, seed: int) -> np.ndarray:
    """Non-negative features in the unit ball."""
    rng = np.random.default_rng(seed)
    x = np.abs(rng.normal(size=(count, dimensions)))
    return x / np.linalg.norm(x, axis=1)[:, None] * rng.random((count, 1))


@pytest.mark.parametrize("nonnegative", [False, True])
def test_against_every_vector_of_signs(nonnegative: bool) -> None:
    x, radius = pixels(9, 3, 0), 0.7
    # a dense set of weights instead of the closed form of the supremum
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(40_000, 3))
    weights = np.abs(weights) if nonnegative else weights
    weights *= radius / np.linalg.norm(weights, axis=1)[:, None]
    weights = np.concatenate((weights, np.zeros((1, 3))))
    for axis in np.eye(3) * radius:
        weights = np.concatenate((weights, [axis]))
    tops = [(np.array(s) @ x @ weights.T).max() / 9 for s in itertools.product((-1, 1), repeat=9)]
    found = linear_rademacher(x, radius, nonnegative=nonnegative, draws=20_000, seed=2, confidence=0.999)
    assert found.low <= np.mean(tops) * 1.002
    assert np.mean(tops) <= found.high
    assert found.high - found.low < 0.05 * found.value


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 99))
def test_below_the_closed_bound(count: int, dimensions: int, seed: int) -> None:
    x = pixels(count, dimensions, seed)
    bound = linear_rademacher_bound(x, 2.0)
    free = linear_rademacher(x, 2.0, draws=500, seed=seed)
    held = linear_rademacher(x, 2.0, nonnegative=True, draws=500, seed=seed)
    assert free.low <= bound
    assert held.value <= free.value


@pytest.mark.parametrize("count", [64, 1024, 16_384])
def test_below_lemma_6(count: int) -> None:
    """The class that Lemma 6 speaks of: scores in [0, 1], 0 among them."""
    x = pixels(count, 4, 3)
    found = linear_rademacher(x, nonnegative=True, draws=300, seed=0)
    lemma = dudley_bound(linear_log_covering(4), count)
    assert found.high < lemma.value


def test_falls_like_one_over_the_root() -> None:
    small, large = (linear_rademacher(pixels(n, 4, 0), draws=600, seed=0).value for n in (100, 10_000))
    assert small / large == pytest.approx(10, rel=0.15)


def test_interval_covers_as_often_as_it_says() -> None:
    x = pixels(12, 2, 5)
    exact = np.mean([np.linalg.norm(np.array(s) @ x) / 12 for s in itertools.product((-1, 1), repeat=12)])
    found = [linear_rademacher(x, draws=60, seed=s, confidence=0.9) for s in range(200)]
    hits = sum(one.low <= exact <= one.high for one in found)
    assert 164 <= hits <= 194  # 180 expected, standard deviation 4.2


def test_bad_input_is_refused_in_words() -> None:
    x = pixels(5, 2, 0)
    with pytest.raises(ValueError, match=r"\(pixels, dimensions\)"):
        linear_rademacher(x[0])
    with pytest.raises(ValueError, match="finite"):
        linear_rademacher_bound(x * np.inf)
    with pytest.raises(ValueError, match="radius is 0"):
        linear_rademacher(x, 0)
    with pytest.raises(ValueError, match="draws is 1"):
        linear_rademacher(x, draws=1)
    with pytest.raises(ValueError, match="confidence must be"):
        linear_rademacher(x, confidence=1.0)
    with pytest.raises(ValueError, match="dimensions is 0"):
        linear_log_covering(0)
