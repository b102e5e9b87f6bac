"""Running a network on images: of any size, window by window, at several scales and mirrored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aucseg.errors import OptionError


def padded_logits(model: nn.Module, images: Tensor, *, multiple: int | None = None) -> Tensor:
    """Logits for images whose height or width the network cannot take.

    Encoders halve their input several times, so most networks need sides that are multiples of their stride.
    Images are padded at the right and the bottom by repeating the border, and the logits are cut back.

    Args:
        model: maps (B,3,H,W) to (B,K,H,W) where H and W are multiples of ``multiple``. In training mode a
            :class:`Network` returns its auxiliary outputs too; call it by itself then.
        images: (B,3,H,W) float.
        multiple: largest stride of the encoder, in pixels. ``None`` is 32, or 1 for a network that says that
            it takes any size (smp's ``requires_divisible_input_shape``).

    Returns:
        (B,K,H,W) logits of the images' own size.

    Raises:
        TypeError: if the network returns more than logits.
    """
    height, width = images.shape[-2:]
    logits = model(pad_to_multiple(images, needed_multiple(model) if multiple is None else multiple))
    if not isinstance(logits, Tensor):
        remedy = (
            "it is in training mode: call model.eval() first, or model(images) for its auxiliary outputs"
            if model.training
            else "call model(images) itself for what else it returns (aux_params adds labels of images)"
        )
        raise TypeError(f"{type(model).__name__} returned {type(logits).__name__} and not logits; {remedy}")
    return logits[..., :height, :width]


def needed_multiple(model: nn.Module) -> int:
    """What the sides of an image must be multiples of, in pixels: 32, or 1 where any size will do."""
    return 32 if getattr(model, "requires_divisible_input_shape", True) else 1


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Images (B,C,H,W) padded at the right and the bottom by repeating the border.

    Args:
        images: (B,C,H,W) float.
        multiple: what height and width shall be multiples of, in pixels.
    """
    right, bottom = -images.shape[-1] % multiple, -images.shape[-2] % multiple
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if right or bottom else images


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, *, multiple: int | None = None) -> Tensor:
    """Class ids for normalised images, in evaluation mode and without gradients.

    Args:
        model: as for :func:`padded_logits`.
        images: (B,3,H,W) float, normalised as in training.
        multiple: as for :func:`padded_logits`.

    Returns:
        (B,H,W) int64; the model is left in the mode it was in.
    """
    training = model.training
    model.eval()
    try:
        return padded_logits(model, images, multiple=multiple).argmax(dim=1)
    finally:
        model.train(training)


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


# Region Rebalance, Section 4.2.
RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


def view_logits(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    ratios: Sequence[float] = (1.0,),
    flip: bool = False,
    within: tuple[int, int] | None = None,
    flip_pairs: Sequence[tuple[int, int]] = (),
) -> Iterator[Tensor]:
    """Logits of images seen in several ways, one after the other, all in the images' own place and size.

    Images are scaled bilinearly with antialiasing, as in training. mmsegmentation scales them without it,
    before they are normalised, and rounds to bytes. Logits are scaled back bilinearly without it, as there.

    Args:
        model: maps (B,3,h,w) to (B,K,h,w) for any h and w: a part of :func:`padded_logits` or
            :func:`sliding_window`, made with ``functools.partial``.
        images: (B,3,H,W) float, normalised.
        ratios: factors on height and width, one view for each.
        flip: look at the mirrored image too, which doubles the views.
        within: (short, long) side in pixels of a box that images are brought to, aspect ratio kept, before
            the ratios act: (512, 2048) for ADE20K and COCO-Stuff in AUCSeg's released configurations. None
            takes images at their own size.
        flip_pairs: pairs of classes that a mirror swaps, left and right of a thing; their logits of the
            mirrored image change places. A :class:`aucseg.data.ClassSpec` has them.

    Yields:
        (B,K,H,W) logits, float32 or wider, without gradients.

    Raises:
        ValueError: if an argument is out of its range, when the first view is asked for.
    """
    check_images(images)
    for size in view_sizes((images.shape[-2], images.shape[-1]), ratios, within):
        for mirrored in (False, True) if flip else (False,):
            with torch.no_grad():  # not around the yield: the caller's own gradients are the caller's
                logits = _see(model, images, size, mirrored=mirrored, flip_pairs=flip_pairs)
            yield logits


