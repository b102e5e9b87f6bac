"""Sums of softmax probabilities over the pixels of images and classes, and Jaccard's Lovász extension.

What losses of overlap need of the pixels. Nothing of the size of the logits is kept for the sums but their
gradient; the Lovász extension keeps one tensor of that size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.functional.checks import synchronizes, transformed, widest
from aucseg.functional.distributed import NO_SECOND_DERIVATIVE, gather, gather_uneven
from aucseg.functional.logits import strips
from aucseg.functional.plain import gradient_again


class OverlapSums(NamedTuple):
    """Sums over the labelled pixels of each image, with the probability p of a class.

    Attributes:
        total: (B, K), of p.
        own: (B, K), of p over the pixels of the class.
        square: (B, K), of the square of p.
        pixels: (B, K), number of pixels of the class.
    """

    total: Tensor
    own: Tensor
    square: Tensor
    pixels: Tensor


def overlap_sums(logits: Tensor, rows: Tensor) -> OverlapSums:
    """Sums of softmax probabilities by image and class; differentiable by the logits.

    One pass over the logits forward and one backward. Where the gradient is to be differentiated again it
    goes by ordinary operations, as all does under the transforms of ``torch.func``.

    Args:
        logits: (B, K, P), floating point; half precision is widened to float32 strip by strip.
        rows: (B, P), integer labels; K and more for void.

    Returns:
        The sums, float64 (float32 on devices without it).
    """
    with torch.autocast(logits.device.type, enabled=False):
        return OverlapSums(*(_plain_sums if transformed() else _OverlapSums.apply)(logits, rows))


def _plain_sums(logits: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
    share = logits.to(widest(logits.device)).softmax(1)
    classes = torch.arange(logits.shape[1], dtype=rows.dtype, device=rows.device)
    onehot = (rows[:, None] == classes[:, None]).to(share)
    share = torch.where((rows < len(classes))[:, None], share, 0.0)
    return share.sum(2), (share * onehot).sum(2), share.square().sum(2), onehot.sum(2)


def _softmax_strips(logits: Tensor, rows: Tensor) -> Iterator[tuple[int, slice, Tensor, Tensor, Tensor]]:
    """Image, pixels, (K, p) probabilities, zero where void, and (p,) where each pixel's own is; label."""
    k = logits.shape[1]
    wide = torch.promote_types(logits.dtype, torch.float32)
    for image, part in strips(logits, rows):
        p = part.stop - part.start
        row = rows[image, part]
        void = row >= k
        label = row.masked_fill(void, 0)
        share = torch.softmax(logits[image, :, part].to(wide), 0)
        share.mul_(~void)
        own = label * p + torch.arange(p, device=rows.device)
        yield image, part, share, own, label


class _OverlapSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        batch, k, _ = logits.shape
        dtype = widest(logits.device)
        total, own, square, count = (logits.new_zeros((batch, k), dtype=dtype) for _ in range(4))
        for image, part, share, place, label in _softmax_strips(logits, rows):
            total[image] += share.sum(1)
            square[image] += share.square().sum(1)
            picked = share.view(-1).index_select(0, place).to(dtype)  # 0 where void
            own[image].index_add_(0, label, picked)
            count[image].index_add_(0, label, (rows[image, part] < k).to(dtype))
        ctx.save_for_backward(logits, rows)
        ctx.mark_non_differentiable(count)
        return total, own, square, count

    @staticmethod
    def backward(ctx: Any, by_total: Tensor, by_own: Tensor, by_square: Tensor, _: Any) -> tuple[Any, ...]:
        logits, rows = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated
            sums = list(_plain_sums(logits, rows)[:3])
            return gradient_again(sums, logits, [by_total, by_own, by_square]), None
        grad = torch.empty_like(logits)
        for image, part, share, place, label in _softmax_strips(logits, rows):
            slope = torch.addcmul(
                by_total[image].to(share)[:, None], share, 2 * by_square[image].to(share)[:, None]
            )
            slope.view(-1).index_add_(0, place, by_own[image].to(share).index_select(0, label))
            grad[image, :, part] = _through_softmax(slope, share)
        return grad, None


def _through_softmax(slope: Tensor, share: Tensor) -> Tensor:
    """The derivative by the logits (K, p) of what has the derivative ``slope`` by the probabilities."""
    return slope.sub_((slope * share).sum(0)).mul_(share)


