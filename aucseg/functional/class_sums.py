"""Sums of score features over the pixels of a class: all that a bilinear AUC loss needs of the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aucseg.functional.chunks import Chunks, Request
from aucseg.functional.features import evaluate, features, slopes
from aucseg.functional.products import contract, lookup
from aucseg.functional.triton_sums import available, triton_channel_sums


@dataclass(frozen=True)
class ClassSums:
    """Sums over the pixels of every class. They add up over images, micro-batches and ranks.

    With the features phi_j and psi_j of a surrogate (``BilinearForm``), j = 1 to D:

    Attributes:
        count: (K,), number of pixels of each class.
        own: (K, D), entry [c, j - 1] sums phi_j of score channel c over the pixels of class c.
        other: (K, K, D), entry [d, c, j - 1] sums psi_j of score channel c over the pixels of class d.
        cross_entropy: scalar, sum of the pixels' cross entropies; zero where it was not asked for.

    All are float64 (float32 on devices without it).
    """

    count: Tensor
    own: Tensor
    other: Tensor
    cross_entropy: Tensor

    def __add__(self, more: ClassSums) -> ClassSums:
        """The sums over both sets of pixels."""
        mine, theirs = (vars(sums).values() for sums in (self, more))
        return ClassSums(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def channels(self, weights: Tensor) -> ChannelSums:
        """What ``channel_sums`` would have returned for these weights.

        Args:
            weights: (K,), weight of a pixel of each class when it is a negative.

        Returns:
            The sums.
        """
        same = torch.eye(len(weights), dtype=torch.bool, device=weights.device)[..., None]
        rest = (self.other * weights[:, None, None]).masked_fill(same, 0).sum(0)
        return ChannelSums(self.own, rest, self.cross_entropy)


@dataclass(frozen=True)
class ChannelSums:
    """What is left of ``ClassSums`` where all negatives of a class carry one weight, in K instead of K x K.

    Attributes:
        own: (K, D), as ``ClassSums.own``.
        rest: (K, D), entry [c, j - 1] sums w_d psi_j of score channel c over the pixels of all classes d but
            c, each pixel with the weight of its class.
        cross_entropy: as ``ClassSums.cross_entropy``.
    """

    own: Tensor
    rest: Tensor
    cross_entropy: Tensor


def class_sums(logits: Tensor, rows: Tensor, request: Request) -> ClassSums:
    """Sum the features of a surrogate over the pixels of every class; differentiable.

    One pass over the logits forward and one backward, in chunks. Nothing of the size of the logits is made
    but their gradient; the one-hot of a chunk has a row only for each class that the chunk holds (on an
    accelerator, where that number would have to be waited for, for each of the K).

    Args:
        logits: (B, K, P), floating point; half precision is widened to float32 chunk by chunk.
        rows: (B, P), integer labels with K for void, as ``class_index`` returns; K + 1 makes the sums nan.
        request: what to sum.

    Returns:
        The sums. The gradient flows from ``own``, ``other`` and ``cross_entropy`` to the logits.
    """
    with torch.autocast(logits.device.type, enabled=False):
        chunks = Chunks(logits.detach(), rows, request)
        return ClassSums(chunks.count, *_ClassSums.apply(logits, chunks))


def channel_sums(logits: Tensor, rows: Tensor, request: Request, weights: Tensor) -> ChannelSums:
    """Sum the features of a surrogate over the negatives of every class; differentiable.

    Cheaper than ``class_sums``: a product of the features with one weight for each pixel takes the place of
    that with a one-hot, and the backward pass has nothing to look up, so the cost does not depend on how
    many classes there are in a batch. On CUDA two Triton kernels do it, where ``available`` says so.

    Args:
        logits: as ``class_sums``.
        rows: as ``class_sums``.
        request: what to sum.
        weights: (K,), weight of a pixel of each class when it is a negative.

    Returns:
        The sums. The gradient flows from all three to the logits.
    """
    with torch.autocast(logits.device.type, enabled=False):
        if available(logits, request):
            return triton_channel_sums(logits, rows, request, weights)
        chunks = Chunks(logits.detach(), rows, request)
        return ChannelSums(*_ChannelSums.apply(logits, chunks, weights.detach()))


class _ClassSums(torch.autograd.Function):
    """Table of sums, by products with one-hots. ``chunks`` holds the logits without their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, chunks: Chunks) -> tuple[Tensor, Tensor, Tensor]:
        form, k, acc = chunks.form, chunks.k, chunks.accumulator
        own = logits.new_zeros((k, form.degree), dtype=acc)
        other = logits.new_zeros((k, k, form.degree), dtype=acc)
        cross_entropy = logits.new_zeros((), dtype=acc)
        for chunk in chunks:
            if chunks.request.cross_entropy:
                cross_entropy += chunks.cross_entropy(chunk)
            scores = chunks.scores(chunk)
            n = len(scores)
            # one product for both: the features of all channels, and below them those of the own channel
            stack = chunks.buffer(1, form.degree * (n + 1), chunk)
            features(form, form.other, scores, stack[: form.degree * n].view(form.degree, *scores.shape))
            positive = stack[form.degree * n :].view(form.degree, 1, -1)
            features(form, form.own, chunk.pick(scores), positive)
            classes, onehot = chunks.onehot(chunk)
            table = contract(stack, onehot, acc)
            own.index_add_(0, classes, table[form.degree * n :].t())
            table = table[: form.degree * n].view(form.degree, n, -1).permute(2, 1, 0)
            if chunks.channels is None:
                other.index_add_(0, classes, table)
            else:
                other.index_put_((classes[:, None], chunks.channels), table, accumulate=True)
        ctx.save_for_backward(logits)
        ctx.chunks = chunks
        return own + chunks.poison, other + chunks.poison, cross_entropy

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_own: Tensor, grad_other: Tensor, grad_cross_entropy: Tensor
    ) -> tuple[Tensor, None]:
        (logits,) = ctx.saved_tensors
        chunks: Chunks = ctx.chunks
        form = chunks.form
        own_table = slopes(form, form.own, grad_own)[:, None]
        other_table = slopes(form, form.other, grad_other)
        if chunks.channels is not None:
            other_table = other_table[:, chunks.channels]
        table = torch.cat((other_table, own_table), 1).to(chunks.dtype)  # (K, n + 1, D)
        table = table.permute(2, 1, 0).flatten(0, 1).contiguous()
        grad = chunks.new_gradient(logits)
        for chunk in chunks:
            scores = chunks.scores(chunk)
            n = len(scores)
            classes, onehot = chunks.onehot(chunk)
            found = chunks.buffer(1, form.degree * (n + 1), chunk)
            found = lookup(table.index_select(1, classes), onehot, out=found).view(form.degree, n + 1, -1)
            slope = evaluate(form, form.other, scores, found[:, :n], found[-1, :n])
            # on its own channel a pixel is a positive, not a negative of itself; void looks up zeros
            positive = evaluate(form, form.own, chunk.pick(scores), found[:, n:])
            chunk.put(slope, positive)
            chunks.write(chunk, slope, scores, grad, grad_cross_entropy)
        return grad, None


