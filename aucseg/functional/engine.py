"""Sums over the pixels of every class, and the gradient that comes back through them.

All that a bilinear AUC loss needs of the pixels, from logits and labels in one pass forward and one backward.
This is the only door to the two ways there are: strip by strip in pieces that fit the cache of a CPU, which
is below and works on any device, and the Triton kernels of ``cuda`` where they can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, overload
from weakref import finalize

import torch
from torch import Tensor

from aucseg.functional import checks
from aucseg.functional.parallel import Scratch, borrow, give_back, in_threads
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
# Exponentials of the logits up to which, and from whose inverse on, they are taken as they are: a sum of
# them, and a quotient of two, is far from both ends of float32.
_EXPONENTIALS = 1e17
# Scores of a batch that are kept from the pass forward, so few that nobody sees their memory.
_KEPT_SCORES = 2**20
# Numbers that one product of matrices adds up in the dtype of its factors.
_SUMMANDS = 2**8
# Pixels up to which they are widened instead.
_FEW_PIXELS = 2**9
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
    logits: Tensor,
    rows: Tensor,
    request: Request,
    weights: None = None,
    *,
    all_channels: bool = False,
    count: Tensor | None = None,
) -> ClassSums: ...


@overload
def class_sums(
    logits: Tensor,
    rows: Tensor,
    request: Request,
    weights: Tensor,
    *,
    all_channels: bool = False,
    count: Tensor | None = None,
) -> ChannelSums: ...


def class_sums(
    logits: Tensor,
    rows: Tensor,
    request: Request,
    weights: Tensor | None = None,
    *,
    all_channels: bool = False,
    count: Tensor | None = None,
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
        count: (K,), pixels of each class of these images (or of more), where they have been counted already.

    Returns:
        The sums, K x K of them or with ``weights`` K. The gradient flows to the logits from all but the
        ``count``.

    Raises:
        ValueError: for a sorted surrogate, which has no sums.
    """
    kernels = _kernels(logits.device.type)
    labels = rows
    if checks.synchronizes(logits.device) or logits.numel() > _KEPT_SCORES:
        # in the smallest dtype that holds them they are compared with a class several times faster
        labels = rows.to(torch.uint8 if request.num_classes < 254 else torch.int16)
    with torch.autocast(logits.device.type, enabled=False):
        if checks.transformed():
            sums = plain_sums(logits, rows, request)
            return sums if weights is None else channels_of(sums, weights)
        if weights is not None and kernels is not None and kernels.fit(logits, request.bilinear):
            return kernels.channel_sums(logits, labels, request, weights)
        strips = _Strips(logits.detach(), labels, request, all_channels, count)
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


@dataclass
class _Strip:
    """A run of p pixels of one image.

    Attributes:
        number: its place among all strips.
        image: its image.
        part: its pixels.
        label: (p,), labels in their narrow dtype.
        row: (p,) int64, labels.
        own: (p,) int64, where in the flattened (n, p) scores each pixel's own channel is; the first where
            it is void.
        scratch: memory that no other strip uses at the same time.
        scores: (n, p), once they have been computed.
        picked: (p,), of these each pixel's own, once they have been looked up.
        exponentials: (K, p), of the logits as they are, once they have been computed.
    """

    number: int
    image: int
    part: slice
    label: Tensor
    row: Tensor
    own: Tensor
    scratch: Scratch
    scores: Tensor | None = None
    picked: Tensor | None = None
    exponentials: Tensor | None = None

    @property
    def size(self) -> int:
        """P."""
        return self.label.shape[0]

    def pick(self, scores: Tensor) -> Tensor:
        """(p,), the score of each pixel's own channel. In one dimension that is three times as fast."""
        return scores.reshape(-1).index_select(0, self.own)

    def own_scores(self, scores: Tensor) -> Tensor:
        """(p,), of its scores (n, p) each pixel's own."""
        if self.picked is None:
            self.picked = self.pick(scores)
        return self.picked

    def put(self, scores: Tensor, values: Tensor) -> None:
        """Write (p,) to each pixel's own channel of (n, p), in place."""
        scores.view(-1).scatter_(0, self.own, values)

    def blank(self, scores: Tensor) -> None:
        """Set each pixel's own channel of (n, p) to zero, in place."""
        self.put(scores, zeros(self.size, scores.dtype, scores.device))

    def buffer(self, name: str, rows: int, dtype: torch.dtype) -> Tensor:
        """(rows, p) of scratch memory."""
        return self.scratch.get(name, rows * self.size, self.label, dtype).view(rows, self.size)


