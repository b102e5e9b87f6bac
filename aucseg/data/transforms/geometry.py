"""Resizing and padding of image and mask together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

# The ImageNet mean in 0 to 255: about zero after `normalize`, so padding looks like nothing.
NEUTRAL = (124, 116, 104)
VOID = 255


class _Resize(v2.Transform):
    """Bring image and mask to ``params["size"]``; how large that is, a subclass says.

    Images bilinear with antialiasing, masks by the nearest pixel centre. The library's own resizing
    transforms take the upper left pixel for masks, which shifts labels by up to half a pixel.
    """

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize one input."""
        if isinstance(inpt, tv_tensors.Mask):
            resized = F.resize(
                inpt.as_subclass(Tensor)[None], params["size"], interpolation=InterpolationMode.NEAREST_EXACT
            )
            return tv_tensors.Mask(resized[0])
        if inpt.ndim == 3 and inpt.device.type == "cpu":
            # Where a pixel's channels lie together, torch enlarges bytes twice as fast to the same values,
            # and an image of one pixel does not make it crash.
            together = torch.stack(inpt.as_subclass(Tensor).unbind(), dim=-1).permute(2, 0, 1)
            inpt = tv_tensors.wrap(together, like=inpt)
        return F.resize(inpt, params["size"], interpolation=InterpolationMode.BILINEAR, antialias=True)


class RandomScale(_Resize):
    """Resize image and mask by one random factor, uniform in ``[low, high]``, aspect ratio kept.

    Images bilinear with antialiasing, masks by the nearest pixel centre.

    Args:
        low: smallest factor on height and width, above 0.
        high: largest factor, at least ``low``.

    Raises:
        ValueError: unless 0 < low <= high.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        check_ratio(low, high)
        self.low, self.high = low, high

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the new (height, width)."""
        factor = draw_between(self.low, self.high)
        height, width = v2.query_size(flat_inputs)
        return {"size": [max(1, round(height * factor)), max(1, round(width * factor))]}


class RandomResize(_Resize):
    r"""Resize image and mask to a size that is the same for all images, times a random ratio.

    With the aspect ratio kept and ``size`` = (short, long), the factor on both sides is

    .. math:: r \min\left(\frac{short}{\min(H, W)}, \frac{long}{\max(H, W)}\right),
        \quad r \sim U[low, high],

    so that the image fits into the box, whichever way it lies, as mmsegmentation's ``Resize`` does with
    ``img_scale`` and ``ratio_range``. AUCSeg F.2 has (1024, 2048) for Cityscapes and (512, 2048) for ADE20K
    and COCO-Stuff. Interpolation is that of :class:`RandomScale`.

    Args:
        size: (short, long) side in pixels of the box, or the short side alone; (height, width) without
            ``keep_aspect``.
        ratio: range (low, high) of the random ratio; (1, 1) draws nothing.
        keep_aspect: keep the ratio of height and width; otherwise the result is ``size`` times the ratio.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        ratio: tuple[float, float] = (1.0, 1.0),
        *,
        keep_aspect: bool = True,
    ) -> None:
        super().__init__()
        sides = (size,) if isinstance(size, int) else tuple(size)
        if min(sides) < 1 or len(sides) > 2:
            raise ValueError(f"size is a side or two sides in pixels, all positive, got {size!r}")
        if keep_aspect and list(sides) != sorted(sides):
            raise ValueError(f"size is (short, long) where the aspect ratio is kept, got {size!r}")
        if not keep_aspect and len(sides) == 1:
            raise ValueError(f"size is (height, width) where the aspect ratio is not kept, got {size!r}")
        check_ratio(*ratio)
        self.sides, self.ratio, self.keep_aspect = sides, (ratio[0], ratio[1]), keep_aspect

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the new (height, width)."""
        factor = 1.0 if self.ratio == (1.0, 1.0) else draw_between(*self.ratio)
        if not self.keep_aspect:
            return {"size": [max(1, round(side * factor)) for side in self.sides]}
        own = v2.query_size(flat_inputs)
        factor *= min(to / side for to, side in zip(self.sides, sorted(own), strict=False))
        return {"size": [max(1, round(side * factor)) for side in own]}


class PadToMultiple(v2.Transform):
    """Pad right and below until height and width are multiples of ``divisor``.

    Images with a neutral colour, masks with void, so that no metric sees the padding.

    Args:
        divisor: the multiple, in pixels.

    Raises:
        ValueError: if it is below 1.
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


def check_ratio(low: float, high: float) -> None:
    """Make sure that 0 < low <= high < infinity, or say what is wrong."""
    if not 0 < low <= high < float("inf"):
        raise ValueError(f"scale is (low, high) with 0 < low <= high, got ({low}, {high})")


def draw_between(low: float, high: float) -> float:
    """A number from the uniform distribution on [low, high)."""
    return low + (high - low) * torch.rand(()).item()