@torch.no_grad()
def multi_scale(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    ratios: Sequence[float] = RATIOS,
    flip: bool = True,
    within: tuple[int, int] | None = None,
    average: Literal["probabilities", "logits"] = "probabilities",
    flip_pairs: Sequence[tuple[int, int]] = (),
) -> Tensor:
    """The mean over views of an image at several scales, and mirrored.

    Region Rebalance's m.s. columns (Tables 3 and 4) come from mmsegmentation, in which BLV works too. It
    averages softmax probabilities, each taken after its logits are back at the image's size (version 0.x in
    ``aug_test``, 1.x in ``SegTTAModel``); so that is the default. Averaging logits instead is the
    geometric mean of the probabilities, up to a factor.

    Memory is that of one view and one sum, however many views there are.

    Args:
        model: as for :func:`view_logits`.
        images: (B,3,H,W) float, normalised.
        ratios: factors on height and width, one view for each; those of Region Rebalance by default.
        flip: look at the mirrored image too.
        within: see :func:`view_logits`.
        average: what is averaged.
        flip_pairs: as for :func:`view_logits`.

    Returns:
        (B,K,H,W) probabilities that sum to one over the classes, or logits; float32 or wider.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if average not in ("probabilities", "logits"):
        raise ValueError(f"average is 'probabilities' or 'logits', got {average!r}")
    total, count = images.new_zeros(()), 0
    for logits in view_logits(model, images, ratios=ratios, flip=flip, within=within, flip_pairs=flip_pairs):
        scores = logits.softmax(dim=1) if average == "probabilities" else logits
        total = total.add_(scores) if count else scores.clone()
        count += 1
    return total / count


def swapped_channels(num_classes: int, flip_pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Where the logits of each class lie in those of a mirrored image.

    Args:
        num_classes: number of channels K.
        flip_pairs: pairs of classes that a mirror swaps.

    Raises:
        ValueError: if a pair is not two of the channels, or shares one with another.
    """
    order = list(range(num_classes))
    held = [one for pair in flip_pairs for one in pair]
    if len(held) != 2 * len(flip_pairs) or len(set(held)) < len(held) or not set(held) <= set(order):
        raise OptionError(
            f"flip_pairs are pairs of {num_classes} classes that share none, got {[*map(tuple, flip_pairs)]}"
        )
    for one, other in flip_pairs:
        order[one], order[other] = other, one
    return order


def view_sizes(
    size: tuple[int, int], ratios: Sequence[float], within: tuple[int, int] | None = None
) -> list[tuple[int, int]]:
    """The (height, width) at which images of one size are seen.

    Args:
        size: (height, width) of the images.
        ratios: factors, at least one, all positive.
        within: (short, long) side of the box that images are brought to first.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if len(ratios) == 0 or not all(0 < ratio < float("inf") for ratio in ratios):
        raise OptionError(f"ratios are positive factors, at least one, got {list(ratios)}")
    base = 1.0
    if within is not None:
        if len(within) != 2 or not 1 <= within[0] <= within[1]:
            raise OptionError(f"within is (short, long) side in pixels, short first, got {within!r}")
        base = min(within[0] / min(size), within[1] / max(size))
    scaled = [[max(1, round(side * base * ratio)) for side in size] for ratio in ratios]
    # Antialiased, torch 2.15 writes the first row into all rows of an image that is one pixel wide.
    if any(width < 2 and (height, width) != tuple(size) for height, width in scaled):
        raise OptionError(
            f"ratios {list(ratios)} make images of {size[0]}x{size[1]} pixels less than two pixels wide; "
            "use larger ones"
        )
    return [(height, width) for height, width in scaled]


def _see(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    size: tuple[int, int],
    *,
    mirrored: bool,
    flip_pairs: Sequence[tuple[int, int]],
) -> Tensor:
    own = images.shape[-2:]
    if size != own:
        images = F.interpolate(images, size, mode="bilinear", antialias=True)
    logits = model(images.flip(-1) if mirrored else images)
    check_logits(logits, (len(images), *size))
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if mirrored:
        logits = logits.flip(-1)
        if len(flip_pairs) > 0:
            logits = logits[:, swapped_channels(logits.shape[1], flip_pairs)]
    return logits if size == own else F.interpolate(logits, own, mode="bilinear")
