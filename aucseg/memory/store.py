"""The shelves of a memory bank: the stored objects of each class, and on which device they lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from aucseg.memory.boxes import Box
from aucseg.memory.paste import Crop
from aucseg.memory.policies import ReplacementPolicy


class Origin(NamedTuple):
    """Where in its image an object was: row and column of its first pixel, rows and columns of the image."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, box: Box, height: int, width: int) -> Origin:
        """The origin of what was cut out of a box of an image.

        Args:
            box: the tight box of the object.
            height: rows of the image.
            width: columns of the image.
        """
        return cls(box.top, box.left, height, width)


def known(origin: Origin | None) -> Origin:
    """An origin, where placing the whole image around an object needs one.

    Args:
        origin: of an entry.

    Raises:
        ValueError: if it is not known.
    """
    if origin is None:
        raise ValueError(
            "the bank holds objects that an older version saved without the place they had in their image, "
            "which placement='canvas' needs; build it with placement='box', or start with an empty bank"
        )
    return origin


@dataclass
class Entry:
    """A stored object with what is known of it.

    Attributes:
        crop: picture and mask.
        origin: where it was; ``None`` if the state of an older version did not say.
        born: the step in which it was stored.
        order: how many objects had been stored before it.
        uses: how often it was pasted.
    """

    crop: Crop
    origin: Origin | None
    born: int
    order: int
    uses: int = 0


class ObjectStore:
    """Up to S_M objects for each class.

    Args:
        classes: labels.
        size: S_M.
        policy: decides which object a new one replaces.
        offload: keep pictures and masks in the memory of the CPU, page-locked if they come from a GPU.
    """

    def __init__(
        self, classes: tuple[int, ...], size: int, policy: ReplacementPolicy, *, offload: bool
    ) -> None:
        self.size, self.policy, self.offload = size, policy, offload
        self.entries: dict[int, list[Entry]] = {label: [] for label in classes}
        self.count = 0  # of all objects that were ever put in

    def clear(self) -> None:
        """Forget every object."""
        for entries in self.entries.values():
            entries.clear()

    def load(self, entries: dict[int, list[Entry]], count: int) -> None:
        """Take over stored objects.

        Args:
            entries: of each class.
            count: of all objects that were ever put in.
        """
        self.entries, self.count = entries, count
        for entry in (entry for shelf in entries.values() for entry in shelf):
            entry.crop = self._kept(entry.crop)

    def put(
        self, label: int, crop: Crop, origin: Origin | None, born: int, draw: Callable[[int], int]
    ) -> bool:
        """Store an object, in place of another one if the class is full.

        Args:
            label: its class.
            crop: an object that shares no memory with a batch.
            origin: where it was.
            born: the step.
            draw: the bank's random numbers, for the policy.

        Returns:
            Whether it replaced another one.

        Raises:
            ValueError: if the policy chooses a position that does not exist.
        """
        entries = self.entries[label]
        entry = Entry(self._kept(crop), origin, born, self.count)
        self.count += 1
        if len(entries) < self.size:
            entries.append(entry)
            return False
        position = self.policy.choose(entries, draw)
        if not 0 <= position < len(entries):
            raise ValueError(
                f"{type(self.policy).__name__}.choose returned {position}; it must be 0 to {len(entries) - 1}"
            )
        entries[position] = entry
        return True

    def crop(self, entry: Entry, device: torch.device) -> Crop:
        """The object of an entry on a device; unless offloaded it moves there for good."""
        crop = entry.crop.to(device, non_blocking=self.offload)
        if not self.offload:
            entry.crop = crop
        return crop

    def check_format(self, images: Tensor) -> None:
        """Make sure that images fit the stored objects.

        Args:
            images: (B, C, H, W).

        Raises:
            ValueError: for another dtype or number of channels than that of the stored objects.
        """
        old = next((entries[0].crop.image for entries in self.entries.values() if entries), None)
        if old is not None and (old.shape[0], old.dtype) != (images.shape[1], images.dtype):
            raise ValueError(
                f"the bank holds {old.dtype} objects of {old.shape[0]} channels, these images are "
                f"{images.dtype} with {images.shape[1]}; keep one format, or call reset() first"
            )

    def nbytes(self) -> dict[str, int]:
        """Bytes of pictures and masks: ``"device"`` on accelerators, ``"host"`` in the CPU's memory."""
        found = {"device": 0, "host": 0}
        for entries in self.entries.values():
            for entry in entries:
                for part in (entry.crop.image, entry.crop.mask):
                    found["host" if part.device.type == "cpu" else "device"] += part.nbytes
        return found

    def _kept(self, crop: Crop) -> Crop:
        if not self.offload or crop.image.device.type == "cpu":
            return crop
        pinned = [
            torch.empty_like(part, device="cpu", pin_memory=part.is_cuda).copy_(part)
            for part in (crop.image, crop.mask)
        ]
        return Crop(*pinned)
