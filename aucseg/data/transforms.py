"""Augmentation on image and mask together, and normalisation of a batch on its device."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# The ImageNet mean in 0 to 255: about zero after `normalize`, so padding looks like nothing.
NEUTRAL = (124, 116, 104)
VOID = 255

PairTransform = Callable[..., Any]


class RandomScale(v2.Transform):
    """Resize image and mask by one random factor, uniform in ``[low, high]``, aspect ratio kept.

    Images bilinear with antialiasing, masks by the nearest pixel centre.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not 0 < low <= high:
            raise ValueError(f"scale is (low, high) with 0 < low <= high, got ({low}, {high})")
        self.low, self.high = low, high

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the new (height, width)."""
        factor = self.low + (self.high - self.low) * torch.rand(()).item()
        height, width = v2.query_size(flat_inputs)
        return {"size": [max(1, round(height * factor)), max(1, round(width * factor))]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize one input."""
        if isinstance(inpt, tv_tensors.Mask):
            resized = F.resize(
                inpt.as_subclass(Tensor)[None], params["size"], interpolation=InterpolationMode.NEAREST_EXACT
            )
            return tv_tensors.Mask(resized[0])
        return F.resize(inpt, params["size"], interpolation=InterpolationMode.BILINEAR, antialias=True)


class PadToMultiple(v2.Transform):
    """Pad right and below until height and width are multiples of ``divisor``.

    Images with a neutral colour, masks with void, so that no metric sees the padding.
    """

    def __init__(self, divisor: int) -> None:
        super().__init__()
        if divisor < 1:
            raise ValueError(f"divisor is a positive number of pixels, got {divisor}")
        self.divisor = divisor

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Find the padding [left, top, right, bottom]."""
        height, width = v2.query_size(flat_inputs)
        return {"padding": [0, 0, -width % self.divisor, -height % self.divisor]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Pad one input."""
        fill: Any = VOID if isinstance(inpt, tv_tensors.Mask) else NEUTRAL
        return F.pad(inpt, params["padding"], fill=fill)


def train_transform(
    crop_size: tuple[int, int],
    *,
    scale: tuple[float, float] | None = (0.5, 2.0),
    hflip: float = 0.5,
    photometric: bool = False,
) -> PairTransform:
    """Random scale, crop, flip and, optional, mild changes of light and colour.

    Call it as ``image, mask = transform(image, mask)`` on tv_tensors (uint8). All randomness comes from
    torch's CPU generator. Images smaller than the crop are padded: images with the ImageNet mean colour,
    masks with void.

    Args:
        crop_size: (height, width) of the result.
        scale: range of the random factor on height and width before the crop; None leaves the scale.
        hflip: probability of a horizontal flip.
        photometric: change brightness, contrast and saturation by up to 20% and hue by up to 7 degrees.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if len(crop_size) != 2 or min(crop_size) < 1:
        raise ValueError(f"crop_size is (height, width) in pixels, both positive, got {crop_size!r}")
    if not 0 <= hflip <= 1:
        raise ValueError(f"hflip is a probability in [0, 1], got {hflip}")
    fill: dict[Any, Any] = {tv_tensors.Image: NEUTRAL, tv_tensors.Mask: VOID}
    steps: list[v2.Transform] = [] if scale is None else [RandomScale(*scale)]
    steps.append(v2.RandomCrop(tuple(crop_size), pad_if_needed=True, fill=fill))
    if hflip > 0:
        steps.append(v2.RandomHorizontalFlip(hflip))
    if photometric:
        steps.append(v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02))
    return v2.Compose(steps)


def eval_transform(*, divisor: int = 1) -> PairTransform:
    """The whole image, unscaled; padded right and below to a multiple of ``divisor`` pixels.

    Args:
        divisor: the multiple that the model needs, 32 for most encoders (CamVid's 360 rows are none).
    """
    return PadToMultiple(divisor)


def normalize(images: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Scale uint8 images (B, 3, H, W) or (3, H, W) to ``(x / 255 - mean) / std`` of ImageNet.

    Runs on the device of ``images``: send uint8 there, a quarter of the bytes.

    Args:
        images: uint8, 0 to 255.
        dtype: floating-point type of the result.

    Raises:
        ValueError: if ``images`` is not uint8 with three channels.
    """
    if images.dtype != torch.uint8 or images.ndim < 3 or images.shape[-3] != 3:
        raise ValueError(
            f"normalize needs uint8 images (B, 3, H, W), got {images.dtype} {tuple(images.shape)}; "
            "normalise once only"
        )
    factor, offset = _constants(images.device, dtype)
    return images.as_subclass(Tensor).to(dtype).mul_(factor).add_(offset)


@lru_cache(maxsize=16)
def _constants(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Factor and offset (3, 1, 1); kept, since copying them to a GPU for each batch would make it wait."""
    mean = torch.tensor(IMAGENET_MEAN, dtype=torch.float64)[:, None, None]
    std = torch.tensor(IMAGENET_STD, dtype=torch.float64)[:, None, None]
    return (1 / (255 * std)).to(device, dtype), (-mean / std).to(device, dtype)
