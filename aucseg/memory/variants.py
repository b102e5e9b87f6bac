"""What the paper compares the tail-class memory bank with (AUCSeg, Appendix G.8)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from aucseg.errors import OptionError
from aucseg.functional.checks import check_count, check_num_classes
from aucseg.memory.bank import TailMemoryBank
from aucseg.memory.paste import CopyOnWriteBatch, part_of


class PixelMemoryBank(TailMemoryBank):
    """The pixel-level memory bank (PMB) of Table 18: the same bank over all classes, head and tail.

    Appendix G.8 names two differences from the tail-class bank, classes and whole objects. Table 18 is read
    as the first alone, since the text around it asks "why do we only store tail class pixels"; the second is
    :class:`FixedPixelBank`. Both together are a ``FixedPixelBank(range(K), ...)``.

    Args:
        num_classes: number of classes K.
        **options: those of :class:`TailMemoryBank`.

    Raises:
        OptionError: as :class:`TailMemoryBank`, or if ``ignore_index`` is one of the classes.
    """

    def __init__(self, num_classes: int, **options: Any) -> None:
        num_classes = check_num_classes(num_classes)
        super().__init__(range(num_classes), num_classes=num_classes, **options)


class FixedPixelBank(TailMemoryBank):
    """A bank that gives each image a fixed number of pixels of missing tail classes, object or not.

    Appendix G.8 supplements 10,000, 20,000, 30,000 or 40,000 "tail class pixels in each image", which "can
    result in incomplete images, such as only adding the front wheel of a bicycle". Read so: the stored
    objects of the classes that an image misses are taken in random order, each at most once, and pasted until
    N pixels were written; of the last object only as many pixels as are left, from its left or its right side
    at random, column by column. Pixels that fall on void are not written and do not count; an image gets
    fewer than N where the bank holds no more. R_S has no part in it.

    The pixels written are counted on the host, so that on CUDA each paste waits for the device.

    Args:
        tail_classes: labels of the tail classes.
        pixels_per_image: N, at least 1.
        **options: those of :class:`TailMemoryBank` but ``sample_ratio``, ``scope`` and ``budget``: N is one.

    Raises:
        OptionError: as :class:`TailMemoryBank`, or if N is below 1.
    """

    def __init__(self, tail_classes: Sequence[int], pixels_per_image: int = 10_000, **options: Any) -> None:
        pixels_per_image = check_count("pixels_per_image", pixels_per_image, 1)
        _refuse(options, "FixedPixelBank", "sample_ratio", "scope", "budget")
        super().__init__(tail_classes, sample_ratio=1.0, budget=None, **options)
        self.pixels_per_image = pixels_per_image

    def _check_joined(self) -> None:
        raise OptionError(
            "FixedPixelBank counts what it has written into each image, and other ranks have some of them; "
            "set share='none'"
        )

    def _complete(self, batch: CopyOnWriteBatch, index: int | None, missing: list[int]) -> None:
        assert index is not None  # the scope is the image
        shelves = self._store.shelves
        self._stats.count("missing", *missing)
        self._stats.count("empty", *(label for label in missing if not shelves[label]))
        objects = [(label, stored) for label in missing for stored in shelves[label]]
        left = self.pixels_per_image
        for position in torch.randperm(len(objects), generator=self._generator).tolist():
            label, stored = objects[position]
            crop = self._resized(stored, self._ratio(stored, batch), batch)
            if int(crop.mask.sum()) > left:
                crop = part_of(crop, left, from_right=bool(self._draw(2)))
            written = self._paste(batch, index, label, stored, crop, self._ratio(stored, batch))
            if written is not None:
                left -= int(written.sum())
            if left == 0:
                break


class CopyPaste(TailMemoryBank):
    """Copy and paste without a bank: an image gets missing tail classes from the other images of its batch.

    The same rules as :class:`TailMemoryBank`, but nothing is kept from one batch to the next. What a bank
    does better than this is due to its memory.

    Args:
        tail_classes: labels of the tail classes.
        **options: those of :class:`TailMemoryBank` but ``memory_size``, ``replacement`` and ``scope``.

    Raises:
        OptionError: as :class:`TailMemoryBank`.
    """

    def __init__(self, tail_classes: Sequence[int], **options: Any) -> None:
        _refuse(options, "CopyPaste", "memory_size", "replacement", "scope")
        super().__init__(tail_classes, memory_size=sys.maxsize, **options)

    def forward(self, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Paste what images of a batch miss and others hold.

        Args:
            images: (B, C, H, W), floating point or uint8, on any device.
            target: (B, H, W), integer, on the same device.

        Returns:
            As :meth:`TailMemoryBank.forward`.
        """
        try:
            return super().forward(images, target)
        finally:
            self._store.clear()


def _refuse(options: dict[str, Any], name: str, *absent: str) -> None:
    if given := [option for option in absent if option in options]:
        raise TypeError(f"{name} has no option {', '.join(given)}; leave it out")
