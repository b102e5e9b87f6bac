"""Items whose pixels tell where they come from."""

from __future__ import annotations

import torch
from torchvision import tv_tensors


def ramps(height: int = 40, width: int = 60) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """An image whose first channel equals the mask, so that geometry can be compared."""
    mask = torch.arange(height)[:, None] // 8 * 10 + torch.arange(width)[None] // 12
    image = torch.stack([mask * 2, mask, 255 - mask]).byte()
    return tv_tensors.Image(image), tv_tensors.Mask(mask.byte())


def coordinates(height: int, width: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """Red is the row and green the column, and the mask is the row: pixels and labels can be compared."""
    rows = torch.arange(height)[:, None].expand(height, width)
    columns = torch.arange(width)[None].expand(height, width)
    return (
        tv_tensors.Image(torch.stack([rows, columns, (rows + columns) // 2]).byte()),
        tv_tensors.Mask(rows.byte().clone()),
    )
