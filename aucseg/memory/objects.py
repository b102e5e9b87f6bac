"""What a memory bank stores: objects cut out of images, and the shelf of each class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from aucseg.errors import OptionError
from aucseg.memory.boxes import Box
from aucseg.memory.policies import ReplacementPolicy


class Crop(NamedTuple):
    """The pixels of an object.

    Attributes:
        image: (C, h, w), the picture inside the object's box.
        mask: (h, w), boolean, the pixels of the object; at least one is true.
        alpha: (h, w), how much of a pixel is the object, in (0, 1] where the mask is true; ``None`` for 1.
    """

    image: Tensor
    mask: Tensor
    alpha: Tensor | None = None

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Crop:
        """The same picture and mask on a device."""
        return Crop(
            self.image.to(device, non_blocking=non_blocking), self.mask.to(device, non_blocking=non_blocking)
        )


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


class NewObject(NamedTuple):
    """An object that is about to be stored: its class, its pixels and how many, where it was."""

    label: int
    crop: Crop
    area: int
    origin: Origin


@dataclass
class StoredObject:
    """An object on a shelf, with what is known of it.

    Attributes:
        crop: picture and mask.
        area: pixels of the mask, known without asking a device.
        origin: where it was; ``None`` if the state of an older version did not say.
        born: the step in which it was stored.
        order: how many objects had been stored before it.
        uses: how often it was pasted.
    """

    crop: Crop
    area: int
    origin: Origin | None
    born: int
    order: int
    uses: int = 0

    def known_origin(self) -> Origin:
        """The origin, where placing the whole image around the object needs one.

        Raises:
            OptionError: if it is not known.
        """
        if self.origin is None:
            raise OptionError(
                "the bank holds objects that an older version saved without the place they had in their "
                "image, which placement='canvas' needs; build it with placement='box', or start with an "
                "empty bank"
            )
        return self.origin


class ObjectStore:
    """Up to S_M objects for each class.

    Args:
        classes: labels.
        size: S_M.
        policy: decides which object a new one replaces.
        offload: keep pictures and masks in the memory of the CPU, page-locked if they come from a GPU.

    Attributes:
        shelves: the objects of each class.
        count: how many objects were ever put in.
    """

    def __init__(
        self, classes: tuple[int, ...], size: int, policy: ReplacementPolicy, *, offload: bool
    ) -> None:
        self.size, self.policy, self.offload = size, policy, offload
        self.shelves: dict[int, list[StoredObject]] = {label: [] for label in classes}
        self.count = 0

    def clear(self) -> None:
        """Forget every object."""
        for shelf in self.shelves.values():
            shelf.clear()

    def load(self, shelves: dict[int, list[StoredObject]], count: int) -> None:
        """Take over stored objects.

        Args:
            shelves: the objects of each class.
            count: of all objects that were ever put in.
        """
        self.shelves, self.count = shelves, count
        for stored in (stored for shelf in shelves.values() for stored in shelf):
            stored.crop = self._kept(stored.crop)

    def put(self, new: NewObject, born: int, draw: Callable[[int], int]) -> bool:
        """Store an object, in place of another one if the class is full.

        Args:
            new: the object; its pixels share no memory with a batch.
            born: the step.
            draw: the bank's random numbers, for the policy.

        Returns:
            Whether it replaced another one.

        Raises:
            ValueError: if the policy chooses a position that does not exist.
        """
        shelf = self.shelves[new.label]
        stored = StoredObject(self._kept(new.crop), new.area, new.origin, born, self.count)
        self.count += 1
        if len(shelf) < self.size:
            shelf.append(stored)
            return False
        position = self.policy.choose(shelf, draw)
        if not 0 <= position < len(shelf):
            raise ValueError(
                f"{type(self.policy).__name__}.choose returned {position}; it must be 0 to {len(shelf) - 1}"
            )
        shelf[position] = stored
        return True

    def crop(self, stored: StoredObject, device: torch.device) -> Crop:
        """The pixels of an object on a device; unless offloaded they move there for good."""
        crop = stored.crop.to(device, non_blocking=self.offload)
        if not self.offload:
            stored.crop = crop
        return crop

    def check_format(self, images: Tensor) -> None:
        """Make sure that images fit the stored objects.

        Args:
            images: (B, C, H, W).

        Raises:
            ValueError: for another dtype or number of channels than that of the stored objects.
        """
        old = next((shelf[0].crop.image for shelf in self.shelves.values() if shelf), None)
        if old is not None and (old.shape[0], old.dtype) != (images.shape[1], images.dtype):
            raise ValueError(
                f"the bank holds {old.dtype} objects of {old.shape[0]} channels, these images are "
                f"{images.dtype} with {images.shape[1]}; keep one format, or call reset() first"
            )

    def nbytes(self) -> dict[str, int]:
        """Bytes of pictures and masks: ``"device"`` on accelerators, ``"host"`` in the CPU's memory."""
        found = {"device": 0, "host": 0}
        for shelf in self.shelves.values():
            for stored in shelf:
                for part in (stored.crop.image, stored.crop.mask):
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
