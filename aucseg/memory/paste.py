"""From a stored object to pasted pixels: cut out, resized, placed, written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from aucseg.functional.checks import synchronizes
from aucseg.memory.boxes import Box, tail_slots
from aucseg.memory.objects import Crop, Origin

TRIES = 10  # places that are tried for an object before it is given up


# cutting out and resizing


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
    size = fitted_size(old_height, old_width, ratio, height, width)
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


def fitted_size(rows: int, columns: int, ratio: float, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a box that is scaled by a ratio, or further down where it would not fit the canvas.

    Args:
        rows: of the box.
        columns: of the box.
        ratio: resize ratio of both sides, in (0, 1].
        height: rows of the canvas.
        width: columns of the canvas.
    """
    scale = min(ratio, height / rows, width / columns)
    return min(max(1, round(rows * scale)), height), min(max(1, round(columns * scale)), width)


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


def part_of(crop: Crop, pixels: int | Tensor, *, from_right: bool) -> Crop:
    """The first pixels of an object, column by column.

    Args:
        crop: the object.
        pixels: how many; as a tensor on the object's device nothing waits for the device.
        from_right: begin at the right side.

    Returns:
        An object of the same box with a smaller mask.
    """
    columns = crop.mask.t().flip(0) if from_right else crop.mask.t()
    kept = columns & (columns.flatten().cumsum(0) <= pixels).view(columns.shape)
    return crop._replace(mask=(kept.flip(0) if from_right else kept).t())


# where an object may go


class Corners(NamedTuple):
    """The rows ``top`` to ``top + rows - 1`` and the columns that an object's first pixel may have."""

    top: int
    left: int
    rows: int
    columns: int


def box_corners(crop: Crop, height: int, width: int) -> Corners:
    """Everywhere in an image, if the tight box is what is placed.

    Args:
        crop: the resized object, not larger than the image.
        height: rows of the image.
        width: columns of the image.
    """
    rows, columns = crop.mask.shape
    return Corners(0, 0, height - rows + 1, width - columns + 1)


def canvas_ratio(origin: Origin, ratio: float, height: int, width: int) -> float:
    """The resize ratio at which the whole image that an object came from fits another image.

    Args:
        origin: where the object was.
        ratio: R_R.
        height: rows of the other image.
        width: columns of the other image.
    """
    return min(ratio, height / origin.height, width / origin.width)


def canvas_corners(crop: Crop, origin: Origin, ratio: float, height: int, width: int) -> Corners:
    """Everywhere that keeps the whole scaled image around an object inside another image.

    The released code places not the object but the scaled image it was cut from. An object at the left of
    its image therefore stays left of the middle, and at a ratio of 1 it never leaves its place.

    Args:
        crop: the resized object.
        origin: where it was.
        ratio: from :func:`canvas_ratio`, the ratio by which the object was resized.
        height: rows of the image.
        width: columns of the image.
    """
    rows, columns = crop.mask.shape
    # not below the object's own size, which is at least one pixel
    whole = max(rows, round(origin.height * ratio)), max(columns, round(origin.width * ratio))
    top = min(round(origin.top * ratio), whole[0] - rows)
    left = min(round(origin.left * ratio), whole[1] - columns)
    return Corners(top, left, height - whole[0] + 1, width - whole[1] + 1)


def find_place(
    corners: Corners,
    mask: Tensor,
    labels: Tensor,
    others: Sequence[int],
    max_cover: float | None,
    draw: Callable[[int], int],
) -> tuple[int, int] | None:
    """Draw a place, again if the object would cover too much of another tail class there.

    Args:
        corners: where its first pixel may be.
        mask: (h, w), boolean, of the object.
        labels: (H, W), of the image.
        others: the other tail classes that the image holds.
        max_cover: largest share of the pixels that another tail class has in this image, in [0, 1], that the
            object may cover; ``None`` for no limit. With a limit the labels are looked at, so that on CUDA
            the host waits for the device.
        draw: ``draw(n)`` is a random number of 0 to n - 1.

    Returns:
        Row and column of the object's first pixel; ``None`` after ``TRIES`` places that covered too much.
    """
    if max_cover is None or not others:
        return corners.top + draw(corners.rows), corners.left + draw(corners.columns)
    slots = tail_slots(labels, tuple(others))
    total = _counts(slots, len(others))
    for _ in range(TRIES):
        top, left = corners.top + draw(corners.rows), corners.left + draw(corners.columns)
        under = slots[top : top + mask.shape[0], left : left + mask.shape[1]]
        covered = _counts(torch.where(mask, under, len(others)), len(others))
        if not bool((covered > max_cover * total).any()):
            return top, left
    return None


def _counts(slots: Tensor, number: int) -> Tensor:
    """Pixels of each of the first ``number`` slots."""
    return torch.bincount(slots.flatten(), minlength=number + 1)[:number]


# writing


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


