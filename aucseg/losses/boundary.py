"""Where labels change, and a loss for a map of such places (STDC's detail guidance)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.functional.checks import check_count, check_ignore_index, label_map

# Epsilon of Eq. 2 of STDC; it also decides what an image without edges costs.
_SMOOTH = 1.0


def boundary_targets(
    target: Tensor, *, ignore_index: int = 255, strides: Sequence[int] = (1, 2, 4)
) -> Tensor:
    r"""The pixels where labels change, seen at several strides (Fan et al., 2021, Section 3.3).

    At stride 1 a pixel is an edge if one of its eight neighbours has another class. At stride s only the
    pixels at multiples of s are looked at, and each that is an edge marks its whole s x s cell. The result is
    the union over the strides. Void pixels are never edges, nor does a neighbour that is void or outside the
    image make one: where it is not known what lies beyond, no edge is claimed.

    The paper finds edges by a Laplacian of the label numbers, weighs the strides by a 1x1 convolution and
    cuts at 0.1. In the released code that keeps, of two classes, the side with the larger number; takes the
    border of every void region and of the image itself for edges; and drops, with its weights 0.6, 0.3 and
    0.1, what only stride 4 sees. Here no result depends on how classes are numbered, and each stride counts.

    Args:
        target: (B,H,W), integer labels of any width; an axis of length one for a channel is left out.
        ignore_index: the void label.
        strides: which strides, in pixels.

    Returns:
        (B,H,W) bool, true on edges.

    Raises:
        ValueError: if there are no strides or one is below 1, or the target is not (B,H,W).
    """
    strides = [check_count("strides", stride, 1) for stride in strides]
    if not strides:
        raise ValueError("strides are numbers of pixels from 1 on, at least one, got []")
    target, void = _labels(target, ignore_index)
    finest = _label_changes(target, void)
    height, width = target.shape[-2:]
    edges = torch.zeros_like(finest)
    for stride in strides:
        cells = finest[:, ::stride, ::stride]
        cells = cells.repeat_interleave(stride, 1).repeat_interleave(stride, 2)
        edges |= cells[:, :height, :width]
    return edges & ~void


def _labels(target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Labels (B,H,W) and where they are void."""
    target = label_map(target, None)
    # widened before the comparison: in uint8 the label 255 equals -1
    return target, target.long() == check_ignore_index(ignore_index)


def _label_changes(target: Tensor, void: Tensor) -> Tensor:
    """(B,H,W) bool: labelled, with a labelled neighbour of another class among the eight."""
    height, width = target.shape[-2:]
    edges = torch.zeros_like(target, dtype=torch.bool)
    # each pair of neighbours once: the other four directions are these, seen from the other end
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        rows, other_rows = slice(0, height - down), slice(down, height)
        columns = slice(max(0, -right), width - max(0, right))
        other_columns = slice(max(0, right), width - max(0, -right))
        here, there = target[:, rows, columns], target[:, other_rows, other_columns]
        differ = (here != there) & ~void[:, rows, columns] & ~void[:, other_rows, other_columns]
        edges[:, rows, columns] |= differ
        edges[:, other_rows, other_columns] |= differ
    return edges


def boundary_loss(
    logits: Tensor, target: Tensor, *, ignore_index: int = 255, strides: Sequence[int] = (1, 2, 4)
) -> Tensor:
    r"""Binary cross entropy plus Dice of a map of edges (Fan et al., 2021, Eq. 1 and 2).

    With p the sigmoids, g the edges of :func:`aucseg.losses.boundary_targets` and sums over the labelled
    pixels of an image:

    .. math::

        \ell = \ell_{bce} + \ell_{dice}, \qquad
        \ell_{dice} = 1 - \frac{2 \sum p g + 1}{\sum p^2 + \sum g^2 + 1}

    The cross entropy is the mean over the labelled pixels of the batch, Dice the mean over its images; the
    released code has p and g instead of their squares. What a void pixel shows does not matter.

    Args:
        logits: (B,1,H,W) of "here is an edge".
        target: (B,H,W), class labels, as for the edges.
        ignore_index: the void label.
        strides: as for the edges.

    Returns:
        Scalar loss, at least float32; zero where every pixel is void.

    Raises:
        ValueError: if the shapes do not fit, and as for the edges.
    """
    target, void = _labels(target, ignore_index)
    batch, *size = target.shape
    if tuple(logits.shape) != (batch, 1, *size):
        raise ValueError(
            f"logits must have shape {(batch, 1, *size)} for a target of shape {tuple(target.shape)}, got "
            f"{tuple(logits.shape)}; resize them first: "
            f"torch.nn.functional.interpolate(logits, size={tuple(size)}, mode='bilinear')"
        )
    logits = logits.squeeze(1)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    labelled = ~void
    edges = boundary_targets(target, ignore_index=ignore_index, strides=strides).to(logits.dtype)
    logits = logits.where(labelled, 0.0)
    entropy = F.binary_cross_entropy_with_logits(logits, edges, reduction="none").where(labelled, 0.0)
    shown = logits.sigmoid().where(labelled, 0.0).flatten(1)
    edges = edges.flatten(1)
    overlap = 2 * (shown * edges).sum(1) + _SMOOTH
    dice = 1 - overlap / (shown.square().sum(1) + edges.square().sum(1) + _SMOOTH)
    return entropy.sum() / labelled.sum().clamp(min=1) + dice.mean()
