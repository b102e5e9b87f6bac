"""Sums over the pixels of every class, and the gradient that comes back through them.

All that a bilinear AUC loss needs of the pixels, from logits and labels in one pass forward and one backward.
This is the only door to the two ways there are: strip by strip in pieces that fit the cache of a CPU, which
is below and works on any device, and the Triton kernels of ``cuda`` where they can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, overload

import torch
from torch import Tensor

from aucseg.functional import checks
from aucseg.functional.plain import gradient_again, plain_count, plain_sums
from aucseg.functional.sums import ChannelSums, ClassSums, Request, channels_of

# Kernels for a type of device, imported with the first tensor on one; on any other it goes strip by strip.
KERNELS = {"cuda": "aucseg.functional.cuda.launch"}
# Scores in one strip: few enough for the cache of a CPU, many enough that the call of an operation does not
# matter; on an accelerator, where there is no such cache, more. The sums of a strip are taken in the dtype of
# its scores, so its pixels are limited as well.
STRIP_SCORES_CPU = 2**21
STRIP_SCORES_DEVICE = 2**26
STRIP_MAX_PIXELS = 2**15
STRIP_MIN_PIXELS = 2**10
# Numbers that one product of matrices adds up in the dtype of its factors.
_SUMMANDS = 2**8
# Share of the channels up to which picking those that matter pays for the picking.
_FEW = 0.75


def class_count(rows: Tensor, num_classes: int) -> Tensor:
    """Number of pixels of each class.

    Args:
        rows: (B, P), integer labels; K and more for void.
        num_classes: number of classes K.

    Returns:
        (K,) float64, float32 on devices without it.
    """
    if checks.transformed():
        return plain_count(rows, num_classes)
    kernels = _kernels(rows.device.type)
    if kernels is not None:
        return kernels.class_count(rows, num_classes)
    if not checks.synchronizes(rows.device):
        count = torch.bincount(rows.flatten(), minlength=num_classes)[:num_classes]
    else:  # bincount waits for the device to learn its own output size
        classes = torch.arange(num_classes, dtype=rows.dtype, device=rows.device)
        count = torch.zeros(num_classes, dtype=torch.int64, device=rows.device)
        for image in rows:
            count += (image == classes[:, None]).sum(1)
    return count.to(checks.widest(rows.device))


@overload
def class_sums(
    logits: Tensor, rows: Tensor, request: Request, weights: None = None, *, all_channels: bool = False
) -> ClassSums: ...


@overload
def class_sums(
    logits: Tensor, rows: Tensor, request: Request, weights: Tensor, *, all_channels: bool = False
) -> ChannelSums: ...


def class_sums(
    logits: Tensor,
    rows: Tensor,
    request: Request,
    weights: Tensor | None = None,
    *,
    all_channels: bool = False,
) -> ClassSums | ChannelSums:
    """Sum the features of a surrogate over the pixels of every class; differentiable.

    One pass over the logits forward and one backward. Nothing of the size of the logits is made but their
    gradient. Without ``weights``, a strip of pixels is multiplied with its one-hot, which has a row only for
    each class that the strip holds (on an accelerator, where that number would have to be waited for, for
    each of the K). With them, one weight for each pixel takes the place of the one-hot, and the backward pass
    has nothing to look up: cheaper, and the cost does not depend on how many classes there are in a batch.
    On CUDA two Triton kernels do that, where they can.

    Args:
        logits: (B, K, P), floating point; half precision is widened to float32 strip by strip.
        rows: (B, P), integer labels with K for void, as ``class_index`` returns; K + 1 makes the sums nan.
        request: what to sum.
        weights: (K,), weight of a pixel of each class when it is a negative; None to keep negatives of
            different classes apart.
        all_channels: fill the channels of classes that no pixel of this batch holds as well; needed where
            the sums will meet those of other batches or ranks.

    Returns:
        The sums, K x K of them or with ``weights`` K. The gradient flows to the logits from all but the
        ``count``.

    Raises:
        ValueError: for a sorted surrogate, which has no sums.
    """
    kernels = _kernels(logits.device.type)
    # labels in the smallest dtype that holds them are compared with a class several times faster
    labels = rows.to(torch.uint8 if request.num_classes < 254 else torch.int16)
    with torch.autocast(logits.device.type, enabled=False):
        if checks.transformed():
            sums = plain_sums(logits, rows, request)
            return sums if weights is None else channels_of(sums, weights)
        if weights is not None and kernels is not None and kernels.fit(logits, request.bilinear):
            return kernels.channel_sums(logits, labels, request, weights)
        strips = _Strips(logits.detach(), labels, request, all_channels)
        if weights is None:
            return ClassSums(strips.count, *_ByClass.apply(logits, strips))
        return ChannelSums(*_ByChannel.apply(logits, strips, weights.detach()))


@cache
def _kernels(device: str) -> ModuleType | None:
    """The module with the kernels for a type of device; None where there is none, or no Triton."""
    # Triton knows AMD's devices as well, but this code has never seen one
    if device not in KERNELS or torch.version.hip is not None or find_spec("triton") is None:
        return None
    return import_module(KERNELS[device])


@dataclass(frozen=True)
class _Strip:
    """A run of p pixels of one image.

    Attributes:
        image: its image.
        part: its pixels.
        label: (p,), labels in their narrow dtype.
        row: (p,) int64, labels.
        own: (p,) int64, where in the flattened (n, p) scores each pixel's own channel is; the first where
            it is void.
    """

    image: int
    part: slice
    label: Tensor
    row: Tensor
    own: Tensor

    def pick(self, scores: Tensor) -> Tensor:
        """(1, p), the score of each pixel's own channel. In one dimension that is three times as fast."""
        return scores.reshape(-1).index_select(0, self.own)[None]

    def put(self, scores: Tensor, values: Tensor) -> None:
        """Write (1, p) to each pixel's own channel of (n, p), in place."""
        scores.view(-1).scatter_(0, self.own, values.view(-1))

    def blank(self, scores: Tensor) -> None:
        """Set each pixel's own channel of (n, p) to zero, in place."""
        scores.view(-1).scatter_(0, self.own, 0)


