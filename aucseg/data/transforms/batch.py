"""A transform of single images on a whole batch, on the batch's device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors

from aucseg.data.sampling import seeded


def transform_batch(
    transform: Callable[..., Any],
    images: Tensor | Sequence[Tensor],
    masks: Tensor | Sequence[Tensor],
    seeds: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Transform each image of a batch by draws of its own, and stack the results.

    Handed a batch, torchvision's transforms make one draw for all its images. Here each item has its seed, as
    in :class:`SeededDataset`: with the same seeds the two give the same batch, so a loader's augmentation can
    move to the GPU. On a GPU only a crop with a cap makes the host wait, once for each place it looks at.

    Args:
        transform: called as ``transform(image, mask)`` on tv_tensors.
        images: B images (3, H, W), uint8, on one device; their sizes may differ.
        masks: B masks (H, W), uint8.
        seeds: one for each item.

    Returns:
        Images (B, 3, h, w) and masks (B, h, w) on the same device, uint8.

    Raises:
        ValueError: if there are not as many masks and seeds as images, or if results differ in size.
    """
    if not len(images) == len(masks) == len(seeds) > 0:
        raise ValueError(
            f"need one mask and one seed for each image and at least one image, got {len(images)} images, "
            f"{len(masks)} masks and {len(seeds)} seeds"
        )
    items = []
    for image, mask, seed in zip(images, masks, seeds, strict=True):
        with seeded(seed):
            items.append(transform(tv_tensors.Image(image), tv_tensors.Mask(mask)))
    sizes = {tuple(image.shape[-2:]) for image, _ in items}
    if len(sizes) > 1:
        raise ValueError(f"transformed images differ in size, {sorted(sizes)}: end with a crop of fixed size")
    return (
        torch.stack([image.as_subclass(Tensor) for image, _ in items]),
        torch.stack([mask.as_subclass(Tensor) for _, mask in items]),
    )
