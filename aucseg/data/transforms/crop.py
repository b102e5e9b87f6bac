"""A random crop that is not filled by one class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from aucseg.data.transforms.geometry import NEUTRAL, VOID


class CappedRandomCrop(v2.RandomCrop):
    """Crop image and mask at a random place, preferably one where no class covers most of the crop.

    Where the largest class has ``max_class_share`` or more of the labelled pixels in the crop, another place
    is drawn, ``redraws`` times at most; the last draw is taken as it is. Void pixels count neither above nor
    below the fraction, and a crop without any labelled pixel is drawn again too. This is the rule of
    mmsegmentation's ``RandomCrop`` with its ``cat_max_ratio``.

    Images smaller than the crop are padded at a random offset: images with the ImageNet mean colour, masks
    with void. mmsegmentation pads at the right and below only.

    A share of 1 is no cap: then it is torchvision's crop, with the same draws.

    Args:
        size: (height, width) of the crop in pixels.
        max_class_share: the share above 0 and up to 1 that a single class must stay below.
        redraws: how often another place is drawn.

    Raises:
        ValueError: if an argument is out of its range; on a call with a cap but without a mask.
    """

    def __init__(self, size: tuple[int, int], *, max_class_share: float = 1.0, redraws: int = 10) -> None:
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"crop_size is (height, width) in pixels, both positive, got {size!r}")
        if not 0 < max_class_share <= 1:
            raise ValueError(f"max_class_share is a share in (0, 1], 1 for no cap, got {max_class_share}")
        if redraws < 1:
            raise ValueError(f"redraws is at least 1, got {redraws}; max_class_share=1 switches the cap off")
        fill: dict[Any, Any] = {tv_tensors.Image: NEUTRAL, tv_tensors.Mask: VOID}
        super().__init__(tuple(size), pad_if_needed=True, fill=fill)
        self.max_class_share, self.redraws = max_class_share, redraws

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw a place; again where a class fills it."""
        params: dict[str, Any] = super().make_params(flat_inputs)
        if self.max_class_share == 1:
            return params
        masks = [inpt for inpt in flat_inputs if isinstance(inpt, tv_tensors.Mask)]
        if not masks:
            raise ValueError("a crop with max_class_share below 1 looks at the labels: pass image and mask")
        for _ in range(self.redraws):
            if largest_share(_window(masks[0].as_subclass(Tensor), params)) < self.max_class_share:
                break
            params = super().make_params(flat_inputs)
        return params


def largest_share(labels: Tensor) -> float:
    """Share of the most frequent label among those that are not void; 1 where all are void.

    Args:
        labels: of any shape, non-negative integers.
    """
    counts = torch.bincount(labels.reshape(-1), minlength=VOID + 1)
    counts[VOID] = 0
    most, total = torch.stack([counts.max(), counts.sum()]).tolist()  # on a GPU the one wait
    return most / total if total else 1.0


def _window(mask: Tensor, params: dict[str, Any]) -> Tensor:
    """What a crop shows of a mask (..., H, W), without the padding around it, which is void."""
    left, top = params["padding"][:2]
    rows, columns = params["top"] - top, params["left"] - left
    return mask[
        ...,
        max(0, rows) : rows + params["height"],
        max(0, columns) : columns + params["width"],
    ]
