"""A quadratic function on a ball: the exact minimum, also where the function is not convex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from aucseg.theory.checks import Floats, check_positive


@dataclass(frozen=True, eq=False)
class BallMinimum:
    """The minimum of a quadratic function on a ball.

    Attributes:
        point: where it is, (d,); one of two where the minimum is not unique.
        value: the function there.
        multiplier: the Lagrange multiplier of the ball; 0 where the ball does not hold it back.
    """

    point: Floats
    value: float
    multiplier: float


def minimise_in_ball(matrix: ArrayLike, vector: ArrayLike, radius: float) -> BallMinimum:
    r"""Global minimum of :math:`w^\top A w - 2\, b \cdot w` over :math:`\lVert w \rVert_2 \le r`.

    A point is the global minimum if and only if :math:`(A + \lambda I) w = b` with :math:`\lambda \ge 0`,
    :math:`A + \lambda I` positive semi-definite and :math:`\lambda (\lVert w \rVert - r) = 0`; in the
    eigenvectors of A this is one equation in :math:`\lambda`.

    Args:
        matrix: A, (d, d), symmetric.
        vector: b, (d,).
        radius: r, above 0.

    Returns:
        The point, the value and the multiplier.

    Raises:
        ValueError: for shapes that do not fit, a matrix that is not symmetric, or values that are not finite.
    """
    a, b = np.asarray(matrix, np.float64), np.asarray(vector, np.float64)
    if a.ndim != 2 or a.shape != (len(a), len(a)) or b.shape != (len(a),):
        raise ValueError(f"matrix must be (d, d) and vector (d,), got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or not np.allclose(a, a.T):
        raise ValueError("matrix must be symmetric, and all values finite")
    r = float(check_positive("radius", radius))
    values, vectors = np.linalg.eigh(a)
    along = vectors.T @ b
    scale = max(float(np.abs(values).max()), float(np.linalg.norm(b)) / r, np.finfo(float).tiny)

    def at(multiplier: float) -> Floats:
        """Coordinates of the point in the eigenvectors; infinite where the equation has no solution."""
        bottom, top = values + multiplier, along.copy()
        flat = bottom <= 1e-14 * scale
        top[flat & (np.abs(along) <= 1e-14 * scale * r)] = 0  # any value solves 0 x = 0; 0 is the shortest
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(flat, np.where(top == 0, 0.0, np.inf), top / np.where(flat, 1.0, bottom))

    low = max(0.0, -float(values[0]))
    start = at(low)
    length = float(np.linalg.norm(start))
    multiplier = low
    if length <= r:
        if values[0] < 0:  # the hard case: a step along the lowest eigenvector leads to the edge
            start[0] += np.sqrt(r * r - length * length)
    else:
        high = max(low, float(np.linalg.norm(b)) / r - float(values[0])) + 1e-9 * scale
        multiplier = float(
            brentq(lambda m: 1 / np.linalg.norm(at(m)) - 1 / r, low, high, xtol=1e-15 * scale, rtol=1e-14)
        )
        start = at(multiplier)
    point = vectors @ start
    return BallMinimum(point, float(point @ a @ point - 2 * b @ point), multiplier)
