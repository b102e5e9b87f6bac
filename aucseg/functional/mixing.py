"""Pixels of one image over another: whole classes (ClassMix) or a box (CutMix).

Masks are made on the device of the labels and nothing is waited for. What is drawn comes from a generator on
the CPU: a seed fixes it on any device.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

from aucseg.errors import OptionError
from aucseg.functional.checks import check_option

CLASSES_OF = ("image", "batch")

T = TypeVar("T", Tensor, tuple[Tensor, ...])


def present_classes(rows: Tensor, num_classes: int) -> Tensor:
    """Which class has a pixel in which image.

    Args:
        rows: (B, H, W), labels 0 to K - 1; others, void among them, are no class.
        num_classes: K.

    Returns:
        (B, K) bool.
    """
    slots = torch.where((rows >= 0) & (rows < num_classes), rows, num_classes).flatten(1)
    seen = torch.zeros(len(rows), num_classes + 1, dtype=torch.bool, device=rows.device)
    return seen.scatter_(1, slots.long(), True)[:, :num_classes]


def class_mask(
    rows: Tensor,
    num_classes: int,
    generator: torch.Generator,
    *,
    classes_of: str = "image",
    ignore_index: int = 255,
) -> Tensor:
    r"""The pixels of half of the classes of each image, drawn for the image (ClassMix).

    Of c classes :math:`\lceil c / 2 \rceil` are drawn, as DACS and DAFormer do.

    Args:
        rows: (B, H, W), labels 0 to K - 1, ``ignore_index`` for void.
        num_classes: K.
        generator: on the CPU.
        classes_of: ``"image"``: half of the classes that the image holds, void not among them. ``"batch"``:
            half of those of all images together, void counted as one, as in DAFormer's release, whose author
            calls it unintended.
        ignore_index: the void label.

    Returns:
        (B, H, W) bool. Void is never pasted with ``"image"``, and is with ``"batch"`` where it is drawn.

    Raises:
        ValueError: for another ``classes_of``.
    """
    check_option("classes_of", classes_of, CLASSES_OF)
    slots = torch.where(rows == ignore_index, num_classes, rows).long()
    present = present_classes(slots, num_classes + (classes_of == "batch"))
    if classes_of == "batch":
        present = present.any(0, keepdim=True).expand_as(present)
    else:
        present = torch.cat((present, torch.zeros_like(present[:, :1])), 1)
    score = torch.rand(present.shape, generator=generator).to(rows.device)
    rank = score.masked_fill(~present, -1.0).argsort(1, descending=True).argsort(1)
    half = (present.sum(1, keepdim=True) + 1) // 2
    chosen = (rank < half) & present
    return chosen.gather(1, slots.flatten(1)).view_as(rows)


def box_mask(
    number: int,
    size: tuple[int, int],
    generator: torch.Generator,
    *,
    share: float = 0.5,
    device: torch.device | str = "cpu",
) -> Tensor:
    r"""A box of a share of each image, at a random place (CutMix).

    Its height is :math:`H s^{u}` and its width :math:`W s^{1-u}` with u uniform in [0, 1], both rounded:
    every box has about the same area, and all shapes of it come (French et al., BMVC 2020).

    Args:
        number: images B.
        size: (H, W) in pixels.
        generator: on the CPU.
        share: s, in (0, 1].
        device: of the mask.

    Returns:
        (B, H, W) bool.

    Raises:
        ValueError: for a share out of its range.
    """
    if not 0 < share <= 1:
        raise OptionError(f"share of a box is in (0, 1], got {share!r}")
    height, width = size
    u, down, right = torch.rand(3, number, generator=generator, dtype=torch.float64)
    sides = [
        (torch.exp(math.log(share) * w) * n).round().clamp(1, n) for w, n in ((u, height), (1 - u, width))
    ]
    starts = [
        (w * (n - side + 1)).floor() for w, n, side in ((down, height, sides[0]), (right, width, sides[1]))
    ]
    inside = []
    for start, side, n in zip(starts, sides, size, strict=True):
        at = torch.arange(n, dtype=torch.float64)
        inside.append((at >= start[:, None]) & (at < (start + side)[:, None]))
    return (inside[0][:, :, None] & inside[1][:, None, :]).to(device)


def paste(mask: Tensor, over: T, under: T) -> T:
    """What lies over where a mask is set, and what lies under elsewhere.

    Args:
        mask: (B, H, W) bool.
        over: (B, ..., H, W), or several such tensors.
        under: the same of what is below.

    Returns:
        New tensors.
    """
    if isinstance(over, tuple):
        return tuple(paste(mask, a, b) for a, b in zip(over, under, strict=True))
    return torch.where(mask if over.ndim == 3 else mask[:, None], over, under)
