"""Logits and labels in pieces that fit a cache, and what a piece is turned into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from aucseg.functional import checks
from aucseg.functional.products import BLOCK, contract
from aucseg.functional.surrogates import BilinearForm
from aucseg.functional.triton_tiles import runs_on

ACTIVATIONS = ("sigmoid", "softmax", "identity")

# Scores in one chunk: few enough for the cache of a CPU, many enough that the call of an operation does not
# matter; on an accelerator, where there is no such cache, more. The sums of a chunk are taken in the dtype of
# its scores, so its pixels are limited as well.
_CHUNK_CPU = 2**21
_CHUNK_DEVICE = 2**26
_CHUNK_MAX_PIXELS = 2**15
_CHUNK_MIN_PIXELS = 2**10
# Share of the channels up to which picking those that matter pays for the picking.
_FEW = 0.75


@dataclass(frozen=True)
class Request:
    """What to sum over the pixels.

    Attributes:
        form: the surrogate.
        num_classes: K.
        activation: from logits to scores, one of ``ACTIVATIONS``.
        all_channels: fill the channels of classes that no pixel of this batch holds as well; needed where
            the sums will meet those of other batches or ranks.
        cross_entropy: sum the cross entropy of the logits in the same pass.
    """

    form: BilinearForm
    num_classes: int
    activation: str = "sigmoid"
    all_channels: bool = False
    cross_entropy: bool = False


@dataclass(frozen=True)
class Chunk:
    """A run of p pixels of one image.

    Attributes:
        image: its image.
        part: its pixels.
        label: (p,), labels in the narrow dtype of ``Chunks.rows``.
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


