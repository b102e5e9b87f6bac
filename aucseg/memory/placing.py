"""Where in an image an object is pasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from aucseg.memory.boxes import tail_slots
from aucseg.memory.paste import Crop
from aucseg.memory.store import Origin

TRIES = 10  # places that are tried for an object before it is given up


class Places(NamedTuple):
    """The rows ``top`` to ``top + rows - 1`` and the columns that an object's first pixel may have."""

    top: int
    left: int
    rows: int
    columns: int


def box_places(crop: Crop, height: int, width: int) -> Places:
    """Everywhere in an image, if the tight box is what is placed.

    Args:
        crop: the resized object, not larger than the image.
        height: rows of the image.
        width: columns of the image.
    """
    rows, columns = crop.mask.shape
    return Places(0, 0, height - rows + 1, width - columns + 1)


def canvas_ratio(origin: Origin, ratio: float, height: int, width: int) -> float:
    """The resize ratio at which the whole image that an object came from fits another image.

    Args:
        origin: where the object was.
        ratio: R_R.
        height: rows of the other image.
        width: columns of the other image.
    """
    return min(ratio, height / origin.height, width / origin.width)


def canvas_places(crop: Crop, origin: Origin, ratio: float, height: int, width: int) -> Places:
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
    return Places(top, left, height - whole[0] + 1, width - whole[1] + 1)


def find_place(
    places: Places,
    mask: Tensor,
    labels: Tensor,
    others: Sequence[int],
    max_cover: float | None,
    draw: Callable[[int], int],
) -> tuple[int, int] | None:
    """Draw a place, again if the object would cover too much of another tail class there.

    Args:
        places: those allowed.
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
        return places.top + draw(places.rows), places.left + draw(places.columns)
    slots = tail_slots(labels, tuple(others))
    total = _counts(slots, len(others))
    for _ in range(TRIES):
        top, left = places.top + draw(places.rows), places.left + draw(places.columns)
        under = slots[top : top + mask.shape[0], left : left + mask.shape[1]]
        covered = _counts(torch.where(mask, under, len(others)), len(others))
        if not bool((covered > max_cover * total).any()):
            return top, left
    return None


def _counts(slots: Tensor, number: int) -> Tensor:
    """Pixels of each of the first ``number`` slots."""
    return torch.bincount(slots.flatten(), minlength=number + 1)[:number]
