"""Test-time augmentation: a network's opinion of an image at several scales, and mirrored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.errors import OptionError
from aucseg.models.windows import check_images, check_logits

# Region Rebalance, Section 4.2.
RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


def view_logits(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    ratios: Sequence[float] = (1.0,),
    flip: bool = False,
    within: tuple[int, int] | None = None,
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

    Yields:
        (B,K,H,W) logits, float32 or wider, without gradients.

    Raises:
        ValueError: if an argument is out of its range, when the first view is asked for.
    """
    check_images(images)
    for size in view_sizes((images.shape[-2], images.shape[-1]), ratios, within):
        for mirrored in (False, True) if flip else (False,):
            with torch.no_grad():  # not around the yield: the caller's own gradients are the caller's
                logits = _see(model, images, size, mirrored=mirrored)
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

    Returns:
        (B,K,H,W) probabilities that sum to one over the classes, or logits; float32 or wider.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if average not in ("probabilities", "logits"):
        raise ValueError(f"average is 'probabilities' or 'logits', got {average!r}")
    total, count = images.new_zeros(()), 0
    for logits in view_logits(model, images, ratios=ratios, flip=flip, within=within):
        scores = logits.softmax(dim=1) if average == "probabilities" else logits
        total = total.add_(scores) if count else scores.clone()
        count += 1
    return total / count


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
    model: Callable[[Tensor], Tensor], images: Tensor, size: tuple[int, int], *, mirrored: bool
) -> Tensor:
    own = images.shape[-2:]
    if size != own:
        images = F.interpolate(images, size, mode="bilinear", antialias=True)
    logits = model(images.flip(-1) if mirrored else images)
    check_logits(logits, (len(images), *size))
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if mirrored:
        logits = logits.flip(-1)
    return logits if size == own else F.interpolate(logits, own, mode="bilinear")
