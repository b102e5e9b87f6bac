"""Changes of light and colour, and normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
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
        image = inpt.as_subclass(Tensor).contiguous()  # planes, once: each change would part them
        for name, amount in params.items():
            image = _CHANGES[name](image, amount)
        return tv_tensors.wrap(image, like=inpt)


class ColorJitter(v2.ColorJitter):
    """torchvision's ``ColorJitter``: the same draws and formulas, and a third of its time on a CPU.

    Brightness, contrast and saturation blend with black, with the mean grey and with the grey of each pixel,
    by the library's own functions; the hue is turned by :func:`turn_hue`, which rounds to the nearest byte
    where the library cuts off: it differs by at most one of 255.

    Args:
        brightness: largest change of the factor, or its range, or None for no change.
        contrast: the same.
        saturation: the same.
        hue: the same in turns, from -0.5 to 0.5.
    """

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change an image of bytes, leave a mask alone; anything else is torchvision's."""
        if isinstance(inpt, tv_tensors.Mask) or inpt.dtype != torch.uint8 or inpt.shape[-3] != 3:
            return super().transform(inpt, params)
        image = inpt.as_subclass(Tensor).contiguous()  # planes, once: each change would part them
        for which in params["fn_idx"].tolist():
            name, change = _JITTER[which]
            if (factor := params[f"{name}_factor"]) is not None:
                image = change(image, factor)
        return tv_tensors.wrap(image, like=inpt)


def shift_brightness(image: Tensor, delta: float) -> Tensor:
    """Add ``delta`` to an image of bytes; fractions are cut off, as in the library's own functions."""
    return image.to(torch.int16).add_(math.floor(delta)).clamp_(0, 255).to(torch.uint8)


def scale_contrast(image: Tensor, factor: float) -> Tensor:
    """Blend each image of bytes (..., 3, H, W) with its mean grey, as torchvision's ``adjust_contrast`` does.

    Args:
        image: bytes.
        factor: 0 is the mean grey, 1 the image.
    """
    total = torch.zeros(image.shape[:-3], dtype=torch.float64, device=image.device)
    for rows in _strips(image):
        total += F.rgb_to_grayscale(image[..., rows, :]).sum((-3, -2, -1), dtype=torch.float64)
    offset = (total / (image.shape[-1] * image.shape[-2]) * (1 - factor)).to(torch.float32)
    return _by_strips(lambda pixels: pixels.mul(factor).add_(offset[..., None, None, None]), image)


def scale_saturation(image: Tensor, factor: float) -> Tensor:
    r"""Multiply the S of HSV, at most up to 1; V and hue stay.

    Each channel keeps its distance below the largest up to a factor,
    :math:`x' = V - \min(\alpha, V / (V - \min x)) (V - x)`, which is that change without the way to HSV.

    Args:
        image: bytes (..., 3, H, W).
        factor: :math:`\alpha`, at least 0.
    """

    def change(pixels: Tensor) -> Tensor:
        x = pixels.to(torch.float32, memory_format=torch.contiguous_format)
        low, value = _lowest_and_highest(x)
        stretch = (value / (value - low).clamp_(min=1)).clamp_(max=factor)  # grey stays: its distances are 0
        below = x.neg_().add_(value.unsqueeze(-3)).mul_(stretch.unsqueeze(-3))
        return below.neg_().add_(value.unsqueeze(-3)).round_()

    return _by_strips(change, image)


def turn_hue(image: Tensor, degrees: float) -> Tensor:
    r"""Turn the hue of an image of bytes (..., 3, H, W) by an angle; S and V stay up to rounding.

    The way to HSV and back is a division by the chroma :math:`C = V - \min x` and a product with it, so both
    can be left out. With H in sixths of a turn, :math:`C H` is :math:`g - b`, :math:`2C + b - r`
    or :math:`4C + r - g`, and a channel is V less a trapezoid of it, 6C wide. All of that are whole numbers
    but one product, C times the angle, which is rounded: a byte is at most 1/2 from the exact one.

    Args:
        image: bytes.
        degrees: the angle, -180 to 180.
    """
    turn = degrees / 60

    def change(pixels: Tensor) -> Tensor:
        x = pixels.to(torch.int16, memory_format=torch.contiguous_format)
        red, green, blue = x.unbind(-3)
        low, value = _lowest_and_highest(x)
        chroma = value - low
        half = chroma * 3  # of a turn
        is_less = [(value != channel).to(torch.int16) for channel in (red, green)]
        # C (H - 2) by the largest channel; masks as numbers, since `where` takes longer than a product
        at_green, at_blue = blue - red, (red - green).add_(chroma, alpha=2)
        at_red = (green - blue).sub_(chroma, alpha=2)
        place = at_green.add_(at_blue.sub_(at_green).mul_(is_less[1]))
        place = at_red.add_(place.sub_(at_red).mul_(is_less[0]))
        place.add_(chroma.to(torch.float32).mul_(turn).round_().to(torch.int16))
        away = torch.stack([place - chroma, place + half, place + chroma], dim=-3)
        # folded about the whole and the half turn: 3C less the distance to the next multiple of 6C
        folded = away.abs_().sub_((half * 2).unsqueeze(-3)).abs_().sub_(half.unsqueeze(-3)).abs_()
        lowered = folded.sub_(chroma.unsqueeze(-3)).clamp_(min=0)
        lowered = torch.minimum(lowered, chroma.unsqueeze(-3), out=lowered)
        return torch.sub(value.unsqueeze(-3), lowered, out=lowered)

    return _by_strips(change, image)


def _lowest_and_highest(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Of the three channels of each pixel: twice as fast as a reduction."""
    red, green, blue = pixels.unbind(-3)
    return torch.minimum(torch.minimum(red, green), blue), torch.maximum(torch.maximum(red, green), blue)


# Pixels whose intermediate results stay in the second level of a core's cache.
_STRIP = 32_768


def _strips(image: Tensor) -> Iterator[slice]:
    """Slices of rows, each of about as many pixels as the cache holds; on a GPU one for all."""
    height = image.shape[-2]
    row = max(1, image.shape[:-3].numel() * image.shape[-1])
    rows = max(1, _STRIP // row) if image.device.type == "cpu" else max(1, height)
    return (slice(first, first + rows) for first in range(0, height, rows))


def _by_strips(change: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Call a function of pixels on strips of rows; what it gives is brought to bytes."""
    changed = torch.empty_like(image, memory_format=torch.contiguous_format)
    for rows in _strips(image):
        changed[..., rows, :] = change(image[..., rows, :]).clamp_(0, 255)
    return changed


_CHANGES = {
    "brightness": shift_brightness,
    "contrast": lambda image, factor: _by_strips(lambda pixels: F.adjust_brightness(pixels, factor), image),
    "saturation": scale_saturation,
    "hue": turn_hue,
}

# In the order of torchvision's numbers for them.
_JITTER: tuple[tuple[str, Callable[[Tensor, float], Tensor]], ...] = (
    ("brightness", _CHANGES["contrast"]),
    ("contrast", scale_contrast),
    (
        "saturation",
        lambda image, factor: _by_strips(lambda pixels: F.adjust_saturation(pixels, factor), image),
    ),
    ("hue", lambda image, factor: turn_hue(image, 360 * factor)),
)


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