class Chunks:
    """A batch of logits and labels, chunk by chunk; the same chunks forward and backward.

    Args:
        logits: (B, K, P), without a gradient.
        rows: (B, P), labels; K for void, K + 1 for a label that is none.
        request: what will be summed.
    """

    def __init__(self, logits: Tensor, rows: Tensor, request: Request) -> None:
        self.logits, self.request = logits, request
        self.form, self.k = request.form, request.num_classes
        self.rows = checks.narrow(rows, self.k)
        self.cpu = not checks.synchronizes(logits.device)
        self.accumulator = torch.float32 if logits.device.type == "mps" else torch.float64
        double = request.form.double or logits.dtype == torch.float64
        self.dtype = self.accumulator if double else torch.float32
        self.place = torch.arange(self.k + 2, device=logits.device)  # row of a class among the scores
        # Only the channel of a class that occurs is ever compared. Which those are an accelerator would have
        # to wait for, and a softmax needs all of them anyway.
        self.channels: Tensor | None = None
        if self.cpu and not request.all_channels and request.activation != "softmax":
            held = self.count.nonzero().flatten()
            if not len(held):  # void alone: any one channel will do
                held = torch.zeros(1, dtype=torch.int64)
            if len(held) <= _FEW * self.k:
                self.channels = held
                self.place[held] = torch.arange(len(held))
        self.place[self.k :] = 0
        self.column = torch.arange(min(_CHUNK_MAX_PIXELS, rows.shape[1]), device=logits.device)
        self.lse = logits.new_empty(rows.shape if request.cross_entropy else (0, 0), dtype=self.dtype)
        self.poison = self._poison()
        self.scratch: dict[int, Tensor] = {}

    @cached_property
    def count(self) -> Tensor:
        """(K,) pixels of each class, in the dtype of the sums."""
        return class_count(self.rows, self.k).to(self.accumulator)

    def __iter__(self) -> Iterator[Chunk]:
        """Every pixel of every image once."""
        wide = max(self.k if self.request.cross_entropy else 0, self.width * self.form.degree)
        limit = (_CHUNK_CPU if self.cpu else _CHUNK_DEVICE) // wide
        pixels = min(_CHUNK_MAX_PIXELS, max(_CHUNK_MIN_PIXELS, limit // BLOCK * BLOCK))
        for image in range(len(self.rows)):
            for start in range(0, self.rows.shape[1], pixels):
                part = slice(start, start + pixels)
                label = self.rows[image, part]
                row = label.long()
                own = self.place.index_select(0, row).mul_(len(row)).add_(self.column[: len(row)])
                yield Chunk(image, part, label, row, own)

    def buffer(self, number: int, rows: int, chunk: Chunk) -> Tensor:
        """(rows, p) of scratch memory; one for each number, the same for all chunks."""
        size = rows * len(chunk.label)
        if number not in self.scratch or len(self.scratch[number]) < size:
            self.scratch[number] = self.logits.new_empty(size, dtype=self.dtype)
        return self.scratch[number][:size].view(rows, len(chunk.label))

    @property
    def width(self) -> int:
        """n, the number of channels that matter."""
        return self.k if self.channels is None else len(self.channels)

    def scores(self, chunk: Chunk, out: Tensor | None = None) -> Tensor:
        """(n, p) scores of the channels that matter, float32 or wider; in ``out``, scratch or the logits."""
        logits = self.logits[chunk.image, :, chunk.part]
        if self.channels is not None:
            logits = logits.index_select(0, self.channels)
        logits = logits.to(self.dtype)
        if self.request.activation == "identity":
            return logits
        activate = torch.sigmoid if self.request.activation == "sigmoid" else _softmax
        return activate(logits, out=self.buffer(0, self.width, chunk) if out is None else out)

    def onehot(self, chunk: Chunk) -> tuple[Tensor, Tensor]:
        """The classes of the chunk and, for each, a row of ones and zeros (C, p); void pixels are in none."""
        classes = self.place[: self.k]
        if self.cpu:
            classes = torch.bincount(chunk.label, minlength=self.k + 1)[: self.k].nonzero().flatten()
        out = self.buffer(3, len(classes), chunk)
        return classes, torch.eq(classes.to(chunk.label.dtype)[:, None], chunk.label, out=out)

    def by_class(self, values: Tensor, chunk: Chunk) -> Tensor:
        """Sums of (D, p) values over the pixels of each class: (D, K)."""
        if not self.cpu:
            _, onehot = self.onehot(chunk)
            return contract(values, onehot, self.accumulator)
        size = self.k + 2
        sums = [torch.bincount(chunk.row, weights=v.to(self.accumulator), minlength=size) for v in values]
        return torch.stack(sums)[:, : self.k]

    def cross_entropy(self, chunk: Chunk) -> Tensor:
        """Sum of the cross entropies of the pixels that are not void."""
        logits = self.logits[chunk.image, :, chunk.part].to(self.dtype)
        log_softmax = torch.log_softmax(logits, 0, out=self.buffer(1, self.k, chunk))
        torch.sub(logits[0], log_softmax[0], out=self.lse[chunk.image, chunk.part])
        void = chunk.label >= self.k
        picked = log_softmax.gather(0, chunk.row.masked_fill(void, 0)[None])[0]
        return -picked.masked_fill_(void, 0).sum(dtype=self.accumulator)

    def new_gradient(self, logits: Tensor) -> Tensor:
        """Room for the gradient, zero where ``write`` will not write."""
        dense = self.channels is None or self.request.cross_entropy
        return torch.empty_like(logits) if dense else torch.zeros_like(logits)

    def write(self, chunk: Chunk, slope: Tensor, scores: Tensor, grad: Tensor, weight: Tensor) -> None:
        """Put the gradient of the chunk's logits in its place.

        Args:
            chunk: the pixels.
            slope: (n, p), derivative by the scores; overwritten.
            scores: (n, p).
            grad: (B, K, P), gradient of all logits.
            weight: derivative by the sum of the cross entropies.
        """
        out = grad[chunk.image, :, chunk.part]
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
            total = out if wide else self.buffer(4, self.k, chunk)
            share, softmax = self._cross_entropy_slope(chunk, weight)
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

    def _cross_entropy_slope(self, chunk: Chunk, weight: Tensor) -> tuple[Tensor, Tensor]:
        """A factor for each pixel (p,), zero where void, and softmax minus one-hot (K, p)."""
        logits = self.logits[chunk.image, :, chunk.part].to(self.dtype)
        void = chunk.label >= self.k
        slope = self.buffer(5, self.k, chunk)
        torch.sub(logits, self.lse[chunk.image, chunk.part], out=slope).exp_()
        here = chunk.row.masked_fill(void, 0) * len(void) + self.column[: len(void)]
        slope.view(-1).scatter_add_(0, here, slope.new_full((), -1.0).expand(len(void)))
        return weight.to(self.dtype) * ~void, slope

    def _poison(self) -> Tensor:
        """A nan where an input is one that no error could be raised for without waiting for the device."""
        bad = self.rows.new_zeros((), dtype=torch.bool) if self.cpu else (self.rows > self.k).any()
        allowed = self.form.score_range
        if self.request.activation == "identity" and allowed is not None and self.logits.numel():
            low, high = torch.aminmax(self.logits)
            bad = bad | (low < allowed[0]) | (high > allowed[1])
        return torch.where(bad, torch.nan, 0.0)


def class_count(rows: Tensor, num_classes: int) -> Tensor:
    """Number of pixels of each class.

    Args:
        rows: (B, P), integer labels; K and more for void.
        num_classes: number of classes K.

    Returns:
        (K,) float64, float32 on devices without it.
    """
    if not checks.synchronizes(rows.device):
        count = torch.bincount(rows.flatten(), minlength=num_classes)[:num_classes]
    elif runs_on(rows.device):
        from aucseg.functional.triton_sums import triton_class_count  # which imports this module

        return triton_class_count(rows, num_classes)
    else:  # bincount waits for the device to learn its own output size
        classes = torch.arange(num_classes, dtype=rows.dtype, device=rows.device)
        count = torch.zeros(num_classes, dtype=torch.int64, device=rows.device)
        for image in rows:
            count += (image == classes[:, None]).sum(1)
    return count.to(torch.float32 if rows.device.type == "mps" else torch.float64)


def _softmax(logits: Tensor, out: Tensor) -> Tensor:
    return torch.softmax(logits, 0, out=out)
