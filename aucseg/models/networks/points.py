"""Points of an image: values at them, the labels there, and where a segmentation is least certain."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def values_at(features: Tensor, points: Tensor) -> Tensor:
    """Features at points between the pixels, bilinearly.

    At pixel centres of any finer grid this is what ``F.interpolate(..., align_corners=False)`` gives: beyond
    the outermost centres the border is repeated. The released code of PointRend fades to zero there.

    Args:
        features: (B,C,h,w).
        points: (B,P,2) x and y in [0,1], from the left and upper to the right and lower edge of the image.

    Returns:
        (B,C,P) in float32 or wider: positions in half precision would be off by whole pixels.
    """
    wide = torch.promote_types(features.dtype, torch.float32)
    grid = (2 * points.to(wide) - 1).unsqueeze(2)
    found = F.grid_sample(
        features.to(wide), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return found.squeeze(3)


def labels_at(target: Tensor, points: Tensor) -> Tensor:
    """Labels (B,P) of the pixels of (B,H,W) in which points (B,P,2), as in :func:`values_at`, lie."""
    height, width = target.shape[-2:]
    column = (points[..., 0] * width).long().clamp(0, width - 1)
    row = (points[..., 1] * height).long().clamp(0, height - 1)
    return target.flatten(1).gather(1, row * width + column)


def uncertainty(logits: Tensor) -> Tensor:
    """How little the first choice is ahead of the second: (B,P) from (B,K,P), at most zero, for a tie."""
    first, second = logits.topk(2, dim=1).values.unbind(1)
    return second - first


@torch.no_grad()
def training_points(coarse: Tensor, count: int, oversample: int, important: float) -> Tensor:
    """Random points for training, most of them where the coarse prediction is uncertain.

    Of ``oversample * count`` points drawn uniformly the ``important * count`` most uncertain are kept, and
    as many uniform ones added as are wanting (Kirillov et al., 2020, section 3.1, "training").

    Args:
        coarse: (B,K,h,w) logits.
        count: points in each image.
        oversample: how many times as many to draw.
        important: share of the points that are chosen by their uncertainty, in [0,1].

    Returns:
        (B,count,2), as in :func:`values_at`.
    """
    batch = len(coarse)
    kept = round(important * count)
    drawn = torch.rand(batch, oversample * count, 2, device=coarse.device)
    order = uncertainty(values_at(coarse, drawn)).topk(kept, dim=1).indices
    chosen = drawn.gather(1, order.unsqueeze(2).expand(-1, -1, 2))
    return torch.cat([chosen, torch.rand(batch, count - kept, 2, device=coarse.device)], dim=1)


def uncertain_pixels(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The pixels where logits are least certain, at most ``count`` of them.

    Args:
        logits: (B,K,h,w).
        count: how many; all where there are fewer pixels.

    Returns:
        Indices (B,P) into the h*w pixels, and their centres (B,P,2) as in :func:`values_at`.
    """
    height, width = logits.shape[-2:]
    # sym_min: an exported program keeps the choice open, where Python's min would settle it
    indices = uncertainty(logits.flatten(2)).topk(torch.sym_min(count, height * width), dim=1).indices
    column, row = indices % width, torch.div(indices, width, rounding_mode="floor")
    return indices, torch.stack([(column + 0.5) / width, (row + 0.5) / height], dim=2)
