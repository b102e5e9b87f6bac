"""Surrogates of the AUC loss: what a pair of scores costs, in a form that never looks at pairs of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite

import torch
from torch import Tensor

from aucseg.functional.chebyshev import chebyshev_expansion, derivative_matrix

Surrogate = str | Callable[[Tensor], Tensor]

# In float32 the exponential of a larger number leaves the range once it is summed over pixels.
_LARGEST_EXPONENT = 60.0
# The logistic at scale 40 needs 180; cost and memory of the sums grow with the degree.
_LARGEST_DEGREE = 256


@dataclass(frozen=True)
class Feature:
    """An affine function of the score, z = slope s + shift, or the exponential of one."""

    slope: float
    shift: float = 0.0
    exponential: bool = False

    @property
    def identical(self) -> bool:
        """Whether z is the score."""
        return (self.slope, self.shift, self.exponential) == (1.0, 0.0, False)

    def __call__(self, scores: Tensor, out: Tensor | None = None) -> Tensor:
        """Values z for the scores, of any shape, in ``out``; without it the scores where ``identical``."""
        if self.identical:
            return scores if out is None else out.copy_(scores)
        z = torch.mul(scores, self.slope, out=out)
        z = z.add_(self.shift) if self.shift else z
        return z.exp_() if self.exponential else z


@dataclass(frozen=True, eq=False)  # tensors do not compare as one
class BilinearForm:
    r"""A surrogate whose mean over all pairs follows from sums over pixels.

    For a pixel m of the positive and n of the negative class, with polynomials
    :math:`\phi_0 = 1, \phi_1, \dots, \phi_D` (powers, or Chebyshev polynomials):

    .. math::

        \ell(s_m - s_n) = \sum_{j,k} A_{jk} \, \phi_j(z^{own}(s_m)) \, \phi_k(z^{other}(s_n))

    so the mean over pairs is the same sum of products of class means.

    Attributes:
        matrix: A, (D + 1, D + 1) float64.
        own: z of a positive's score.
        other: z of a negative's score.
        chebyshev: whether the polynomials are Chebyshev's or powers.
        double: whether the sums need float64 scores.
        score_range: scores for which it holds; None for all.
        error_bound: largest error of the surrogate for one pair; zero where the form is exact.
    """

    matrix: Tensor
    own: Feature
    other: Feature
    chebyshev: bool = False
    double: bool = False
    score_range: tuple[float, float] | None = None
    error_bound: float = 0.0

    @property
    def degree(self) -> int:
        """D, the highest polynomial."""
        return self.matrix.shape[0] - 1

    def matrix_like(self, values: Tensor) -> Tensor:
        """A on the device and in the dtype of ``values``; copied there once, as each copy is a wait."""
        return _copied(self.matrix, values.device, values.dtype)

    def polynomials(
        self,
        feature: Feature,
        scores: Tensor,
        out: Tensor,
        blank: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """The polynomials 1 to D of z(scores): phi of positives, psi of negatives.

        Args:
            feature: z of a score, ``own`` or ``other``.
            scores: any shape.
            out: (D, ...), a layer of the shape of the scores each, where they are written; the first may be
                ``scores``.
            blank: called with a layer of ``out``, sets to zero what shall not count.

        Returns:
            ``out``.
        """
        layers = out.unbind()
        z = layers[0]
        if not feature.identical or scores.data_ptr() != z.data_ptr():  # they may have been written there
            feature(scores, out=z)
        if blank is not None and not self.chebyshev:
            blank(z)  # and so in all its powers
        for j in range(1, self.degree):
            torch.mul(layers[j - 1], z, out=layers[j])
            if self.chebyshev:  # T_{j+1} = 2 z T_j - T_{j-1}
                layers[j].mul_(2).sub_(layers[j - 2] if j > 1 else 1)
        if blank is not None and self.chebyshev:
            for layer in layers:
                blank(layer)
        return out

    def slopes(self, feature: Feature, grad: Tensor) -> Tensor:
        """From weights of the polynomials 1 to D to coefficients of their weighted sum's derivative.

        Args:
            feature: z of a score, ``own`` or ``other``.
            grad: (..., D), a weight for each polynomial.

        Returns:
            (..., D), coefficients of the polynomials 0 to D - 1; ``derivative`` adds the inner derivative of
            an exponential z, which is no polynomial.
        """
        if self.chebyshev:
            return grad @ _differentiation(self.degree, grad.device, grad.dtype) * feature.slope
        slopes = grad * _orders(self.degree, grad.device, grad.dtype)
        return slopes if feature.slope == 1 else slopes * feature.slope

    def derivative(
        self, feature: Feature, scores: Tensor, coefficients: Tensor, out: Tensor | None = None
    ) -> Tensor:
        """The derivative whose coefficients ``slopes`` returns, at the scores.

        Args:
            feature: z of a score, ``own`` or ``other``.
            scores: any shape.
            coefficients: (D, ...), or anything that broadcasts to it.
            out: the shape of the scores, where to write it; may be one of the coefficients.

        Returns:
            ``out``, by default a new tensor.
        """
        z = feature(scores)
        out = torch.empty_like(z) if out is None else out
        if self.chebyshev:  # Clenshaw's recurrence
            first = second = torch.zeros_like(z)
            for c in reversed(coefficients[1:]):
                first, second = torch.addcmul(c, z, first, value=2).sub_(second), first
            torch.mul(z, first, out=out).add_(coefficients[0]).sub_(second)
        elif self.degree == 1:
            out.copy_(coefficients[0])
        elif coefficients.shape[1:] == z.shape:
            torch.addcmul(coefficients[0], coefficients[1], z, out=out)
        else:
            torch.mul(z, coefficients[1], out=out).add_(coefficients[0])
        return out.mul_(z) if feature.exponential else out


@dataclass(frozen=True)
class SortedForm:
    """Hinge or squared hinge where a pair can exceed the margin: its mean over pairs is found by sorting.

    Attributes:
        margin: scaled score difference from which a pair costs nothing.
        scale: factor of the score difference.
        power: 1 for the hinge, 2 for its square.
        error_bound: zero: sorting is exact.
    """

    margin: float
    scale: float
    power: int
    error_bound: float = 0.0


@lru_cache(maxsize=256)
def _copied(matrix: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    return matrix.to(device, dtype)


@lru_cache(maxsize=64)
def _differentiation(degree: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return derivative_matrix(degree)[:degree, 1:].t().to(device, dtype)


@lru_cache(maxsize=64)
def _orders(degree: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        return torch.arange(1, degree + 1, dtype=dtype, device=device)


MARGIN_SURROGATES = ("square", "hinge", "squared_hinge")
SURROGATES = (*MARGIN_SURROGATES, "exp", "logistic")


def surrogate_form(
    surrogate: Surrogate,
    *,
    margin: float = 1.0,
    scale: float = 1.0,
    score_range: tuple[float, float] | None = (0.0, 1.0),
    tolerance: float = 1e-7,
) -> BilinearForm | SortedForm:
    r"""The cheapest exact form of a surrogate, or an expansion with a stated error where there is none.

    With :math:`x = scale \, (s^+ - s^-)` and margin :math:`\gamma`:

    ================  ==================================  =========================================
    name              loss of a pair                      cost
    ================  ==================================  =========================================
    square            :math:`(\gamma - x)^2`              linear, exact
    hinge             :math:`\max(0, \gamma - x)`         linear where no x exceeds the margin, else sorted
    squared_hinge     :math:`\max(0, \gamma - x)^2`       as hinge; then it is the square
    exp               :math:`e^{-x}`                      linear, exact
    logistic          :math:`\log(1 + e^{-x})`            linear, Chebyshev expansion
    a callable        of x, smooth                        linear, Chebyshev expansion
    ================  ==================================  =========================================

    Args:
        surrogate: a name, or a function of a float64 tensor of scaled differences x, elementwise and smooth.
        margin: scaled difference from which the hinge is zero, and at which the square is; positive.
        scale: factor of the score difference, positive.
        score_range: lowest and highest score; None if there is none (scores that are logits).
        tolerance: largest allowed error of an expansion for one pair, in units of the loss.

    Returns:
        The form.

    Raises:
        ValueError: for an unknown name, with the known ones; a margin or scale that is not positive; a
            margin for a surrogate that has none; a range missing where one is needed; a function that is not
            smooth enough for the tolerance.

    """
    for name, value in (("margin", margin), ("scale", scale), ("tolerance", tolerance)):
        if not 0 < value < inf:
            raise ValueError(f"{name} must be a positive number, got {value!r}")
    if isinstance(surrogate, str) and surrogate not in SURROGATES:
        known = ", ".join(map(repr, SURROGATES))
        raise ValueError(f"unknown surrogate {surrogate!r}; use one of {known} or a function")
    if surrogate not in MARGIN_SURROGATES and margin != 1.0:
        raise ValueError(
            f"surrogate {surrogate!r} has no margin (got {margin!r}); leave it at 1 and use scale"
        )
    if score_range is not None:
        low, high = score_range
        if not (isfinite(low) and isfinite(high) and low < high):
            raise ValueError(f"score_range must be (lowest, highest), got {score_range!r}")
    if surrogate in MARGIN_SURROGATES:
        return _margin_form(str(surrogate), margin, scale, score_range)
    if surrogate == "exp":
        return _exponential_form(scale, score_range)
    if score_range is None:
        raise ValueError(
            f"surrogate {surrogate!r} needs bounded scores: use activation='sigmoid' or 'softmax', or give "
            f"score_range=(lowest, highest)"
        )
    return _expanded_form(surrogate, scale, score_range, tolerance)


def _margin_form(
    name: str, margin: float, scale: float, score_range: tuple[float, float] | None
) -> BilinearForm | SortedForm:
    # with scores in the range no pair is past the margin: the hinge is its linear part, its square a square
    inside = score_range is not None and margin >= scale * (score_range[1] - score_range[0])
    if name != "square" and not inside:
        return SortedForm(margin, scale, 1 if name == "hinge" else 2)
    # margin - x = (margin - scale s+) + scale s-: for scores in [0, 1] both terms are positive and their
    # powers are summed without a cancellation
    own, other = Feature(-scale, margin), Feature(scale)
    table = [[0, 1], [1, 0]] if name == "hinge" else [[0, 0, 1], [0, 2, 0], [1, 0, 0]]
    matrix = torch.tensor(table, dtype=torch.float64)
    # where the range carries the form, a score outside it would be wrong without a word
    needed = None if name == "square" else score_range
    return BilinearForm(matrix, own, other, double=score_range is None, score_range=needed)


def _exponential_form(scale: float, score_range: tuple[float, float] | None) -> BilinearForm:
    middle = 0.0 if score_range is None else sum(score_range) / 2
    largest = inf if score_range is None else scale * (score_range[1] - score_range[0]) / 2
    return BilinearForm(
        torch.tensor([[0.0, 0.0], [0.0, 1.0]], dtype=torch.float64),
        Feature(-scale, scale * middle, exponential=True),
        Feature(scale, -scale * middle, exponential=True),
        double=largest > _LARGEST_EXPONENT,
    )


def _logistic(x: Tensor) -> Tensor:
    return torch.nn.functional.softplus(-x)


def _expanded_form(
    surrogate: Surrogate, scale: float, score_range: tuple[float, float], tolerance: float
) -> BilinearForm:
    low, high = score_range
    function = _logistic if isinstance(surrogate, str) else surrogate
    span = scale * (high - low)
    expansion = chebyshev_expansion(function, span, tolerance=tolerance, max_degree=_LARGEST_DEGREE)
    feature = Feature(2 / (high - low), -(high + low) / (high - low))
    return BilinearForm(
        expansion.product_matrix(),
        feature,
        feature,
        chebyshev=True,
        score_range=score_range,
        error_bound=expansion.error_bound,
    )