def lovasz_softmax(
    logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None = None
) -> tuple[Tensor, Tensor]:
    r"""Lovász extension of the Jaccard loss of every class (Berman et al., 2018, Eq. 9 and 11).

    With the errors :math:`m_i = 1 - p_i` of the pixels of a class and :math:`m_i = p_i` of all others, sorted
    so that they fall, and J the Jaccard loss of the class if the first i pixels were wrong and no others:

    .. math::

        \bar\Delta_c = \sum_i m_i \, (J_i - J_{i-1}), \qquad
        J_i = 1 - \frac{|y = c| - \text{hits}_i}{|y = c| + i - \text{hits}_i}

    where hits are the pixels of the class among the first i. Errors are sorted by the radix of their bits,
    which is several times as fast as comparing them.

    Args:
        logits: (B, K, P), floating point; at least float32 is used.
        rows: (B, P), integer labels; K and more for void.
        group: ranks that hold the pixels of one batch together, each of which must call. Each gets the value
            of the whole batch, and the gradient of it by its own logits. None: no others.

    Returns:
        (K,) float64, 0 for classes without a pixel, differentiable by the logits as often as one likes where
        there is no group; and which classes have one, (K,) bool.
    """
    with torch.autocast(logits.device.type, enabled=False):
        if transformed():
            return _plain_lovasz(logits, rows)
        values, present = _Lovasz.apply(logits, rows, group)
    return values, present


def _plain_lovasz(logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    k = logits.shape[1]
    share = logits.to(widest(logits.device)).softmax(1).movedim(1, 0).flatten(1)
    row = rows.flatten()
    void = row >= k
    rank = torch.arange(1, len(row) + 1, device=rows.device, dtype=share.dtype)
    values, present = [], []
    for c in range(k):
        hit = row == c
        error = torch.where(void, 0.0, torch.where(hit, 1 - share[c], share[c]))
        order = torch.where(void, -1.0, error.detach()).argsort(descending=True, stable=True)
        step, size = _steps(hit[order], void[order], rank)
        values.append((error[order] * step).sum())
        present.append(size > 0)
    return torch.stack(values), torch.stack(present)


def _steps(hits: Tensor, void: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """J_i - J_{i-1} of the pixels in the order of their errors, 0 where void; and the number of hits."""
    found = hits.cumsum(0, dtype=torch.int64).to(rank.dtype)
    size = found[-1]
    # where nothing is to be found the ratio may be 0 / 0
    index = (size - found) / torch.where(size > 0, size + rank - found, 1.0)
    step = torch.cat((1 - index[:1], index[:-1] - index[1:]))
    return torch.where(void | (size == 0), 0.0, step), size


class _Lovasz(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None
    ) -> tuple[Tensor, Tensor]:
        batch, k, pixels = logits.shape
        wide = torch.promote_types(logits.dtype, torch.float32)
        bits = torch.int64 if wide == torch.float64 else torch.int32
        # probabilities, each class's turned into the derivative of its loss by them when its turn has come
        slopes = logits.new_empty((k, batch, pixels), dtype=wide)
        for image, part in strips(logits, rows):
            torch.softmax(logits[image, :, part].to(wide), 0, out=slopes[:, image, part])
        mine = rows.flatten()
        every, first = mine, 0
        if group is not None:
            sizes = torch.cat(gather(torch.tensor([len(mine)], device=rows.device), group)).tolist()
            first = sum(sizes[: dist.get_rank(group)])
            every = torch.cat(gather_uneven(mine, group, sizes))
        void = every >= k
        rank = torch.arange(1, len(every) + 1, device=rows.device, dtype=widest(rows.device))
        values = logits.new_zeros(k, dtype=rank.dtype)
        present = torch.zeros(k, dtype=torch.bool, device=rows.device)
        for c in range(k):
            hit = every == c
            # without a look at the device where that would mean to wait for it
            if not synchronizes(rows.device) and not hit.any():
                slopes[c].zero_()
                continue
            share = slopes[c].flatten()
            if group is not None:
                share = torch.cat(gather_uneven(share, group, sizes))
            error = torch.where(hit, 1 - share, share)
            # The bits of a float that is not negative rise with it, and their complement falls. Only integers
            # that rise are sorted by radix. Void comes last.
            order = (~error.view(bits)).masked_fill(void, torch.iinfo(bits).max).argsort(stable=True)
            step, size = _steps(hit.index_select(0, order), void.index_select(0, order), rank)
            present[c] = size > 0
            values[c] = error.index_select(0, order).to(rank) @ step
            by_error = torch.empty_like(error).index_copy_(0, order, step.to(wide))
            by_share = torch.where(hit, -by_error, by_error)
            slopes[c] = by_share[first : first + len(mine)].view(batch, pixels)
        ctx.save_for_backward(logits, rows, slopes)
        ctx.alone = group is None
        ctx.mark_non_differentiable(present)
        return values, present

    @staticmethod
    def backward(ctx: Any, by_class: Tensor, _: Any) -> tuple[Any, ...]:
        logits, rows, slopes = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated
            if not ctx.alone:
                raise RuntimeError(NO_SECOND_DERIVATIVE)
            return gradient_again([_plain_lovasz(logits, rows)[0]], logits, [by_class]), None, None
        grad = torch.empty_like(logits)
        for image, part, share, _, _ in _softmax_strips(logits, rows):
            grad[image, :, part] = _through_softmax(
                slopes[:, image, part] * by_class.to(slopes)[:, None], share
            )
        return grad, None, None
