"""Smooth surrogates as Chebyshev expansions with a stated error, and as sums of products of scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Numbers of sampling intervals to try. Kinks are recognised long before the last one; a jump of the size of
# rounding, as in torch's softplus beyond its threshold, is averaged out there.
_INTERVALS = tuple(2**k for k in range(7, 16))
# Points between the samples at which the final polynomial is compared with the function.
_CHECKS = 4093
_MAX_DEGREE = 1024


@dataclass(frozen=True)
class ChebyshevExpansion:
    r"""Polynomial p close to a function on an interval around zero.

    .. math::

        p(x) = \sum_{k=0}^{D} c_k\, T_k(x / \text{span}), \qquad
        \max_{|x| \le \text{span}} |\ell(x) - p(x)| \le \text{error bound}

    Attributes:
        degree: D.
        coefficients: (D + 1,) float64, c_0 to c_D.
        error_bound: bound of the error on [-span, span], absolute, for evaluation in float64.
        span: half length of the interval.
    """

    degree: int
    coefficients: Tensor
    error_bound: float
    span: float

    def evaluate(self, x: Tensor) -> Tensor:
        """Values of the polynomial, differentiable.

        Args:
            x: any shape, floating point, within [-span, span]; the error bound says nothing outside.

        Returns:
            p(x), of the shape and dtype of ``x``.
        """
        return _clenshaw(self.coefficients.to(x), x / self.span)

    def product_matrix(self) -> Tensor:
        r"""The same polynomial in products of polynomials of two scores.

        For scores u, v in [lo, hi] with span = scale (hi - lo), and u', v' the scores mapped to [-1, 1],

        .. math::

            p\bigl(\text{scale}\,(u - v)\bigr) = p\bigl(\text{span}\,(u' - v')/2\bigr)
            = \sum_{j,k} A_{jk}\, T_j(u')\, T_k(v'), \qquad u' = 2\,\frac{u - lo}{hi - lo} - 1.

        This is an identity of polynomials, so the error bound carries over; A is zero for j + k > D, and
        A[j, k] = (-1)^(j + k) A[k, j] as p depends on the difference alone.

        Returns:
            A, (D + 1, D + 1) float64.
        """
        size = self.degree + 1
        nodes = (torch.arange(size, dtype=torch.float64, device="cpu") + 0.5).mul_(math.pi / size)
        points = nodes.cos()
        values = _clenshaw(self.coefficients, (points[:, None] - points) / 2)
        # interpolation in the roots of T_size is exact for polynomials of degree D in each variable
        order = torch.arange(size, dtype=torch.float64, device="cpu")
        transform = (order[:, None] * nodes).cos() * (2 / size)
        transform[0] /= 2
        matrix = transform @ values @ transform.t()
        return matrix * (order[:, None] + order <= self.degree)


def chebyshev_expansion(
    function: Callable[[Tensor], Tensor],
    span: float,
    *,
    tolerance: float = 1e-7,
    max_degree: int = 64,
) -> ChebyshevExpansion:
    r"""Chebyshev expansion of lowest degree whose error bound is below a tolerance.

    The function is sampled at the n + 1 extrema of T_n for n = 128, 256, ... until the series beyond n no
    longer matters. The error bound of degree D is the sum of

    - the absolute values of the coefficients D + 1 to n, which are dropped,
    - 2 n times the largest of the coefficients beyond n/2, for those beyond n and their aliases: ten times
      what coefficients that fall like 1/k^2 leave, and more than that for all that fall faster,
    - an allowance for rounding of the samples, of the transform and of the evaluation.

    The polynomial is then compared with the function between the samples, and sampling goes on if the bound
    is exceeded there. A feature too narrow for all those points can still be missed.

    Args:
        function: the surrogate, elementwise and smooth on [-span, span]: float64 tensor in, float64 tensor
            of the same shape out.
        span: half length of the interval; for x = scale * (u - v) with scores in [lo, hi] it is
            scale * (hi - lo).
        tolerance: largest absolute error allowed.
        max_degree: largest degree allowed.

    Returns:
        The expansion, on the CPU.

    Raises:
        TypeError: if the function does not return a float64 tensor.
        ValueError: if it returns another shape or a value that is not finite, if no degree up to
            ``max_degree`` reaches the tolerance (a kink, an interval too wide, rounding of huge values), or
            if ``span``, ``tolerance`` or ``max_degree`` is not positive.

    Example:
        >>> chebyshev_expansion(lambda x: torch.log1p(torch.exp(-x)), 1.0).degree
        8
    """
    for name, value in (("span", span), ("tolerance", tolerance)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number, got {value!r}")
    if isinstance(max_degree, bool) or not isinstance(max_degree, int) or not 1 <= max_degree <= _MAX_DEGREE:
        raise ValueError(f"max_degree must be an int from 1 to {_MAX_DEGREE}, got {max_degree!r}")
    between = torch.linspace(-1, 1, _CHECKS, dtype=torch.float64, device="cpu")
    expected = _call(function, between * span)
    trouble = ""
    for intervals in (n for n in _INTERVALS if n > 2 * max_degree):
        coefficients, bounds, settled = _series(function, span, intervals, tolerance)
        if not settled and intervals < _INTERVALS[-1]:
            continue
        enough = (bounds <= tolerance).nonzero().flatten().tolist()
        if not enough or enough[0] > max_degree:
            trouble = _too_rough(bounds, enough, span, tolerance, max_degree, float(expected.abs().max()))
            break
        degree = enough[0]
        found = ChebyshevExpansion(
            degree, coefficients[: degree + 1].clone(), float(bounds[degree]), float(span)
        )
        missed = float((_clenshaw(found.coefficients, between) - expected).abs().max())
        if missed <= found.error_bound:
            return found
        trouble = (
            f"between {intervals + 1} samples of the function on [-{span:g}, {span:g}] the error is "
            f"{missed:.2g} where at most {found.error_bound:.2g} was expected; use a function that is smooth "
            "and elementwise"
        )
    raise ValueError(trouble)


def derivative_matrix(degree: int) -> Tensor:
    r"""Matrix that differentiates a Chebyshev series.

    .. math::

        f = \sum_k a_k T_k \;\Rightarrow\; f' = \sum_j b_j T_j, \qquad
        b_j = \frac{2}{1 + [j = 0]} \sum_{k > j,\ k - j \text{ odd}} k\, a_k

    The derivative is with respect to the argument in [-1, 1]; for a score u in [lo, hi] multiply it by
    2 / (hi - lo).

    Args:
        degree: D, not negative.

    Returns:
        (D + 1, D + 1) float64 on the CPU, b = matrix @ a; the last row is zero.

    Raises:
        ValueError: if the degree is negative.
    """
    if degree < 0:
        raise ValueError(f"degree must not be negative, got {degree}")
    order = torch.arange(degree + 1, dtype=torch.float64, device="cpu")
    ahead = order - order[:, None]
    matrix = torch.where((ahead > 0) & (ahead % 2 == 1), 2 * order, 0.0)
    matrix[0] /= 2
    return matrix


def _too_rough(
    bounds: Tensor, enough: list[int], span: float, tolerance: float, max_degree: int, largest: float
) -> str:
    """What to say if no allowed degree reaches the tolerance."""
    reached = float(bounds[: max_degree + 1].min())
    remedy = f"raise tolerance to {1.05 * reached:.2g}"  # two digits, never rounded to less
    if enough and enough[0] <= 8 * max_degree:
        remedy += f", raise max_degree to {enough[0]}"
    return (
        f"the error of a polynomial of degree up to {max_degree} on [-{span:g}, {span:g}], where values "
        f"reach {largest:.2g}, is only known to be below {reached:.2g}, the tolerance is {tolerance:.2g}; "
        f"{remedy}, use a smooth surrogate or a smaller scale, or for a kink surrogate='hinge' or "
        "'squared_hinge'"
    )


def _series(
    function: Callable[[Tensor], Tensor], span: float, intervals: int, tolerance: float
) -> tuple[Tensor, Tensor, bool]:
    """Coefficients 0 to n, the error bound of each degree, and whether more samples would change little."""
    points = torch.arange(intervals + 1, dtype=torch.float64, device="cpu").mul_(math.pi / intervals).cos_()
    values = _call(function, points * span)
    # the cosine transform: the Fourier transform of the even continuation
    periodic = torch.cat((values, values.flip(0)[1:-1]))
    coefficients = torch.fft.rfft(periodic).real / intervals
    coefficients[[0, -1]] /= 2

    size = coefficients.abs()
    tail = 2 * intervals * float(size[intervals // 2 + 1 :].max())
    dropped = size.flip(0).cumsum(0).flip(0) - size
    # Rounding: some units in the last place of a sample and of its place, times the norm of interpolation,
    # and as many of the largest value for each coefficient that is transformed and summed.
    unit = torch.finfo(torch.float64).eps
    largest = float(values.abs().max())
    slope = float((values.diff() / points.diff()).abs().max())
    terms = torch.arange(1, intervals + 2, dtype=torch.float64, device="cpu")
    rounding = unit * (20 * slope + (4 + math.log2(intervals)) * largest * terms)
    settled = tail <= max(1e-3 * tolerance, 4 * unit * intervals * largest)
    return coefficients, dropped + tail + rounding, settled


def _call(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The function's values, if they are what an elementwise function returns."""
    with torch.no_grad():
        values = function(x.clone())
    if not isinstance(values, Tensor):
        raise TypeError(f"the surrogate must return a torch.Tensor, got {type(values).__name__}")
    if values.dtype != torch.float64:
        raise TypeError(f"the surrogate must return float64 for a float64 tensor, got {values.dtype}")
    if values.shape != x.shape:
        raise ValueError(
            f"the surrogate must be elementwise: for a tensor of shape {tuple(x.shape)} it returned "
            f"{tuple(values.shape)}"
        )
    if not values.isfinite().all():
        at = int((~values.isfinite()).nonzero()[0])
        raise ValueError(
            f"the surrogate must be finite on [-{float(x.abs().max()):g}, {float(x.abs().max()):g}], got "
            f"{float(values[at])} at x = {float(x[at]):g}; write it in a stable form or lower the scale"
        )
    return values


def _clenshaw(coefficients: Tensor, t: Tensor) -> Tensor:
    """Sum of c_k T_k(t) by Clenshaw's recurrence."""
    ahead = after = torch.zeros_like(t)
    for c in coefficients.flip(0)[:-1]:
        ahead, after = c + 2 * t * ahead - after, ahead
    return coefficients[0] + t * ahead - after