class _ChannelSums(torch.autograd.Function):
    """Sums with a weight for each pixel. ``chunks`` holds the logits without their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, chunks: Chunks, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        form, k, acc = chunks.form, chunks.k, chunks.accumulator
        own = logits.new_zeros((form.degree, k), dtype=acc)
        rest = logits.new_zeros((form.degree, k), dtype=acc)
        cross_entropy = logits.new_zeros((), dtype=acc)
        # void weighs nothing
        weights = torch.nn.functional.pad(weights, (0, 2)).to(chunks.dtype)
        for chunk in chunks:
            if chunks.request.cross_entropy:
                cross_entropy += chunks.cross_entropy(chunk)
            stack = chunks.buffer(1, form.degree * chunks.width, chunk)
            stack = stack.view(form.degree, chunks.width, -1)
            scores = chunks.scores(chunk, out=stack[0] if form.other.identical else None)
            positive = chunks.buffer(2, form.degree, chunk)[:, None]
            features(form, form.own, chunk.pick(scores), positive)
            own += chunks.by_class(positive[:, 0], chunk)
            # taken out before the sum and not after it: the own scores are the large ones
            features(form, form.other, scores, stack, blank=chunk.blank)
            weight = weights.index_select(0, chunk.row)[None]
            table = contract(stack.flatten(0, 1), weight, acc).view(form.degree, -1)
            rest = rest + table if chunks.channels is None else rest.index_add_(1, chunks.channels, table)
        ctx.save_for_backward(logits, weights)
        ctx.chunks = chunks
        return own.t() + chunks.poison, rest.t() + chunks.poison, cross_entropy

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_own: Tensor, grad_rest: Tensor, grad_cross_entropy: Tensor
    ) -> tuple[Tensor, None, None]:
        logits, weights = ctx.saved_tensors
        chunks: Chunks = ctx.chunks
        form = chunks.form
        own_table = torch.nn.functional.pad(slopes(form, form.own, grad_own).t(), (0, 2)).to(chunks.dtype)
        table = slopes(form, form.other, grad_rest).to(chunks.dtype)
        table = (table if chunks.channels is None else table[chunks.channels]).t()[..., None]  # (D, n, 1)
        grad = chunks.new_gradient(logits)
        for chunk in chunks:
            scores = chunks.scores(chunk)
            slope = evaluate(form, form.other, scores, table, chunks.buffer(1, len(scores), chunk))
            slope.mul_(weights.index_select(0, chunk.row))
            found = own_table.index_select(1, chunk.row)[:, None]
            chunk.put(slope, evaluate(form, form.own, chunk.pick(scores), found))
            chunks.write(chunk, slope, scores, grad, grad_cross_entropy)
        return grad, None, None
