"""Running a network window by window over images that are larger than it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.errors import OptionError


@torch.no_grad()
def sliding_window(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    window: tuple[int, int],
    stride: tuple[int, int] | None = None,
    batch_size: int = 8,
) -> Tensor:
    """Logits of whole images from overlapping windows, averaged where windows overlap.

    The windows start at multiples of the stride, and the last of a row or column is shifted back inside the
    image, so that every window is full and every pixel covered. Images smaller than the window are padded at
    the right and the bottom by repeating the border; mmsegmentation runs these on what there is.
    Averaged are logits, not probabilities, as in mmsegmentation's ``slide_inference``. BLV evaluates by
    sliding windows in its semi-supervised setting (Section 4.2), without saying what it averages.

    Memory is that of one sum of the logits and of ``batch_size`` windows, however many windows there are.
    Gradients are not kept.

    Args:
        model: maps (N,3,h,w) to (N,K,h,w) at the size of the window; compose it with others by
            ``functools.partial``, for example with :func:`padded_logits` where the window is no multiple of
            the encoder's stride.
        images: (B,3,H,W) float.
        window: (height, width) in pixels.
        stride: (vertical, horizontal) steps in pixels, at most the window; two thirds of it by default.
        batch_size: windows in one call of the model, from one or several images.

    Returns:
        (B,K,H,W) logits of the images' own size, float32 or wider.

    Raises:
        ValueError: if an argument is out of its range, or the model returns another size than the window's.
    """
    check_images(images)
    if len(window) != 2 or min(window) < 1:
        raise OptionError(f"window is (height, width) in pixels, both positive, got {window!r}")
    if stride is None:
        stride = (max(1, window[0] * 2 // 3), max(1, window[1] * 2 // 3))
    if len(stride) != 2 or min(stride) < 1 or stride[0] > window[0] or stride[1] > window[1]:
        raise OptionError(
            f"stride is (vertical, horizontal), from 1 to the window's {window}, got {stride!r}; "
            "a larger one would leave pixels out"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size is at least 1 window, got {batch_size}")

    height, width = images.shape[-2:]
    missing = (max(0, window[0] - height), max(0, window[1] - width))
    if any(missing):
        images = F.pad(images, (0, missing[1], 0, missing[0]), mode="replicate")
    tops = window_starts(images.shape[-2], window[0], stride[0])
    lefts = window_starts(images.shape[-1], window[1], stride[1])
    boxes = [
        (image, slice(top, top + window[0]), slice(left, left + window[1]))
        for image, top, left in product(range(len(images)), tops, lefts)
    ]
    total = images.new_zeros(0)
    for first in range(0, len(boxes), batch_size):
        chunk = boxes[first : first + batch_size]
        logits = model(torch.stack([images[image, :, rows, columns] for image, rows, columns in chunk]))
        check_logits(logits, (len(chunk), *window))
        if first == 0:
            dtype = torch.promote_types(logits.dtype, torch.float32)
            total = logits.new_zeros((len(images), logits.shape[1], *images.shape[-2:]), dtype=dtype)
        for (image, rows, columns), part in zip(chunk, logits, strict=True):
            total[image, :, rows, columns] += part
    # how many windows cover a pixel is a product of how many cover its row and its column
    total /= _cover(tops, window[0], total.shape[-2]).to(total)[:, None]
    total /= _cover(lefts, window[1], total.shape[-1]).to(total)
    return total[..., :height, :width]


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where the windows along one side start; the last ends where the side ends.

    Args:
        length: of the side in pixels, at least ``window``.
        window: of one window in pixels.
        stride: step in pixels, at most ``window``.
    """
    return [*range(0, length - window, stride), length - window]


def check_logits(logits: Tensor, shape: tuple[int, int, int]) -> None:
    """Make sure that a model gave (N,K,h,w) logits for its N images of h x w pixels.

    Args:
        logits: what it gave.
        shape: (N, h, w) of what it was given.

    Raises:
        ValueError: names both shapes.
    """
    if logits.ndim != 4 or (len(logits), *logits.shape[-2:]) != shape:
        raise ValueError(
            f"the model must return logits (N, K, h, w) for {shape[0]} images of {shape[1]}x{shape[2]}, got "
            f"{tuple(logits.shape)}; wrap one that needs other sizes in padded_logits, or scale its logits up"
        )


def check_images(images: Tensor) -> None:
    """Make sure that images are a batch of floats.

    Args:
        images: (B, 3, H, W).

    Raises:
        ValueError: names dtype and shape.
    """
    if images.ndim != 4 or not images.is_floating_point() or images.numel() == 0:
        raise ValueError(
            f"images are (B, 3, H, W) floats, at least one, got {images.dtype} {tuple(images.shape)}; "
            "normalise them first"
        )


def _cover(starts: list[int], window: int, length: int) -> Tensor:
    """How many windows cover each place along one side, (length,)."""
    counts = torch.zeros(length)
    for start in starts:
        counts[start : start + window] += 1
    return counts
