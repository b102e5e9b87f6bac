"""Risks whose pairs of classes weigh a product of two weights: K sums are enough, and no table is made."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aucseg.functional.checks import transformed
from aucseg.functional.sums import ChannelSums
from aucseg.functional.surrogates import BilinearForm

# The tables of a few numbers are PyTorch's, or NumPy's where starting an operation is what takes the time.
Array = TypeVar("Array", Tensor, NDArray[np.float64])


class SeparableWeights(NamedTuple, Generic[Array]):
    """Weights of pairs that are products, W_cd = a_c b_d.

    Attributes:
        positive: (K,), a.
        pixel: (K,), b over the number of pixels of the class: the weight of one negative pixel.
    """

    positive: Array
    pixel: Array


def separable_weights(count: Array, *, multiclass: str, reduction: str) -> SeparableWeights[Array]:
    r"""The weight of a pair in mean and sum as a product, W_cd = a_c b_d.

    So the loss needs, for a class c, only the sums of its negatives over all classes d at once, each
    weighted by its :math:`b_d / |N_d|`: K numbers where the table has K x K.

    Args:
        count: (K,), pixels of each class.
        multiclass: ``"ovo"`` or ``"ova"``.
        reduction: ``"mean"`` or ``"sum"``.

    Returns:
        The weights; zero for classes without a pixel.
    """
    present = count.clip(0, 1)
    if multiclass == "ova":
        rest = count.sum() - count
        positive = present * (rest > 0)
        a, pixel = positive / rest.clip(1), present
        number = positive.sum()
    else:
        a, pixel = present, present / count.clip(1)
        held = present.sum()
        number = held * (held - 1)
    return SeparableWeights(a / number.clip(1) if reduction == "mean" else a, pixel)


def separable_risk(
    sums: ChannelSums, count: Tensor, form: BilinearForm, weights: SeparableWeights[Tensor]
) -> Tensor:
    r"""The loss from channel sums: what ``reduce_pairs`` makes of the table, without the table.

    .. math::

        \sum_c \sum_{d \ne c} a_c b_d R_{cd}
        = \sum_c a_c \sum_{j,k} A_{jk} \bar\phi_j(c) \sum_{n \notin N_c} \frac{b_{y_n}}{|N_{y_n}|}
          \psi_k(s_{n,c})

    Args:
        sums: what ``class_sums`` returns for ``weights.pixel``.
        count: (K,), pixels of each class.
        form: the surrogate.
        weights: what ``separable_weights`` returns.

    Returns:
        A scalar.
    """
    return risk_and_mean(sums, count, form, weights, sums.own.dtype)[0]


def risk_and_mean(
    sums: ChannelSums,
    count: Tensor,
    form: BilinearForm,
    weights: SeparableWeights[Tensor],
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """The risk and the mean cross entropy, in a dtype."""
    parts = (count, form.matrix_like(sums.own), *weights)
    if transformed():
        risk, _, _ = separable_with_slopes(sums.own, sums.rest, *parts)
        return risk.to(dtype), (sums.cross_entropy / count.sum().clamp(min=1)).to(dtype)
    both: tuple[Tensor, Tensor] = _SeparableRisk.apply(sums.own, sums.rest, sums.cross_entropy, dtype, *parts)
    return both


class _SeparableRisk(torch.autograd.Function):
    """Risk and mean cross entropy with their derivatives, which are as short as themselves.

    Autograd's own way through a dozen operations on K numbers takes as long as the pixels of a small image.
    """

    @staticmethod
    def forward(
        ctx: Any,
        own: Tensor,
        rest: Tensor,
        cross_entropy: Tensor,
        dtype: torch.dtype,
        count: Tensor,
        matrix: Tensor,
        a: Tensor,
        pixel: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(own, rest, count, matrix, a, pixel)
        ctx.set_materialize_grads(False)
        value, ctx.by_own, ctx.by_rest = separable_with_slopes(own, rest, count, matrix, a, pixel)
        ctx.pixels = count.sum().clamp(min=1)
        return value.to(dtype), (cross_entropy / ctx.pixels).to(dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_mean: Tensor | None) -> tuple[Tensor | None, ...]:
        by_own = by_rest = None
        if grad is not None and torch.is_grad_enabled():  # the gradient will be differentiated
            own, rest, *others = ctx.saved_tensors
            value, _, _ = separable_with_slopes(own, rest, *others)
            by_own, by_rest = torch.autograd.grad(value, (own, rest), grad.to(value), create_graph=True)
        elif grad is not None:
            by_own, by_rest = grad * ctx.by_own, grad * ctx.by_rest
        by_sum = None if grad_mean is None else grad_mean / ctx.pixels
        return by_own, by_rest, by_sum, None, None, None, None, None


def separable_with_slopes(
    own: Array, rest: Array, count: Array, matrix: Array, a: Array, pixel: Array
) -> tuple[Array, Array, Array]:
    """The risk, and its derivatives by both sums; see ``separable_risk``.

    Args:
        own: (K, D), sums of each class's own channel.
        rest: (K, D), weighted sums of all others.
        count: (K,), pixels of each class.
        matrix: (D + 1, D + 1), A.
        a: (K,), weights of positives.
        pixel: (K,), weight of a negative pixel of each class.

    Returns:
        A scalar, (K, D) and (K, D).
    """
    negatives = pixel * count
    share = (a / count.clip(1))[:, None]
    # the polynomials of order zero are one: of each class a times 1, and the weight of all other pixels
    first = (negatives.sum() - negatives)[:, None]
    left = a[:, None] * matrix[0] + (own * share) @ matrix[1:]
    right = first * matrix[1:, 0] + rest @ matrix[1:, 1:].T
    risk = (left[:, :1] * first).sum() + (left[:, 1:] * rest).sum()
    return risk, right * share, left[:, 1:]
