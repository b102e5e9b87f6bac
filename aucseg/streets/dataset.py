"""The embedded default data set: procedural streets with the long tail of Cityscapes."""

from __future__ import annotations

import hashlib
import json
import operator

import numpy as np
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors

from aucseg.data.spec import load_spec
from aucseg.errors import OptionError
from aucseg.streets.look import STANDARD, find_look
from aucseg.streets.scene import render_labels, render_street

GENERATOR_VERSION = 1
"""Changes whenever a pixel of any image changes; part of the fingerprint."""

MINIMUM_SIZE = (32, 48)

WORLDS = {"train": 1, "val": 2, "test": 3}
"""The seed of each split: a world of its own, so that no test scene is ever trained on."""


class SyntheticStreets(Dataset[tuple[tv_tensors.Image, tv_tensors.Mask]]):
    """Street scenes from a car's viewpoint, drawn when asked for, with the 19 classes of Cityscapes.

    Presence of each class over the images and its share of the pixels follow the training set of Cityscapes
    (AUCSeg, Tables 5 and 8). Image ``i`` depends on ``(seed, i, size)`` alone, so any worker may draw it at
    any time; all draws are uniforms from PCG64 and all colours come from IEEE basic arithmetic, so that the
    pixels are the same on every platform.

    Args:
        num_images: number of images, at least 1.
        size: height and width in pixels, at least 32 x 48.
        seed: seed of the whole set, not negative; sets with different seeds share no image.
        look: how streets are pictured, one of ``LOOKS``: ``"standard"``, or ``"autumn"`` with another
            palette, light, weather, texture and camera, and streets of its own.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> streets = SyntheticStreets(8, size=(64, 128), seed=1)
        >>> image, mask = streets[0]
        >>> tuple(image.shape), tuple(mask.shape)
        ((3, 64, 128), (64, 128))
    """

    def __init__(
        self, num_images: int, size: tuple[int, int] = (128, 256), seed: int = 0, look: str = STANDARD
    ) -> None:
        self.num_images = operator.index(num_images)
        if self.num_images < 1:
            raise OptionError(f"num_images must be at least 1, got {num_images}")
        if len(size) != 2:
            raise OptionError(f"size must be (height, width), got {size!r}")
        self.size = (operator.index(size[0]), operator.index(size[1]))
        if self.size[0] < MINIMUM_SIZE[0] or self.size[1] < MINIMUM_SIZE[1]:
            raise OptionError(f"size must be at least {MINIMUM_SIZE} (height, width), got {self.size}")
        self.seed = operator.index(seed)
        if self.seed < 0:
            raise OptionError(f"seed must not be negative, got {seed}")
        self.look = find_look(look)
        self.spec = load_spec("cityscapes")

    def __len__(self) -> int:
        return self.num_images

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each item: seed and index, ``"1-00042"``."""
        return tuple(f"{self.seed}-{i:05d}" for i in range(self.num_images))

    def render(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image ``index`` as numpy arrays.

        Args:
            index: from ``-len(self)`` to ``len(self) - 1``.

        Returns:
            Picture (H, W, 3) uint8 and train ids (H, W) uint8, void 255.

        Raises:
            IndexError: if the index is out of range.
        """
        place = (self.seed + self.look.shift, self._index(index), self.size)
        return render_street(*place, self.spec.image_share, self.look)

    def mask(self, index: int) -> tv_tensors.Mask:
        """The labels of an item alone, the same as those of ``self[index]``; no picture is painted.

        Args:
            index: from ``-len(self)`` to ``len(self) - 1``.

        Returns:
            Train ids (H, W) uint8, void 255.

        Raises:
            IndexError: if the index is out of range.
        """
        place = (self.seed + self.look.shift, self._index(index), self.size)
        mask = render_labels(*place, self.spec.image_share, self.look)
        return tv_tensors.Mask(torch.from_numpy(mask))

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        image, mask = self.render(index)
        planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return tv_tensors.Image(planes), tv_tensors.Mask(torch.from_numpy(mask))

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the generator's version and the arguments: equal means equal pixels."""
        key = {
            "generator": GENERATOR_VERSION, "images": self.num_images, "size": self.size, "seed": self.seed
        }  # fmt: skip
        if self.look.name != STANDARD:
            key["look"] = self.look.name
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

    def _index(self, index: int) -> int:
        i = operator.index(index)
        if not -self.num_images <= i < self.num_images:
            raise IndexError(f"index {i} is out of range for {self.num_images} images")
        return i % self.num_images

    def __repr__(self) -> str:
        look = "" if self.look.name == STANDARD else f", look={self.look.name!r}"
        return f"SyntheticStreets({self.num_images}, size={self.size}, seed={self.seed}{look})"
