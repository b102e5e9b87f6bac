"""Stored objects: cutting one out, resizing it, pasting it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from aucseg.memory.boxes import Box


class Crop(NamedTuple):
    """A stored object.

    Attributes:
        image: (C, h, w), the picture inside the object's box.
        mask: (h, w), boolean, the pixels of the object; at least one is true.
    """

    image: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Crop:
        """The same object on a device; itself if it is there already."""
        return Crop(self.image.to(device), self.mask.to(device))


def cut(image: Tensor, target: Tensor, label: int, box: Box) -> Crop:
    """Copy all pixels of a class out of an image.

    Args:
        image: (C, H, W).
        target: (H, W), integer.
        label: the class.
        box: the tight box around its pixels.

    Returns:
        A crop that shares no memory with the image.
    """
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    return Crop(image[:, rows, columns].clone(), target[rows, columns] == label)


def fit(crop: Crop, ratio: float, height: int, width: int) -> Crop:
    """Scale a crop by a ratio, or further down where it would not fit the canvas.

    The picture is resized bilinearly with antialiasing, the mask by nearest neighbour. Where the nearest
    neighbours miss a thin object altogether, the one pixel that the object covers most is kept.

    Args:
        crop: the object.
        ratio: resize ratio R_R of both sides, in (0, 1].
        height: rows of the canvas.
        width: columns of the canvas.

    Returns:
        The resized object, at least one pixel; ``crop`` itself where the size does not change.
    """
    old_height, old_width = crop.mask.shape
    scale = min(ratio, height / old_height, width / old_width)
    size = min(max(1, round(old_height * scale)), height), min(max(1, round(old_width * scale)), width)
    if size == (old_height, old_width):
        return crop
    wide = crop.image if crop.image.dtype == torch.float64 else crop.image.float()
    image = F.interpolate(wide[None], size=size, mode="bilinear", antialias=True)[0]
    if not crop.image.is_floating_point():
        image = image.round_().clamp_(0, torch.iinfo(crop.image.dtype).max)
    cover = crop.mask[None, None].float()
    mask = F.interpolate(cover, size=size, mode="nearest-exact")[0, 0] > 0
    share = F.adaptive_avg_pool2d(cover, size).flatten()
    best = torch.zeros_like(share, dtype=torch.bool).scatter_(0, share.argmax(keepdim=True), True)
    # a choice on the device: asking the host whether a pixel is left would wait for the device
    mask = torch.where(mask.any(), mask, best.view(size))
    return Crop(image.to(crop.image.dtype), mask)


def paste(
    images: Tensor, target: Tensor, crop: Crop, label: int, top: int, left: int, ignore_index: int
) -> None:
    """Write an object over one image and its labels, in place, except over void.

    Args:
        images: (C, H, W), written to.
        target: (H, W), written to.
        crop: the object, on the same device.
        label: its class.
        top: row of its first row.
        left: column of its first column.
        ignore_index: the void label; void pixels keep picture and label.
    """
    height, width = crop.mask.shape
    rows, columns = slice(top, top + height), slice(left, left + width)
    labels, picture = target[rows, columns], images[:, rows, columns]
    # widened first: in uint8 the label 255 equals -1
    write = crop.mask & (labels.long() != ignore_index)
    picture.copy_(torch.where(write, crop.image, picture))
    labels.masked_fill_(write, label)
