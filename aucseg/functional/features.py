"""Polynomials of a score and their derivatives: the features that a bilinear surrogate sums over pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from aucseg.functional.chebyshev import derivative_matrix
from aucseg.functional.surrogates import BilinearForm, Feature


def features(
    form: BilinearForm,
    feature: Feature,
    scores: Tensor,
    out: Tensor,
    blank: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """The polynomials 1 to D of z(scores): powers, or Chebyshev polynomials.

    Args:
        form: the surrogate.
        feature: z of a score, ``form.own`` or ``form.other``.
        scores: any shape.
        out: (D, *shape), where they are written; the first of them may be ``scores``.
        blank: called with a layer of ``out``, sets to zero what shall not count.

    Returns:
        ``out``.
    """
    z = feature(scores)
    if z.data_ptr() != out.data_ptr():  # the scores may have been written there already
        z = out[0].copy_(z)
    if blank is not None and not form.chebyshev:
        blank(out[0])  # and so in all its powers
    for j in range(1, form.degree):
        torch.mul(out[j - 1], z, out=out[j])
        if form.chebyshev:  # T_{j+1} = 2 z T_j - T_{j-1}
            out[j].mul_(2).sub_(out[j - 2] if j > 1 else 1)
    if blank is not None and form.chebyshev:
        for layer in out:
            blank(layer)
    return out


def slopes(form: BilinearForm, feature: Feature, grad: Tensor) -> Tensor:
    """From weights of the polynomials 1 to D to coefficients of the weighted sum's derivative by the score.

    Args:
        form: the surrogate.
        feature: z of a score.
        grad: (..., D), a weight for each polynomial.

    Returns:
        (..., D), coefficients of the polynomials 0 to D - 1; ``evaluate`` adds the inner derivative of an
        exponential z, which is no polynomial.
    """
    if form.chebyshev:
        return grad @ _derivative(form.degree, grad.device, grad.dtype) * feature.slope
    return grad * torch.arange(1, form.degree + 1, dtype=grad.dtype, device=grad.device) * feature.slope


@lru_cache(maxsize=64)
def _derivative(degree: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return derivative_matrix(degree)[:degree, 1:].t().to(device, dtype)


def evaluate(
    form: BilinearForm, feature: Feature, scores: Tensor, coefficients: Tensor, out: Tensor | None = None
) -> Tensor:
    """The derivative whose coefficients ``slopes`` returns, at the scores.

    Args:
        form: the surrogate.
        feature: z of a score.
        scores: any shape.
        coefficients: (D, *shape), or anything that broadcasts to it.
        out: the shape of the scores, where to write it; may be one of the coefficients.

    Returns:
        ``out``, by default a new tensor.
    """
    z = feature(scores)
    out = torch.empty_like(z) if out is None else out
    if form.chebyshev:  # Clenshaw's recurrence
        first = second = torch.zeros_like(z)
        for c in reversed(coefficients[1:]):
            first, second = torch.addcmul(c, z, first, value=2).sub_(second), first
        torch.mul(z, first, out=out).add_(coefficients[0]).sub_(second)
    elif form.degree == 1:
        out.copy_(coefficients[0])
    elif coefficients.shape[1:] == z.shape:
        torch.addcmul(coefficients[0], coefficients[1], z, out=out)
    else:
        torch.mul(z, coefficients[1], out=out).add_(coefficients[0])
    return out.mul_(z) if feature.exponential else out