class _Strips:
    """A batch of logits (B, K, P), without a gradient, and labels, cut up alike forward and backward."""

    def __init__(
        self, logits: Tensor, labels: Tensor, request: Request, all_channels: bool, count: Tensor | None
    ) -> None:
        self.logits, self.labels, self.request = logits, labels, request
        self.form, self.k = request.bilinear, request.num_classes
        self.cpu = not checks.synchronizes(logits.device)
        self.accumulator = checks.widest(logits.device)
        double = self.form.double or logits.dtype == torch.float64
        self.dtype = self.accumulator if double else torch.float32
        self.place = places(self.k, logits.device)  # row of a class among the scores
        if count is not None:
            self.count = count
        # Only the channel of a class that occurs is ever compared. Which those are an accelerator would have
        # to wait for, and a softmax needs all of them anyway.
        self.channels: Tensor | None = None
        if self.cpu and not all_channels and request.activation != "softmax":
            held = self.count.nonzero().flatten()
            if not len(held):  # void alone: any one channel will do
                held = torch.zeros(1, dtype=torch.int64)
            if len(held) <= _FEW * self.k:
                self.channels = held
                self.place = self.place.index_copy(0, held, numbers(len(held), held.device))
        self.width = self.k if self.channels is None else len(self.channels)  # n, the channels that matter
        self.cut = self._cut()
        longest = max((part.stop - part.start for _, part in self.cut), default=0)
        self.column = numbers(longest, logits.device)
        if request.cross_entropy and self.cpu:
            # the sum of the exponentials of each pixel
            self.total = logits.new_empty(labels.shape, dtype=self.dtype)
        self.shared = [False] * len(self.cut)  # whether the exponentials of a strip are those of its logits
        self.poison = self._poison()
        self.scratch = Scratch()  # of an accelerator, where one strip follows the other
        # what there is of each strip from the pass forward, where it is so little that nobody sees its memory
        self.kept: dict[int, _Strip] | None = None
        if self.cpu and labels.numel() * max(self.width, self.k) <= _KEPT_SCORES:
            self.kept = {}
            finalize(self, _give_back_kept, self.kept)

    @cached_property
    def count(self) -> Tensor:
        """(K,) pixels of each class, in the dtype of the sums."""
        return class_count(self.labels, self.k)

    def _cut(self) -> list[tuple[int, slice]]:
        """Every pixel of every image once. The number of threads has no say in it, nor so in any sum."""
        images, pixels = self.labels.shape
        wide = max(self.k if self.request.cross_entropy else 0, self.width * self.form.degree)
        limit = (STRIP_SCORES_CPU if self.cpu else STRIP_SCORES_DEVICE) // wide
        size = min(STRIP_MAX_PIXELS, max(STRIP_MIN_PIXELS, limit // _SUMMANDS * _SUMMANDS))
        return [
            (image, slice(start, min(start + size, pixels)))
            for image in range(images)
            for start in range(0, pixels, size)
        ]

    def each(self, work: Callable[[_Strip], None]) -> None:
        """Do some work with every strip; on a CPU in several threads."""

        def one(number: int) -> None:
            if self.kept is not None and number in self.kept:
                work(self.kept[number])
                return
            image, part = self.cut[number]
            label = self.labels[image, part]
            row = label.long()
            size = row.shape[0]
            own = torch.add(self.column[:size], self.place.index_select(0, row), alpha=size)
            scratch = borrow() if self.cpu else self.scratch
            strip = _Strip(number, image, part, label, row, own, scratch)
            work(strip)
            if self.kept is not None:
                self.kept[number] = strip
            elif self.cpu:
                give_back(scratch)

        strips = range(len(self.cut))
        if self.cpu:
            in_threads(one, strips)
        else:
            for number in strips:
                one(number)

    def buffer(self, name: str, rows: int, strip: _Strip) -> Tensor:
        """(rows, p) of the strip's scratch memory in the dtype of the scores."""
        return strip.buffer(name, rows, self.dtype)

    def scores(self, strip: _Strip, out: Tensor | None = None) -> Tensor:
        """(n, p) scores of the channels that matter, float32 or wider; in ``out``, scratch or the logits."""
        if strip.scores is not None:
            return strip.scores
        activation = self.request.activation
        exponentials = None if activation == "identity" else self.exponentials(strip)
        if exponentials is None:
            logits = self.logits[strip.image, :, strip.part]
            if self.channels is not None:
                logits = logits.index_select(0, self.channels)
            logits = logits.to(self.dtype)
            if activation == "identity":
                strip.scores = logits
                return logits
        out = self.buffer("scores", self.width, strip) if out is None else out
        if exponentials is None:
            activate = torch.sigmoid if activation == "sigmoid" else partial(torch.softmax, dim=0)
            strip.scores = activate(logits, out=out)
        elif activation == "softmax":
            strip.scores = torch.div(exponentials, self.total[strip.image, strip.part], out=out)
        else:
            if self.channels is not None:
                exponentials = exponentials.index_select(0, self.channels)
            strip.scores = torch.div(exponentials, torch.add(exponentials, 1, out=out), out=out)
        return strip.scores

    def exponentials(self, strip: _Strip) -> Tensor | None:
        """(K, p), of all logits of the strip as they are, which scores and cross entropies share.

        None where no cross entropy is asked for, or ``sum_cross_entropy`` found them too large or too small.
        """
        if not self.shared[strip.number]:
            return None
        if strip.exponentials is None:
            logits = self.logits[strip.image, :, strip.part].to(self.dtype)
            strip.exponentials = torch.exp(logits, out=self.buffer("exponentials", self.k, strip))
        return strip.exponentials

    def onehot(self, strip: _Strip) -> tuple[Tensor, Tensor]:
        """The classes of the strip and, for each, a row of ones and zeros (C, p); void pixels are in none."""
        classes = self.place[: self.k]
        if self.cpu:
            classes = torch.bincount(strip.label, minlength=self.k + 1)[: self.k].nonzero().flatten()
        out = self.buffer("onehot", len(classes), strip)
        return classes, torch.eq(classes.to(strip.label.dtype)[:, None], strip.label, out=out)

    def by_class(self, values: Tensor, strip: _Strip) -> Tensor:
        """Sums of (D, p) values over the pixels of each class: (D, K)."""
        if not self.cpu:
            _, onehot = self.onehot(strip)
            return contract(values, onehot, self.accumulator)
        values = values.to(self.accumulator)
        sums = values.new_zeros(len(values), self.k + 2)
        for total, value in zip(sums.unbind(), values.unbind(), strict=True):
            total.scatter_add_(0, strip.row, value)  # in one dimension, several times as fast as in two
        return sums[:, : self.k]

    def sum_cross_entropy(self, strip: _Strip) -> Tensor:
        """Sum of the cross entropies of the pixels that are not void."""
        void = strip.label >= self.k
        place = strip.own
        if self.channels is not None:  # all K are here
            row = strip.row.masked_fill(void, 0)
            place = torch.add(self.column[: strip.size], row, alpha=strip.size)
        logits = self.logits[strip.image, :, strip.part].to(self.dtype)
        if self.cpu:
            total = self.total[strip.image, strip.part]
            # Without the largest logit taken out first, which is safe where every pixel's are of a size that
            # exponentials know. The own class's share of their sum has all digits that the loss has.
            exponentials = torch.exp(logits, out=self.buffer("exponentials", self.k, strip))
            torch.sum(exponentials, 0, out=total)
            picked = exponentials.view(-1).index_select(0, place)
            low, high = (end.item() for end in torch.aminmax(total))
            if min(picked.amin().item(), low) >= 1 / _EXPONENTIALS and high <= _EXPONENTIALS:
                self.shared[strip.number], strip.exponentials = True, exponentials
                return -picked.div_(total).masked_fill_(void, 1).log_().sum(dtype=self.accumulator)
        log_softmax = torch.log_softmax(logits, 0, out=self.buffer("softmax", self.k, strip))
        picked = log_softmax.view(-1).index_select(0, place)
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
            torch.ops.aten.sigmoid_backward.grad_input(slope, scores, grad_input=out if direct else slope)
            if direct:
                return
        if self.request.cross_entropy:
            # both terms are added before half precision rounds their sum
            total = out if wide else self.buffer("gradient", self.k, strip)
            share = weight.to(self.dtype) * (strip.label < self.k)
            # the softmax less the one-hot, of which a pixel's own channel always is among those that matter
            slope.view(-1).scatter_add_(0, strip.own, -share)
            softmax = self.exponentials(strip)
            if softmax is None:
                logits = self.logits[strip.image, :, strip.part].to(self.dtype)
                softmax = torch.softmax(logits, 0, out=self.buffer("softmax", self.k, strip))
            else:
                share.div_(self.total[strip.image, strip.part])
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

    def or_nan(self, sums: Tensor) -> Tensor:
        """The sums; nan where an input is one that no error could be raised for without a wait."""
        return sums if self.poison is None else sums + self.poison

    def _poison(self) -> Tensor | None:
        """What ``or_nan`` adds, nan or 0; None where there is nothing to look at."""
        allowed = self.form.score_range
        bounded = self.request.activation == "identity" and allowed is not None and self.logits.numel() > 0
        if self.cpu and not bounded:
            return None
        bad = self.labels.new_zeros((), dtype=torch.bool) if self.cpu else (self.labels > self.k).any()
        if bounded and allowed is not None:
            low, high = torch.aminmax(self.logits)
            bad = bad | (low < allowed[0]) | (high > allowed[1])
        return torch.where(bad, torch.nan, 0.0)


@lru_cache(maxsize=64)
def numbers(size: int, device: torch.device) -> Tensor:
    """(size,) int64, 0 to size - 1; always the same tensor, not to be written to."""
    with torch.inference_mode(False):
        return torch.arange(size, device=device)


@lru_cache(maxsize=64)
def places(classes: int, device: torch.device) -> Tensor:
    """(K + 2,) where all channels are there: that of a class at its own number, of void and of none at 0."""
    with torch.inference_mode(False):
        return torch.cat((numbers(classes, device), zeros(2, torch.int64, device)))


@lru_cache(maxsize=64)
def zeros(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(size,) zeros; always the same tensor, not to be written to."""
    with torch.inference_mode(False):
        return torch.zeros(size, dtype=dtype, device=device)


def _give_back_kept(kept: dict[int, _Strip]) -> None:
    give_back(*(strip.scratch for strip in kept.values()))


class _ByClass(torch.autograd.Function):
    """The table of sums, by products with one-hots. ``strips`` holds the logits without their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, strips: _Strips) -> tuple[Tensor, Tensor, Tensor]:
        form, k, acc = strips.form, strips.k, strips.accumulator
        own = logits.new_zeros((k, form.degree), dtype=acc)
        other = logits.new_zeros((k, k, form.degree), dtype=acc)
        cross_entropy = logits.new_zeros(len(strips.cut), dtype=acc)
        tables: list[tuple[Tensor, Tensor]] = [(own, own)] * len(strips.cut)

        def work(strip: _Strip) -> None:
            if strips.request.cross_entropy:
                cross_entropy[strip.number] = strips.sum_cross_entropy(strip)
            scores = strips.scores(strip)
            n = len(scores)
            # one product for both: the features of all channels, and below them those of the own channel
            stack = strips.buffer("stack", form.degree * (n + 1), strip)
            negative = stack[: form.degree * n].view(form.degree, *scores.shape)
            form.polynomials(form.other, scores, negative)
            form.polynomials(form.own, strip.pick(scores), stack[form.degree * n :])
            classes, onehot = strips.onehot(strip)
            tables[strip.number] = classes, contract(stack, onehot, acc)

        strips.each(work)
        n = strips.width
        for classes, table in tables:  # in their order, so that the sum is the same each time
            own.index_add_(0, classes, table[form.degree * n :].t())
            table = table[: form.degree * n].view(form.degree, n, -1).permute(2, 1, 0)
            if strips.channels is None:
                other.index_add_(0, classes, table)
            else:
                other.index_put_((classes[:, None], strips.channels), table, accumulate=True)
        ctx.save_for_backward(logits)
        ctx.strips = strips
        return strips.or_nan(own), strips.or_nan(other), cross_entropy.sum()

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

        def work(strip: _Strip) -> None:
            scores = strips.scores(strip)
            n = len(scores)
            classes, onehot = strips.onehot(strip)
            found = strips.buffer("slope", form.degree * (n + 1), strip)
            found = _lookup(table.index_select(1, classes), onehot, out=found).view(form.degree, n + 1, -1)
            slope = form.derivative(form.other, scores, found[:, :n], found[-1, :n])
            # on its own channel a pixel is a positive, not a negative of itself; void looks up zeros
            strip.put(slope, form.derivative(form.own, strip.pick(scores), found[:, n]))
            strips.write(strip, slope, scores, grad, grad_cross_entropy)

        strips.each(work)
        return grad, None


class _ByChannel(torch.autograd.Function):
    """Sums with a weight for each pixel. ``strips`` holds the logits without their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, strips: _Strips, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        form, k, acc, pieces = strips.form, strips.k, strips.accumulator, len(strips.cut)
        own = logits.new_empty((pieces, form.degree, k), dtype=acc)
        rest = logits.new_empty((pieces, form.degree * strips.width), dtype=acc)
        cross_entropy = logits.new_zeros(pieces, dtype=acc)
        weights = with_void(weights, strips.dtype)

        def work(strip: _Strip) -> None:
            if strips.request.cross_entropy:
                cross_entropy[strip.number] = strips.sum_cross_entropy(strip)
            flat = strips.buffer("stack", form.degree * strips.width, strip)
            stack = flat.view(form.degree, strips.width, -1)
            # where the feature of a score is the score, that is the first layer
            scores = strips.scores(strip, out=stack[0] if form.other.identical else None)
            picked = strip.own_scores(scores)
            positive = strips.buffer("positive", form.degree, strip)
            own[strip.number] = strips.by_class(form.polynomials(form.own, picked, positive), strip)
            # taken out before the sum and not after it: the own scores are the large ones
            form.polynomials(form.other, scores, stack, blank=strip.blank)
            weight = weights.index_select(0, strip.row)[None]
            rest[strip.number] = contract(flat, weight, acc).view(-1)
            if strips.kept is not None and form.other.identical and strips.request.activation != "identity":
                strip.put(scores, picked)  # whole again for the pass backward

        strips.each(work)
        own, total = (parts[0] if pieces == 1 else parts.sum(0) for parts in (own, rest))
        total = total.view(form.degree, -1)
        if strips.channels is not None:
            total = total.new_zeros((form.degree, k)).index_copy_(1, strips.channels, total)
        ctx.save_for_backward(logits, weights)
        ctx.set_materialize_grads(False)
        ctx.strips = strips
        return strips.or_nan(own.t()), strips.or_nan(total.t()), cross_entropy.sum()

    @staticmethod
    def backward(
        ctx: Any, grad_own: Tensor | None, grad_rest: Tensor | None, grad_cross_entropy: Tensor | None
    ) -> tuple[Tensor, None, None]:
        logits, weights = ctx.saved_tensors
        strips: _Strips = ctx.strips
        if grad_own is None or grad_rest is None:
            none = logits.new_zeros((strips.k, strips.form.degree), dtype=strips.accumulator)
            grad_own = none if grad_own is None else grad_own
            grad_rest = none if grad_rest is None else grad_rest
        if grad_cross_entropy is None:
            grad_cross_entropy = zeros(1, strips.accumulator, logits.device)[0]
        if torch.is_grad_enabled():
            sums = channels_of(plain_sums(logits, strips.labels, strips.request), weights[: strips.k])
            grads = [grad_own, grad_rest, grad_cross_entropy]
            return gradient_again([sums.own, sums.rest, sums.cross_entropy], logits, grads), None, None
        form = strips.form
        own_table = with_void(form.slopes(form.own, grad_own).t(), strips.dtype)
        table = form.slopes(form.other, grad_rest).to(strips.dtype)
        table = (table if strips.channels is None else table[strips.channels]).t()[..., None]  # (D, n, 1)
        grad = strips.new_gradient(logits)

        def work(strip: _Strip) -> None:
            scores = strips.scores(strip)
            slope = form.derivative(form.other, scores, table, strips.buffer("slope", len(scores), strip))
            slope.mul_(weights.index_select(0, strip.row))
            found = torch.stack([line.index_select(0, strip.row) for line in own_table.unbind()])
            strip.put(slope, form.derivative(form.own, strip.own_scores(scores), found))
            strips.write(strip, slope, scores, grad, grad_cross_entropy)

        strips.each(work)
        return grad, None, None


def with_void(values: Tensor, dtype: torch.dtype) -> Tensor:
    """(..., K + 2) from (..., K): zero for void, and for what is no label."""
    k = values.shape[-1]
    wider = values.new_zeros((*values.shape[:-1], k + 2), dtype=dtype)
    wider[..., :k] = values
    return wider


def contract(a: Tensor, b: Tensor, accumulator: torch.dtype) -> Tensor:
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
    if p <= _FEW_PIXELS:  # so few that they are widened as fast
        return a.to(accumulator) @ b.to(accumulator).t()
    blocks = p // _SUMMANDS
    cut = blocks * _SUMMANDS
    sums = [_lookup(a[:, cut:], b[:, cut:].t()).to(accumulator)] if cut < p or not p else []  # what is left
    if blocks:
        left = b[:, :cut].view(-1, blocks, _SUMMANDS).transpose(0, 1)
        right = a[:, :cut].view(m, blocks, _SUMMANDS).permute(1, 2, 0)
        thirds = (right,) if _exact(a) else _thirds(right)
        sums += [torch.bmm(left, third).sum(0, dtype=accumulator).t() for third in thirds]
    return sum(sums[1:], sums[0])


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