class _Strips:
    """A batch of logits (B, K, P), without a gradient, and labels, cut up alike forward and backward."""

    def __init__(self, logits: Tensor, labels: Tensor, request: Request, all_channels: bool) -> None:
        self.logits, self.labels, self.request = logits, labels, request
        self.form, self.k = request.bilinear, request.num_classes
        self.cpu = not checks.synchronizes(logits.device)
        self.accumulator = checks.widest(logits.device)
        double = self.form.double or logits.dtype == torch.float64
        self.dtype = self.accumulator if double else torch.float32
        self.place = torch.arange(self.k + 2, device=logits.device)  # row of a class among the scores
        # Only the channel of a class that occurs is ever compared. Which those are an accelerator would have
        # to wait for, and a softmax needs all of them anyway.
        self.channels: Tensor | None = None
        if self.cpu and not all_channels and request.activation != "softmax":
            held = self.count.nonzero().flatten()
            if not len(held):  # void alone: any one channel will do
                held = torch.zeros(1, dtype=torch.int64)
            if len(held) <= _FEW * self.k:
                self.channels = held
                self.place[held] = torch.arange(len(held))
        self.place[self.k :] = 0
        self.column = torch.arange(min(STRIP_MAX_PIXELS, labels.shape[1]), device=logits.device)
        self.lse = logits.new_empty(labels.shape if request.cross_entropy else (0, 0), dtype=self.dtype)
        self.poison = self._poison()
        self.scratch: dict[int, Tensor] = {}

    @cached_property
    def count(self) -> Tensor:
        """(K,) pixels of each class, in the dtype of the sums."""
        return class_count(self.labels, self.k)

    @property
    def width(self) -> int:
        """n, the number of channels that matter."""
        return self.k if self.channels is None else len(self.channels)

    def __iter__(self) -> Iterator[_Strip]:
        """Every pixel of every image once."""
        wide = max(self.k if self.request.cross_entropy else 0, self.width * self.form.degree)
        limit = (STRIP_SCORES_CPU if self.cpu else STRIP_SCORES_DEVICE) // wide
        pixels = min(STRIP_MAX_PIXELS, max(STRIP_MIN_PIXELS, limit // _SUMMANDS * _SUMMANDS))
        for image in range(len(self.labels)):
            for start in range(0, self.labels.shape[1], pixels):
                part = slice(start, start + pixels)
                label = self.labels[image, part]
                row = label.long()
                own = self.place.index_select(0, row).mul_(len(row)).add_(self.column[: len(row)])
                yield _Strip(image, part, label, row, own)

    def buffer(self, number: int, rows: int, strip: _Strip) -> Tensor:
        """(rows, p) of scratch memory; one for each number, the same for all strips."""
        size = rows * len(strip.label)
        if number not in self.scratch or len(self.scratch[number]) < size:
            self.scratch[number] = self.logits.new_empty(size, dtype=self.dtype)
        return self.scratch[number][:size].view(rows, len(strip.label))

    def scores(self, strip: _Strip, out: Tensor | None = None) -> Tensor:
        """(n, p) scores of the channels that matter, float32 or wider; in ``out``, scratch or the logits."""
        logits = self.logits[strip.image, :, strip.part]
        if self.channels is not None:
            logits = logits.index_select(0, self.channels)
        logits = logits.to(self.dtype)
        if self.request.activation == "identity":
            return logits
        out = self.buffer(0, self.width, strip) if out is None else out
        if self.request.activation == "sigmoid":
            return torch.sigmoid(logits, out=out)
        return torch.softmax(logits, 0, out=out)

    def onehot(self, strip: _Strip) -> tuple[Tensor, Tensor]:
        """The classes of the strip and, for each, a row of ones and zeros (C, p); void pixels are in none."""
        classes = self.place[: self.k]
        if self.cpu:
            classes = torch.bincount(strip.label, minlength=self.k + 1)[: self.k].nonzero().flatten()
        out = self.buffer(3, len(classes), strip)
        return classes, torch.eq(classes.to(strip.label.dtype)[:, None], strip.label, out=out)

    def by_class(self, values: Tensor, strip: _Strip) -> Tensor:
        """Sums of (D, p) values over the pixels of each class: (D, K)."""
        if not self.cpu:
            _, onehot = self.onehot(strip)
            return _contract(values, onehot, self.accumulator)
        size = self.k + 2
        sums = [torch.bincount(strip.row, weights=v.to(self.accumulator), minlength=size) for v in values]
        return torch.stack(sums)[:, : self.k]

    def sum_cross_entropy(self, strip: _Strip) -> Tensor:
        """Sum of the cross entropies of the pixels that are not void."""
        logits = self.logits[strip.image, :, strip.part].to(self.dtype)
        log_softmax = torch.log_softmax(logits, 0, out=self.buffer(1, self.k, strip))
        torch.sub(logits[0], log_softmax[0], out=self.lse[strip.image, strip.part])
        void = strip.label >= self.k
        picked = log_softmax.gather(0, strip.row.masked_fill(void, 0)[None])[0]
        return -picked.masked_fill_(void, 0).sum(dtype=self.accumulator)

    def new_gradient(self, logits: Tensor) -> Tensor:
        """Room for the gradient, zero where ``write`` will not write."""
        dense = self.channels is None or self.request.cross_entropy
        return torch.empty_like(logits) if dense else torch.zeros_like(logits)

    def write(self, strip: _Strip, slope: Tensor, scores: Tensor, grad: Tensor, weight: Tensor) -> None:
        """Put the gradient of the strip's logits in its place.

        Args:
            strip: the pixels.
            slope: (n, p), derivative by the scores; overwritten.
            scores: (n, p).
            grad: (B, K, P), gradient of all logits.
            weight: derivative by the sum of the cross entropies.
        """
        out = grad[strip.image, :, strip.part]
        wide = out.dtype == self.dtype
        if self.request.activation == "softmax":
            slope.sub_((scores * slope).sum(0)).mul_(scores)
        elif self.request.activation == "sigmoid":
            direct = wide and self.channels is None and not self.request.cross_entropy
            torch.ops.aten.sigmoid_backward(slope, scores, grad_input=out if direct else slope)
            if direct:
                return
        if self.request.cross_entropy:
            # both terms are added before half precision rounds their sum
            total = out if wide else self.buffer(4, self.k, strip)
            share, softmax = self._cross_entropy_slope(strip, weight)
            if self.channels is None:
                torch.addcmul(slope, softmax, share, out=total)
            else:
                torch.mul(softmax, share, out=total).index_add_(0, self.channels, slope)
            if not wide:
                out.copy_(total)
        elif self.channels is None:
            out.copy_(slope)
        else:
            out.index_copy_(0, self.channels, slope.to(out.dtype))

    def _cross_entropy_slope(self, strip: _Strip, weight: Tensor) -> tuple[Tensor, Tensor]:
        """A factor for each pixel (p,), zero where void, and softmax minus one-hot (K, p)."""
        logits = self.logits[strip.image, :, strip.part].to(self.dtype)
        void = strip.label >= self.k
        slope = self.buffer(5, self.k, strip)
        torch.sub(logits, self.lse[strip.image, strip.part], out=slope).exp_()
        here = strip.row.masked_fill(void, 0) * len(void) + self.column[: len(void)]
        slope.view(-1).scatter_add_(0, here, slope.new_full((), -1.0).expand(len(void)))
        return weight.to(self.dtype) * ~void, slope

    def _poison(self) -> Tensor:
        """A nan where an input is one that no error could be raised for without waiting for the device."""
        bad = self.labels.new_zeros((), dtype=torch.bool) if self.cpu else (self.labels > self.k).any()
        allowed = self.form.score_range
        if self.request.activation == "identity" and allowed is not None and self.logits.numel():
            low, high = torch.aminmax(self.logits)
            bad = bad | (low < allowed[0]) | (high > allowed[1])
        return torch.where(bad, torch.nan, 0.0)


class _ByClass(torch.autograd.Function):
    """The table of sums, by products with one-hots. ``strips`` holds the logits without their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, strips: _Strips) -> tuple[Tensor, Tensor, Tensor]:
        form, k, acc = strips.form, strips.k, strips.accumulator
        own = logits.new_zeros((k, form.degree), dtype=acc)
        other = logits.new_zeros((k, k, form.degree), dtype=acc)
        cross_entropy = logits.new_zeros((), dtype=acc)
        for strip in strips:
            if strips.request.cross_entropy:
                cross_entropy += strips.sum_cross_entropy(strip)
            scores = strips.scores(strip)
            n = len(scores)
            # one product for both: the features of all channels, and below them those of the own channel
            stack = strips.buffer(1, form.degree * (n + 1), strip)
            negative = stack[: form.degree * n].view(form.degree, *scores.shape)
            form.polynomials(form.other, scores, negative)
            positive = stack[form.degree * n :].view(form.degree, 1, -1)
            form.polynomials(form.own, strip.pick(scores), positive)
            classes, onehot = strips.onehot(strip)
            table = _contract(stack, onehot, acc)
            own.index_add_(0, classes, table[form.degree * n :].t())
            table = table[: form.degree * n].view(form.degree, n, -1).permute(2, 1, 0)
            if strips.channels is None:
                other.index_add_(0, classes, table)
            else:
                other.index_put_((classes[:, None], strips.channels), table, accumulate=True)
        ctx.save_for_backward(logits)
        ctx.strips = strips
        return own + strips.poison, other + strips.poison, cross_entropy

    @staticmethod
    def backward(
        ctx: Any, grad_own: Tensor, grad_other: Tensor, grad_cross_entropy: Tensor
    ) -> tuple[Tensor, None]:
        (logits,) = ctx.saved_tensors
        strips: _Strips = ctx.strips
        if torch.is_grad_enabled():  # the gradient will be differentiated
            sums = plain_sums(logits, strips.labels, strips.request)
            weights = [grad_own, grad_other, grad_cross_entropy]
            return gradient_again([sums.own, sums.other, sums.cross_entropy], logits, weights), None
        form = strips.form
        own_table = form.slopes(form.own, grad_own)[:, None]
        other_table = form.slopes(form.other, grad_other)
        if strips.channels is not None:
            other_table = other_table[:, strips.channels]
        table = torch.cat((other_table, own_table), 1).to(strips.dtype)  # (K, n + 1, D)
        table = table.permute(2, 1, 0).flatten(0, 1).contiguous()
        grad = strips.new_gradient(logits)
        for strip in strips:
            scores = strips.scores(strip)
            n = len(scores)
            classes, onehot = strips.onehot(strip)
            found = strips.buffer(1, form.degree * (n + 1), strip)
            found = _lookup(table.index_select(1, classes), onehot, out=found).view(form.degree, n + 1, -1)
            slope = form.derivative(form.other, scores, found[:, :n], found[-1, :n])
            # on its own channel a pixel is a positive, not a negative of itself; void looks up zeros
            strip.put(slope, form.derivative(form.own, strip.pick(scores), found[:, n:]))
            strips.write(strip, slope, scores, grad, grad_cross_entropy)
        return grad, None


class _ByChannel(torch.autograd.Function):
    """Sums with a weight for each pixel. ``strips`` holds the logits without their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, strips: _Strips, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        form, k, acc = strips.form, strips.k, strips.accumulator
        own = logits.new_zeros((form.degree, k), dtype=acc)
        rest = logits.new_zeros((form.degree, k), dtype=acc)
        cross_entropy = logits.new_zeros((), dtype=acc)
        # void weighs nothing
        weights = torch.nn.functional.pad(weights, (0, 2)).to(strips.dtype)
        for strip in strips:
            if strips.request.cross_entropy:
                cross_entropy += strips.sum_cross_entropy(strip)
            stack = strips.buffer(1, form.degree * strips.width, strip)
            stack = stack.view(form.degree, strips.width, -1)
            scores = strips.scores(strip, out=stack[0] if form.other.identical else None)
            positive = strips.buffer(2, form.degree, strip)[:, None]
            form.polynomials(form.own, strip.pick(scores), positive)
            own += strips.by_class(positive[:, 0], strip)
            # taken out before the sum and not after it: the own scores are the large ones
            form.polynomials(form.other, scores, stack, blank=strip.blank)
            weight = weights.index_select(0, strip.row)[None]
            table = _contract(stack.flatten(0, 1), weight, acc).view(form.degree, -1)
            rest = rest + table if strips.channels is None else rest.index_add_(1, strips.channels, table)
        ctx.save_for_backward(logits, weights)
        ctx.strips = strips
        return own.t() + strips.poison, rest.t() + strips.poison, cross_entropy

    @staticmethod
    def backward(
        ctx: Any, grad_own: Tensor, grad_rest: Tensor, grad_cross_entropy: Tensor
    ) -> tuple[Tensor, None, None]:
        logits, weights = ctx.saved_tensors
        strips: _Strips = ctx.strips
        if torch.is_grad_enabled():
            sums = channels_of(plain_sums(logits, strips.labels, strips.request), weights[: strips.k])
            grads = [grad_own, grad_rest, grad_cross_entropy]
            return gradient_again([sums.own, sums.rest, sums.cross_entropy], logits, grads), None, None
        form = strips.form
        own_table = torch.nn.functional.pad(form.slopes(form.own, grad_own).t(), (0, 2)).to(strips.dtype)
        table = form.slopes(form.other, grad_rest).to(strips.dtype)
        table = (table if strips.channels is None else table[strips.channels]).t()[..., None]  # (D, n, 1)
        grad = strips.new_gradient(logits)
        for strip in strips:
            scores = strips.scores(strip)
            slope = form.derivative(form.other, scores, table, strips.buffer(1, len(scores), strip))
            slope.mul_(weights.index_select(0, strip.row))
            found = own_table.index_select(1, strip.row)[:, None]
            strip.put(slope, form.derivative(form.own, strip.pick(scores), found))
            strips.write(strip, slope, scores, grad, grad_cross_entropy)
        return grad, None, None


def _contract(a: Tensor, b: Tensor, accumulator: torch.dtype) -> Tensor:
    """Sum over pixels of products, in blocks whose sums are added in a wider dtype.

    A product of matrices adds one number after the other: over 65,000 equal scores in float32 that loses
    four digits.

    Args:
        a: (m, p), the numbers.
        b: (n, p), ones and zeros or weights.
        accumulator: dtype of the sum over blocks.

    Returns:
        (m, n) of the dtype ``accumulator``.
    """
    m, p = a.shape
    blocks = p // _SUMMANDS
    cut = blocks * _SUMMANDS
    total = _lookup(a[:, cut:], b[:, cut:].t()).to(accumulator)  # what is left over
    if blocks:
        left = b[:, :cut].view(-1, blocks, _SUMMANDS).transpose(0, 1)
        right = a[:, :cut].view(m, blocks, _SUMMANDS).permute(1, 2, 0)
        for third in (right,) if _exact(a) else _thirds(right):
            total += torch.bmm(left, third).sum(0, dtype=accumulator).t()
    return total


def _lookup(table: Tensor, onehot: Tensor, out: Tensor | None = None) -> Tensor:
    """A column of the table (m, n) for each pixel of (n, p): (m, p), by a product that keeps all digits."""
    if _exact(table):
        return torch.mm(table, onehot, out=out)
    high, middle, low = _thirds(table)
    product = high @ onehot + (middle @ onehot + low @ onehot)
    return product if out is None else out.copy_(product)


def _exact(values: Tensor) -> bool:
    """Whether a product keeps float32, which torch.set_float32_matmul_precision may have given up."""
    return values.dtype != torch.float32 or torch.get_float32_matmul_precision() == "highest"


def _thirds(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # TF32 would cut the scores to 11 bits, bfloat16 to 8; three parts of 8 bits pass through unchanged
    high = values.bfloat16().float()
    middle = (values - high).bfloat16().float()
    return high, middle, values - high - middle
