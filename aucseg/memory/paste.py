"""Stored objects: cutting one out, resizing it, pasting it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from aucseg.functional.checks import synchronizes
from aucseg.memory.boxes import Box
from aucseg.memory.host import equals, fill, put


class Crop(NamedTuple):
    """A stored object.

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
    return Crop(image[:, rows, columns].clone(), equals(target[rows, columns], label))


def fit(
    crop: Crop,
    ratio: float,
    height: int,
    width: int,
    *,
    antialias: bool = True,
    edge: Literal["hard", "soft"] = "hard",
) -> Crop:
    """Scale a crop by a ratio, or further down where it would not fit the canvas.

    With a hard edge the picture is resized bilinearly and the mask by nearest neighbour, so that a pixel at
    the edge is coloured by what was beside the object too. With a soft edge the object alone is resized, and
    how much of each pixel it covers is kept as alpha; the mask is where that is at least one half. Where the
    mask would miss a thin object altogether, the one pixel that the object covers most is kept.

    Args:
        crop: the object.
        ratio: resize ratio R_R of both sides, in (0, 1].
        height: rows of the canvas.
        width: columns of the canvas.
        antialias: average over all old pixels below a new one; without it, over the nearest four only. A
            soft edge is always antialiased.
        edge: ``"hard"`` or ``"soft"``.

    Returns:
        The resized object, at least one pixel; ``crop`` itself where the size does not change.
    """
    old_height, old_width = crop.mask.shape
    scale = min(ratio, height / old_height, width / old_width)
    size = min(max(1, round(old_height * scale)), height), min(max(1, round(old_width * scale)), width)
    if size == (old_height, old_width):
        return crop
    wide = crop.image if crop.image.dtype == torch.float64 else crop.image.float()
    if edge == "soft":
        return _fit_soft(wide, crop.mask, size, crop.image.dtype)
    image = _bilinear(wide, size, antialias=antialias)
    bits = crop.mask[None, None].view(torch.uint8)
    mask = F.interpolate(bits, size=size, mode="nearest-exact")[0, 0].view(torch.bool)
    if synchronizes(mask.device) or not mask.any():  # where looking costs nothing, the share is seldom needed
        mask = _not_empty(mask, F.adaptive_avg_pool2d(bits.float(), size)[0, 0])
    return Crop(_as(image, crop.image.dtype), mask)


def _bilinear(picture: Tensor, size: tuple[int, int], *, antialias: bool) -> Tensor:
    """A picture (C, h, w) of floats at another size."""
    # torch's averaging resize gives every row of a single column the values of the first row, but treats a
    # single row well; and a single column is what is left of a traffic light far away
    turned = antialias and size[1] == 1
    if turned:
        picture, size = picture.transpose(1, 2).contiguous(), (1, size[0])
    resized = F.interpolate(picture[None], size=size, mode="bilinear", antialias=antialias)[0]
    return resized.transpose(1, 2) if turned else resized


def _fit_soft(wide: Tensor, mask: Tensor, size: tuple[int, int], dtype: torch.dtype) -> Crop:
    """Resize the object without its surroundings: colours weighted by the mask, and the mask's share."""
    cover = mask.to(wide.dtype)[None]
    both = torch.cat((torch.where(mask, wide, 0), cover))
    resized = _bilinear(both, size, antialias=True)
    colour, share = resized[:-1], resized[-1]
    half = share >= 0.5
    kept = _not_empty(half, share)
    image = colour / share.clamp_min(torch.finfo(wide.dtype).tiny)
    # a pixel that is kept lest the object vanish would hardly be seen at its own share
    return Crop(_as(image, dtype), kept, torch.where(half, share.clamp(0, 1), 1))


def _not_empty(mask: Tensor, share: Tensor) -> Tensor:
    """The mask, or the pixel of the largest share where the mask is empty."""
    flat = share.flatten()
    best = torch.zeros_like(flat, dtype=torch.bool).scatter_(0, flat.argmax(keepdim=True), True)
    # a choice on the device: asking the host whether a pixel is left would wait for the device
    return torch.where(mask.any(), mask, best.view(mask.shape))


def _as(image: Tensor, dtype: torch.dtype) -> Tensor:
    if not dtype.is_floating_point:
        image = image.round_().clamp_(0, torch.iinfo(dtype).max)
    return image.to(dtype)


def paste(
    images: Tensor, target: Tensor, crop: Crop, label: int, top: int, left: int, ignore_index: int
) -> Tensor:
    """Write an object over one image and its labels, in place, except over void.

    Picture and labels are written at the same pixels: a soft edge is mixed with the image where the label
    becomes the object's, and nowhere else.

    Args:
        images: (C, H, W), written to.
        target: (H, W), written to.
        crop: the object, on the same device.
        label: its class.
        top: row of its first row.
        left: column of its first column.
        ignore_index: the void label; void pixels keep picture and label.

    Returns:
        (h, w), boolean: the pixels that were written.
    """
    height, width = crop.mask.shape
    rows, columns = slice(top, top + height), slice(left, left + width)
    labels, picture = target[rows, columns], images[:, rows, columns]
    write = crop.mask & ~equals(labels, ignore_index)
    image = crop.image
    if crop.alpha is not None:
        image = _as(
            torch.lerp(picture.to(crop.alpha.dtype), image.to(crop.alpha.dtype), crop.alpha), image.dtype
        )
    put(picture, write, image)
    fill(labels, write, label)
    return write