class CopyOnWriteBatch:
    """A batch to paste into, and what tail classes each of its images holds.

    Args:
        images: (B, C, H, W), never written to.
        target: (B, H, W), never written to.
        held: for each image the tail classes that it holds; of all ranks where they are one batch.
        ignore_index: the void label.
        room: for each of these how many pixels may be written; ``None`` for no limit.
        first: which of these is the first of the images at hand. What is pasted into others is only noted.

    Attributes:
        pasted: whether anything was pasted, here or elsewhere.
    """

    def __init__(
        self,
        images: Tensor,
        target: Tensor,
        held: list[set[int]],
        ignore_index: int,
        room: list[int] | None = None,
        first: int = 0,
    ) -> None:
        self.images, self.target, self.held = images, target, held
        self.first, self.own, self.pasted = first, len(images), False
        self.ignore_index = ignore_index
        self.size: tuple[int, int] = (target.shape[1], target.shape[2])
        self.room = room
        self._before = target
        # how much room is left depends on the void under a paste: on a device the number stays there
        self._left = None if room is None else torch.tensor(room, device=target.device)

    def __len__(self) -> int:
        return len(self.held)

    @property
    def device(self) -> torch.device:
        """Where the batch is."""
        return self.images.device

    def has(self, index: int) -> bool:
        """Whether an image is at hand.

        Args:
            index: of the image.
        """
        return self.first <= index < self.first + self.own

    def labels(self, index: int) -> Tensor:
        """The labels (H, W) of an image; any where it is not at hand.

        Args:
            index: of the image.
        """
        return self.target[index - self.first if self.has(index) else 0]

    def within(self, index: int, crop: Crop) -> Crop:
        """An object without the last pixels that an image has no room for.

        Args:
            index: of the image.
            crop: the object, on the same device.
        """
        if self._left is None:
            return crop
        left = self._left[index]
        if not synchronizes(self.device) and np.count_nonzero(crop.mask.numpy()) <= int(left):
            return crop
        return part_of(crop, left, from_right=False)

    def paste(self, index: int, crop: Crop, label: int, top: int, left: int) -> Tensor | None:
        """Paste an object into an image; the first time the batch is copied.

        Args:
            index: of the image.
            crop: the object.
            label: its class.
            top: row of its first row.
            left: column of its first column.

        Returns:
            (h, w), boolean: the pixels of the object that were written; ``None`` where the image is not at
            hand.
        """
        self.pasted = True
        if not self.has(index):
            self.held[index].add(label)
            return None
        if self.target is self._before:
            self.images, self.target = self.images.clone(), self.target.clone()
        own = index - self.first
        written = paste(self.images[own], self.target[own], crop, label, top, left, self.ignore_index)
        if self._left is not None:
            self._left[index] -= written.sum()
        self.held[index].add(label)
        return written

    def covered(self, labelled: list[int]) -> Tensor | None:
        """Share of each image's labelled pixels that pastes cover, each pixel once.

        A class is pasted where it is missing, so that each pixel of a paste has changed its label.

        Args:
            labelled: labelled pixels of each image.

        Returns:
            (B,) float, on the device of the batch; ``None`` if nothing was pasted.
        """
        if self.target is self._before:
            return None
        if synchronizes(self.device):
            counts = (self.target != self._before).flatten(1).sum(1)
        else:
            pairs = zip(self.target.numpy(), self._before.numpy(), strict=True)
            counts = torch.tensor([np.count_nonzero(after != before) for after, before in pairs])
        wide = torch.float32 if self.device.type == "mps" else torch.float64  # which MPS does not have
        return counts.to(wide) / torch.tensor(labelled, device=self.device).clamp_min(1)


# Three elementwise steps that NumPy takes several times as fast as PyTorch on a CPU: PyTorch goes through a
# mask pixel by pixel; NumPy steps over what a mask leaves out, and of a tail class it leaves out most of a
# box. The results are the same bits. On every other device PyTorch takes the steps.

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def equals(labels: Tensor, label: int) -> Tensor:
    """Which pixels have a label.

    Args:
        labels: integer, any shape.
        label: any integer, also one that the dtype of the labels cannot hold.

    Returns:
        Boolean, same shape.
    """
    if labels.device.type == "cpu":
        return torch.from_numpy(labels.numpy() == label)
    return labels.long() == label  # widened first: in uint8 the label 255 equals -1


def fill(labels: Tensor, where: Tensor, label: int) -> None:
    """Write a label, in place.

    Args:
        labels: integer, any shape, written to.
        where: boolean, same shape.
        label: what is written where it is true.
    """
    if labels.device.type == "cpu":
        np.copyto(labels.numpy(), label, where=where.numpy())
    else:
        labels.masked_fill_(where, label)


def put(picture: Tensor, where: Tensor, other: Tensor) -> None:
    """Copy pixels of another picture, in place.

    Args:
        picture: (C, h, w), written to.
        where: (h, w), boolean.
        other: (C, h, w), what is copied where it is true; of the same dtype.
    """
    if picture.device.type == "cpu":
        np.copyto(_bits(picture), _bits(other), where=where.numpy())
    else:
        torch.where(where, other, picture, out=picture)


def _bits(picture: Tensor) -> NDArray[Any]:
    """A view as integers, since NumPy has no bfloat16."""
    return picture.view(_BITS[picture.element_size()]).numpy()
