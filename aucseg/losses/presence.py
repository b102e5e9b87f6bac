"""Which classes an image holds, as a loss of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.functional.checks import check_ignore_index, check_num_classes, class_index, label_map


def class_presence(target: Tensor, num_classes: int, *, ignore_index: int = 255) -> Tensor:
    """Which classes each image holds.

    Args:
        target: (B,H,W), integer of any width, 0 to K - 1 or ``ignore_index``; an axis of length one for a
            channel is left out.
        num_classes: number of classes K.
        ignore_index: the void label.

    Returns:
        (B,K) bool.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if the shape is another; for a label that is neither a class nor void, on the CPU alone.
    """
    num_classes = check_num_classes(num_classes)
    target = label_map(target, num_classes)
    # the last column is for void pixels
    rows = class_index(target, num_classes, check_ignore_index(ignore_index), validate=False).flatten(1)
    held = rows.new_zeros((len(rows), num_classes + 1)).scatter_(1, rows, 1)
    return held[:, :num_classes].bool()


def presence_cross_entropy(logits: Tensor, target: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Binary cross entropy of "the class is in the image", for each class by itself.

    The SE loss of EncNet (Zhang et al., 2018, "Context Encoding for Semantic Segmentation"): a class of a
    few pixels weighs as much as the largest. The mean is over classes and over images that have a label; of
    an image that is void alone nothing is known, where common code calls every class absent. A batch of such
    images gives zero.

    Args:
        logits: (B,K), one number for each image and class; or (B,1) of two classes, for class 1 alone.
        target: (B,H,W) integer, void = ``ignore_index``.
        ignore_index: the void label.

    Returns:
        Scalar loss, at least float32.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if the shapes do not fit, and as :func:`class_presence`.
    """
    if logits.ndim != 2 or len(logits) != len(target):
        raise ValueError(
            f"logits of presence have shape (B, K), one row for each image of the target, got "
            f"{tuple(logits.shape)} for {len(target)} images; take the mean over pixels first"
        )
    held = class_presence(target, max(2, logits.shape[1]), ignore_index=ignore_index)
    labelled, held = held.any(dim=1), held[:, -logits.shape[1] :]
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))  # half precision has too few digits
    each = F.binary_cross_entropy_with_logits(wide, held.to(wide), reduction="none").mean(dim=1)
    return (each * labelled).sum() / labelled.sum().clamp(min=1)
