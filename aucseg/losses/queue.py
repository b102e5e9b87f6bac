"""Class sums of recent batches, in place of the classes that a batch lacks."""

from __future__ import annotations

import torch
from torch import Tensor

from aucseg.functional.checks import WideBuffers, check_count
from aucseg.functional.sums import ClassSums


class SumQueue(WideBuffers):
    """Recent class means that stand in for the classes a batch does not hold.

    The memory-free relative of the tail-class memory bank: where the bank pastes old pixels into the image,
    the queue remembers what the AUC loss made of them, K x K numbers. A class d that is missing is
    represented by the means of its features over batches that held it; they are constants, so the gradient
    reaches only the pixels that are there: they are ranked against the class as the network saw it last.

    Args:
        momentum: the means are moving averages over the batches that hold the class,
            mean <- momentum mean + (1 - momentum) new. In [0, 1); 0 keeps the last one.
        batches: instead, the pixels of a class in the last M batches that held it, weighed equally.
        max_age: a class not seen for more steps than this is left out again; None for never.

    Raises:
        ValueError: if both or neither of ``momentum`` and ``batches`` are given, or out of range.

    """

    count: Tensor
    own: Tensor
    other: Tensor
    age: Tensor

    def __init__(
        self, *, momentum: float | None = None, batches: int | None = None, max_age: int | None = None
    ) -> None:
        super().__init__()
        if (momentum is None) == (batches is None):
            raise ValueError(f"give momentum or batches, one of them; got {momentum!r} and {batches!r}")
        if momentum is not None and not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
        self.momentum = momentum
        self.batches = None if batches is None else check_count("batches", batches, 1)
        self.max_age = None if max_age is None else check_count("max_age", max_age, 1)

    def prepare(self, num_classes: int, degree: int) -> None:
        """Make room; called by the loss that owns the queue.

        Args:
            num_classes: number of classes K.
            degree: features of its surrogate.
        """
        slots = self.batches or 1
        self.register_buffer("count", torch.zeros(slots, num_classes, dtype=torch.float64))
        self.register_buffer("own", torch.zeros(slots, num_classes, degree, dtype=torch.float64))
        self.register_buffer(
            "other", torch.zeros(slots, num_classes, num_classes, degree, dtype=torch.float64)
        )
        # steps since the class was last seen
        self.register_buffer("age", torch.zeros(num_classes, dtype=torch.int64))

    def forward(self, sums: ClassSums, update: bool = True) -> ClassSums:
        """The sums with the missing classes filled in.

        Args:
            sums: of the batch.
            update: remember this batch.

        Returns:
            The rows of the batch for the classes it holds, the queue's rows for those it lacks.
        """
        held = sums.count > 0
        count, own, other = self._recent()
        filled = ClassSums(
            torch.where(held, sums.count, count),
            torch.where(held[:, None], sums.own, own),
            torch.where(held[:, None, None], sums.other, other),
            sums.cross_entropy,
        )
        if update:
            self._remember(sums, held)
        return filled

    def _recent(self) -> tuple[Tensor, Tensor, Tensor]:
        """Sums of a batch as it was of late: the means, times a mean number of pixels (for one-vs-all)."""
        if self.momentum is None:
            share = (self.count > 0).sum(0).clamp(min=1).reciprocal()
            count = self.count.sum(0) * share
            own, other = self.own.sum(0) * share[:, None], self.other.sum(0) * share[:, None, None]
        else:
            count = self.count[0]
            own, other = self.own[0] * count[:, None], self.other[0] * count[:, None, None]
        if self.max_age is not None:
            count = torch.where(self.age < self.max_age, count, 0)
        return count, own, other

    @torch.no_grad()
    def _remember(self, sums: ClassSums, held: Tensor) -> None:
        self.age = torch.where(held, 0, self.age + 1)
        if self.momentum is None:
            for name, value in (("count", sums.count), ("own", sums.own), ("other", sums.other)):
                slots = getattr(self, name)
                moved = torch.cat((slots[1:], value[None]))
                setattr(self, name, torch.where(_rows(held, value), moved, slots))
            return
        # means and not sums: a batch counts the same whatever number of pixels it had
        share = sums.count.clamp(min=1).reciprocal()
        keep = torch.where(self.count[0] > 0, self.momentum, 0.0)
        new = (("count", sums.count), ("own", sums.own * share[:, None]))
        for name, value in (*new, ("other", sums.other * share[:, None, None])):
            old, k = getattr(self, name)[0], _rows(keep, value)
            setattr(self, name, torch.where(_rows(held, value), k * old + (1 - k) * value, old)[None])

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"momentum={self.momentum}, batches={self.batches}, max_age={self.max_age}"


def _rows(per_class: Tensor, table: Tensor) -> Tensor:
    """(K,) shaped to stand beside a table whose first axis is the class."""
    return per_class.view(-1, *[1] * (table.dim() - 1))
