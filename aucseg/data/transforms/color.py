"""Changes of light and colour, and normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from aucseg.data.transforms.geometry import ItemTransform, draw_between

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PhotometricDistortion(ItemTransform):
    r"""Random brightness, contrast, saturation and hue, each with probability 1/2.

    The distortion of AUCSeg's released configurations, which is mmsegmentation's, with value
    :math:`V = \max(r, g, b)` and saturation :math:`S = 1 - \min(r, g, b) / V`:

    1. brightness: :math:`x + \delta`, :math:`\delta` uniform in plus or minus ``brightness``;
    2. contrast: :math:`\alpha x`, :math:`\alpha` uniform in ``contrast``; with probability 1/2 it comes last;
    3. saturation: S becomes :math:`\min(1, \alpha S)`, V and hue stay;
    4. hue: turned by an angle uniform in plus or minus ``hue``.

    torchvision's ``RandomPhotometricDistort`` means something else: it multiplies brightness instead of
    adding, takes contrast about the mean grey, blends with the luminance (which changes V), turns the hue by
    at most 18 degrees, and permutes the channels. Contrast and hue are its functions here, for what they
    compute: ``adjust_brightness`` multiplies.

    A batch (B, 3, H, W) gets one draw for all its images; see :func:`transform_batch`. Masks pass.

    Args:
        brightness: largest change, of 255.
        contrast: range (low, high) of the factor.
        saturation: range (low, high) of the factor.
        hue: largest angle in degrees, up to 180. mmsegmentation writes 18 and counts in OpenCV's units of two
            degrees.
        p: probability of each of the four.

    Raises:
        ValueError: if an argument is out of its range; on a call with anything but uint8 images of three
            channels.
    """

    def __init__(
        self,
        *,
        brightness: float = 32.0,
        contrast: tuple[float, float] = (0.5, 1.5),
        saturation: tuple[float, float] = (0.5, 1.5),
        hue: float = 36.0,
        p: float = 0.5,
    ) -> None:
        super().__init__()
        if not 0 <= brightness <= 255:
            raise ValueError(f"brightness is the largest change, 0 to 255, got {brightness}")
        for name, (low, high) in (("contrast", contrast), ("saturation", saturation)):
            if not 0 <= low <= high < float("inf"):
                raise ValueError(f"{name} is (low, high) with 0 <= low <= high, got ({low}, {high})")
        if not 0 <= hue <= 180:
            raise ValueError(f"hue is the largest angle in degrees, 0 to 180, got {hue}")
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability in [0, 1], got {p}")
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the changes in the order in which they are made, None where there is none."""
        amounts = {
            "brightness": draw_between(-self.brightness, self.brightness),
            "contrast": draw_between(*self.contrast),
            "saturation": draw_between(*self.saturation),
            "hue": draw_between(-self.hue, self.hue),
        }
        made = (torch.rand(len(amounts)) < self.p).tolist()
        order = list(amounts)
        if torch.rand(()).item() < 0.5:  # drawn always: the next transform's draws must not depend on it
            order = ["brightness", "saturation", "hue", "contrast"]
        chosen = {name for name, is_made in zip(amounts, made, strict=True) if is_made}
        return {name: amounts[name] for name in order if name in chosen}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change an image, leave a mask alone."""
        if isinstance(inpt, tv_tensors.Mask):
            return inpt
        if inpt.dtype != torch.uint8 or inpt.ndim < 3 or inpt.shape[-3] != 3:
            raise ValueError(
                f"photometric distortion needs uint8 images (..., 3, H, W), got {inpt.dtype} "
                f"{tuple(inpt.shape)}; normalise afterwards"
            )
        image = inpt.as_subclass(Tensor)
        for name, amount in params.items():
            image = _CHANGES[name](image, amount)
        return tv_tensors.wrap(image, like=inpt)


def shift_brightness(image: Tensor, delta: float) -> Tensor:
    """Add ``delta`` to an image of bytes; fractions are cut off, as in the library's own functions."""
    return image.to(torch.float32).add_(delta).clamp_(0, 255).to(torch.uint8)


def scale_saturation(image: Tensor, factor: float) -> Tensor:
    r"""Multiply the S of HSV, at most up to 1; V and hue stay.

    Each channel keeps its distance below the largest up to a factor,
    :math:`x' = V - \min(\alpha, V / (V - \min x)) (V - x)`, which is that change without the way to HSV.

    Args:
        image: bytes (..., 3, H, W).
        factor: :math:`\alpha`, at least 0.
    """
    pixels = image.to(torch.float32)
    low, value = torch.aminmax(pixels, dim=-3, keepdim=True)
    stretch = (value / (value - low).clamp_(min=1)).clamp_(max=factor)  # grey stays: its distances are 0
    return (value - stretch * (value - pixels)).round_().clamp_(0, 255).to(torch.uint8)


def turn_hue(image: Tensor, degrees: float) -> Tensor:
    """Turn the hue of an image of bytes by an angle; S and V stay up to rounding."""
    return F.adjust_hue(image, degrees / 360)


_CHANGES = {
    "brightness": shift_brightness,
    "contrast": F.adjust_brightness,
    "saturation": scale_saturation,
    "hue": turn_hue,
}


def normalize(
    images: Tensor,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    *,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Scale uint8 images (B, 3, H, W) or (3, H, W) to ``(x / 255 - mean) / std``.

    Which figures a network wants depends on the weights that its encoder starts from; a network of
    :func:`aucseg.models.create_model` says so: ``normalize(images, *model.normalization)``.

    Runs on the device of ``images``: send uint8 there, a quarter of the bytes.

    Args:
        images: uint8, 0 to 255.
        mean: of red, green and blue in [0, 1], ImageNet's by default.
        std: their standard deviations, all positive, ImageNet's by default.
        dtype: floating-point type of the result.

    Raises:
        ValueError: if ``images`` is not uint8 with three channels, or the figures are not three each.
    """
    if images.dtype != torch.uint8 or images.ndim < 3 or images.shape[-3] != 3:
        raise ValueError(
            f"normalize needs uint8 images (B, 3, H, W), got {images.dtype} {tuple(images.shape)}; "
            "normalise once only"
        )
    if len(mean) != 3 or len(std) != 3 or not all(0 < s < float("inf") for s in std):
        raise ValueError(f"mean and std are three figures each, std positive, got {mean!r} and {std!r}")
    factor, offset = _constants(tuple(mean), tuple(std), images.device, dtype)
    return images.as_subclass(Tensor).to(dtype).mul_(factor).add_(offset)


@lru_cache(maxsize=16)
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Factor and offset (3, 1, 1); kept, since copying them to a GPU for each batch would make it wait."""
    means, stds = (torch.tensor(figures, dtype=torch.float64)[:, None, None] for figures in (mean, std))
    return (1 / (255 * stds)).to(device, dtype), (-means / stds).to(device, dtype)
