"""The minimum on a ball against random points, scipy's solver, and the hard case by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from aucseg.theory import minimise_in_ball


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 999), st.floats(0.05, 20))
def test_no_point_of_the_ball_is_lower(dimensions: int, seed: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(dimensions, dimensions))
    a, b = a + a.T, rng.normal(size=dimensions) * rng.choice([0.0, 0.01, 1.0])
    found = minimise_in_ball(a, b, radius)
    length = np.linalg.norm(found.point)
    assert length <= radius * (1 + 1e-8)
    assert found.value == pytest.approx(found.point @ a @ found.point - 2 * b @ found.point)
    points = rng.normal(size=(4000, dimensions))
    points *= (radius * rng.random((4000, 1)) ** (1 / dimensions)) / np.linalg.norm(points, axis=1)[:, None]
    values = np.einsum("ni,ij,nj->n", points, a, points) - 2 * points @ b
    assert found.value <= values.min() + 1e-9 * (1 + abs(found.value))
    # the conditions of a global minimum
    shifted = a + found.multiplier * np.eye(dimensions)
    scale = np.abs(a).max() + 1
    assert np.linalg.eigvalsh(shifted)[0] >= -1e-8 * scale
    assert shifted @ found.point == pytest.approx(b, abs=1e-6 * scale * (1 + radius))
    assert found.multiplier == 0 or length == pytest.approx(radius, rel=1e-7)


def test_against_scipy_on_a_convex_one() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(size=(5, 5))
    a, b = a @ a.T + 0.1 * np.eye(5), rng.normal(size=5)
    ball = {"type": "ineq", "fun": lambda w: 0.25 - w @ w}
    other = minimize(lambda w: w @ a @ w - 2 * b @ w, np.zeros(5), constraints=[ball], tol=1e-12)
    found = minimise_in_ball(a, b, 0.5)
    assert found.point == pytest.approx(other.x, abs=1e-5)


def test_inside_the_ball_and_the_hard_case() -> None:
    inside = minimise_in_ball(np.diag([2.0, 4.0]), [1.0, 1.0], 10)
    assert (inside.point.tolist(), inside.multiplier) == ([0.5, 0.25], 0)
    hard = minimise_in_ball(np.diag([-1.0, 1.0]), [0.0, 1.0], 2)
    assert np.abs(hard.point) == pytest.approx([np.sqrt(4 - 0.25), 0.5])
    assert hard.multiplier == pytest.approx(1)
    assert minimise_in_ball(np.zeros((2, 2)), [0.0, 0.0], 1).value == 0
    assert minimise_in_ball(np.zeros((2, 2)), [3.0, 4.0], 1).point == pytest.approx([0.6, 0.8])
    flat = minimise_in_ball(np.diag([0.0, 1.0]), [0.0, 0.5], 1)
    assert flat.point == pytest.approx([0, 0.5])


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="symmetric"):
        minimise_in_ball([[1.0, 2.0], [0.0, 1.0]], [1.0, 1.0], 1)
    with pytest.raises(ValueError, match="symmetric, and all values finite"):
        minimise_in_ball(np.eye(2), [np.nan, 1.0], 1)
    with pytest.raises(ValueError, match=r"must be \(d, d\)"):
        minimise_in_ball(np.eye(2), [1.0], 1)
    with pytest.raises(ValueError, match="radius is 0"):
        minimise_in_ball(np.eye(2), [1.0, 1.0], 0)
