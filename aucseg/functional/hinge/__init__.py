"""Hinge and squared hinge over all pairs of pixels, exact, by sorting."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.functional.checks import check_labels, check_num_classes, transformed, widest
from aucseg.functional.distributed import NO_SECOND_DERIVATIVE
from aucseg.functional.hinge import cpu, cuda
from aucseg.functional.hinge.sort import OwnScores, sort_own_scores
from aucseg.functional.plain import gradient_again, plain_hinge

# Who sums, by the type of the device; every other device is an accelerator that must not be waited for.
BACKENDS: dict[str, ModuleType] = {"cpu": cpu}


def sorted_hinge(
    scores: Tensor,
    rows: Tensor,
    num_classes: int,
    *,
    margin: float = 1.0,
    scale: float = 1.0,
    power: int = 1,
    group: dist.ProcessGroup | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Mean hinge loss of every ordered pair of classes, over all pairs of their pixels (AUCSeg, Eq. 7).

    .. math::

        R_{cd} = \frac{1}{|N_c| |N_d|} \sum_{m \in N_c} \sum_{n \in N_d}
        \max\bigl(0,\; \gamma - a (s_{m,c} - s_{n,c})\bigr)^p

    with margin :math:`\gamma`, scale :math:`a` and power p of 1 (hinge) or 2 (squared hinge). A negative n
    costs something against the :math:`k_n` positives below its threshold :math:`t_n = s_{n,c} + \gamma / a`.
    With the positives of a class sorted, and the sums :math:`S` of their lowest k scores, the sum over
    positives is :math:`a (k_n t_n - S(k_n))`, and with squares likewise for p = 2: N log N operations to
    sort the N pixels and to look up one number for each pixel and class, no pair of pixels anywhere. The
    scores are centred first and all sums are float64, so a large common offset costs no digits.

    A pair exactly at the margin has the subgradient 0 (the hinge; the squared hinge has no kink).

    Args:
        scores: (B, K, P), float32 or float64; B images of P pixels each.
        rows: (B, P) int64 on the same device: 0 to K - 1, or K for void. The values are not checked.
        num_classes: number of classes K.
        margin: scaled score difference from which on a pair costs nothing.
        scale: factor of the score difference, positive.
        power: 1 for the hinge, 2 for the squared hinge.
        group: ranks that hold the pixels of one batch together. All of them must call, and all or none go
            backward. Each gets the value of the whole batch, and the gradient of it with respect to its
            own scores (with no factor of the number of ranks), if all use the value in the same way. None:
            this process holds the whole batch.

    Returns:
        The pixels of each class, (K,) float64, and R, (K, K) float64 with the positive class in rows, through
        which gradients flow to the scores; zero on the diagonal and where a class has no pixel.

    Raises:
        TypeError: for scores that are not float32 or float64, or rows that are not int64.
        ValueError: for shapes that do not fit, or a margin, scale or power out of range.

    Note:
        The backward pass needs one int32 for each pixel and present class (on an accelerator each class)
        from the forward pass, so as much memory as float32 scores at most.

    Example:
        >>> scores = torch.tensor([[[0.9, 0.2], [0.1, 0.6]]])
        >>> round(sorted_hinge(scores, torch.tensor([[0, 1]]), 2)[1][0, 1].item(), 4)  # 1 - (0.9 - 0.2)
        0.3

    """
    _check(scores, rows, check_num_classes(num_classes), margin, scale, power)
    with torch.autocast(scores.device.type, enabled=False):
        if transformed():
            count, pairs = plain_hinge(scores, rows, num_classes, margin / scale, power)
        else:
            count, pairs = _SortedHinge.apply(scores, rows, margin / scale, power, group)
        return count, pairs * scale**power


class _SortedHinge(torch.autograd.Function):
    """Scores and rows to (count, mean of max(0, reach - difference)^power), with its analytic gradient."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, rows: Tensor, reach: float, power: int, group: dist.ProcessGroup | None
    ) -> tuple[Tensor, Tensor]:
        classes = scores.shape[1]
        own = sort_own_scores(scores, rows, classes, group)
        sums, ranks = _backend(scores).hinge_sums(scores, rows, own, reach, power, ctx.needs_input_grad[0])
        if group is not None:
            dist.all_reduce(sums, group=group)
        count = own.count.to(widest(scores.device))
        share = (count[:, None] * count).reciprocal().masked_fill(count[:, None] * count == 0, 0)
        share = share.fill_diagonal_(0)
        ctx.reach, ctx.power, ctx.group = reach, power, group
        ctx.save_for_backward(scores, rows, ranks, share, own.value, own.row, own.start, own.pixel, own.slot)
        ctx.mark_non_differentiable(count)
        return count, torch.where(share > 0, sums[:, :classes] * share, 0)

    @staticmethod
    def backward(ctx: Any, _: Tensor, grad_pairs: Tensor) -> tuple[Tensor | None, ...]:
        scores, rows, ranks, share, *parts = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated
            if ctx.group is not None:
                raise RuntimeError(NO_SECOND_DERIVATIVE)
            _, pairs = plain_hinge(scores, rows, scores.shape[1], ctx.reach, ctx.power)
            return gradient_again([pairs], scores, [grad_pairs]), None, None, None, None
        own = OwnScores(*parts)
        weight = torch.nn.functional.pad(share * grad_pairs, (0, 1))
        gradient, shares = _backend(scores).hinge_gradients(
            scores, rows, own, ranks, weight, ctx.reach, ctx.power
        )
        if ctx.group is not None:
            # the positives of this rank meet the negatives of all
            dist.all_reduce(shares, group=ctx.group)
        if own.slot is not None:
            shares = shares.index_select(0, own.slot)
        received = scores.new_zeros(rows.numel()).scatter_(0, own.pixel, shares.to(scores.dtype))
        channel = rows.clamp(max=scores.shape[1] - 1)[:, None]
        gradient.scatter_add_(1, channel, received.view_as(channel))
        return gradient, None, None, None, None


def _backend(scores: Tensor) -> ModuleType:
    return BACKENDS.get(scores.device.type, cuda)


def _check(scores: Tensor, rows: Tensor, num_classes: int, margin: float, scale: float, power: int) -> None:
    if scores.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"scores must be float32 or float64, got {scores.dtype}; widen them with .float()")
    check_labels(rows, "rows")
    if rows.dtype != torch.int64:
        raise TypeError(f"rows must be int64, got {rows.dtype}; convert them with .long()")
    if scores.ndim != 3 or scores.shape[1] != num_classes:
        raise ValueError(f"scores must have shape (B, {num_classes}, P), got {tuple(scores.shape)}")
    if rows.shape != (scores.shape[0], scores.shape[2]):
        raise ValueError(
            f"rows must have shape (B, P) = {(scores.shape[0], scores.shape[2])}, got {tuple(rows.shape)}"
        )
    if rows.device != scores.device:
        raise ValueError(f"scores are on {scores.device}, rows on {rows.device}; move one of them")
    if not math.isfinite(margin):
        raise ValueError(f"margin must be a finite number, got {margin!r}")
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be a positive number, got {scale!r}")
    if power not in (1, 2):
        raise ValueError(f"power must be 1 (hinge) or 2 (squared hinge), got {power!r}")
