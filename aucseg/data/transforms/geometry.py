"""Resizing, cropping and padding of image and mask together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from aucseg.data.items import typed
from aucseg.data.labels import VOID
from aucseg.data.spec import check_flip_pairs

# The ImageNet mean in 0 to 255: about zero after `normalize`, so padding looks like nothing.
NEUTRAL = (124, 116, 104)


Window = tuple[int, int, int, int]  # (top, left, height, width) in pixels of what it is cut from


def resize_image(image: Tensor, size: Sequence[int], window: Window | None = None) -> Tensor:
    """Resize an image (..., C, H, W) of bytes to ``size`` = (height, width): bilinear, with antialiasing.

    Args:
        image: bytes.
        size: what the whole image becomes.
        window: the part of that which is wanted: the same bytes as if it were cut out afterwards. For one
            image on the CPU the rest is not computed.
    """
    if image.ndim != 3 or image.device.type != "cpu":
        resized = _resize(image, size)
        return resized if window is None else _cut(resized, window)
    if window is not None:
        return _resize_window(image, size, window)
    return _resize(_channels_together(image), size)


def _channels_together(image: Tensor) -> Tensor:
    """An image (C, H, W) of which a pixel's channels lie together, as pictures are read.

    torch enlarges such bytes twice as fast to the same values, and an image of one pixel does not make it
    crash.
    """
    channels, height, width = image.shape
    if image.stride() == (1, width * channels, channels) and min(height, width) > 1:
        return image
    return torch.stack(image.unbind(), dim=-1).permute(2, 0, 1)


def _resize(image: Tensor, size: Sequence[int]) -> Tensor:
    resized: Tensor = F.resize(image, list(size), interpolation=InterpolationMode.BILINEAR, antialias=True)
    return resized


def _resize_window(image: Tensor, size: Sequence[int], window: Window) -> Tensor:
    """A window of a resized image, without the rest.

    torch resizes bytes row by row and then column by column, rounding to bytes in between, and leaves out the
    pass that changes nothing. So the rows that the window looks at are made as wide as they become, and the
    columns of the window, at their own place between rows that nobody looks at, as high.
    """
    top, left, height, width = window
    own = image.shape[-2]
    step = own / size[0]
    reach = max(step, 1.0) + 1  # of the triangle around a new row's centre; a row more is no harm
    first = max(0, math.floor((top + 0.5) * step - reach))
    last = min(own, math.ceil((top + height - 0.5) * step + reach))
    rows = _channels_together(image[:, first:last])
    wide = _resize(rows, (last - first, size[1]))[..., left : left + width]
    columns = torch.empty((own, width, len(image)), dtype=torch.uint8)  # the other rows are never looked at
    columns[first:last] = wide.permute(1, 2, 0)
    return _resize(columns.permute(2, 0, 1), (size[0], width))[:, top : top + height]


def resize_mask(mask: Tensor, size: Sequence[int], window: Window | None = None) -> Tensor:
    """Resize a mask (H, W) of bytes to ``size`` = (height, width).

    It takes the pixel at each new centre ("nearest exact"), where a bilinear image looks too; plain "nearest"
    takes the upper left one and would shift the mask by half a pixel.

    Args:
        mask: labels.
        size: what the whole mask becomes.
        window: the part of that which is wanted; the rest is not computed.
    """
    if window is not None:
        top, left, height, width = window
        rows, columns = (_nearest(own, to, mask.device) for own, to in zip(mask.shape, size, strict=True))
        kept = mask.index_select(0, rows[top : top + height])
        if mask.device.type != "cpu":
            return kept.index_select(1, columns[left : left + width])
        # NumPy takes columns in an eighth of the time
        return torch.from_numpy(kept.numpy()[:, columns[left : left + width].numpy()])
    resized: Tensor = F.resize(mask[None], list(size), interpolation=InterpolationMode.NEAREST_EXACT)[0]
    return resized


def _nearest(own: int, to: int, device: torch.device) -> Tensor:
    """Which of ``own`` pixels in a row each of ``to`` new ones takes, (to,): the library's own choice."""
    places = torch.arange(own, dtype=torch.float32, device=device)[None, None]  # whole up to 16 million
    return interpolate(places, to, mode="nearest-exact")[0, 0].long()


def _cut(image: Tensor, window: Window) -> Tensor:
    top, left, height, width = window
    return image[..., top : top + height, left : left + width]


class ItemTransform(v2.Transform):
    """A transform of image and mask together: tv_tensors, or plain tensors in this order."""

    def forward(self, *inputs: Any) -> Any:
        """Transform both.

        Args:
            *inputs: image and mask, see :func:`aucseg.data.items.typed`.
        """
        return super().forward(*typed(*inputs))


class Resizing(ItemTransform):
    """Bring image and mask to ``params["size"]``; how large that is, a subclass says.

    Images bilinear with antialiasing, masks by the nearest pixel centre. The library's own resizing
    transforms take the upper left pixel for masks, which shifts labels by up to half a pixel.
    """

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize one input."""
        if isinstance(inpt, tv_tensors.Mask):
            return tv_tensors.Mask(resize_mask(inpt.as_subclass(Tensor), params["size"]))
        return tv_tensors.wrap(resize_image(inpt.as_subclass(Tensor), params["size"]), like=inpt)


class RandomScale(Resizing):
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


class RandomResize(Resizing):
    r"""Resize image and mask to a size that is the same for all images, times a random ratio.

    With the aspect ratio kept and ``size`` = (short, long), the factor on both sides is

    .. math:: r \min\left(\frac{short}{\min(H, W)}, \frac{long}{\max(H, W)}\right),
        \quad r \sim U[low, high],

    so that the image fits into the box, whichever way it lies, as mmsegmentation's ``Resize`` does with
    ``img_scale`` and ``ratio_range``. AUCSeg F.2 has (1024, 2048) for Cityscapes and (512, 2048) for ADE20K
    and COCO-Stuff. Interpolation is that of :class:`RandomScale`.

    mmsegmentation cuts the sides of the scaled box off to whole pixels before the image is fitted into it,
    and rounds halves up: its images are smaller by up to two pixels in two draws of three. ``rule="mmseg"``
    does so too.

    Args:
        size: (short, long) side in pixels of the box, or the short side alone; (height, width) without
            ``keep_aspect``.
        ratio: range (low, high) of the random ratio; (1, 1) draws nothing.
        keep_aspect: keep the ratio of height and width; otherwise the result is ``size`` times the ratio.
        rule: ``"exact"``, the formula, or ``"mmseg"``.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        ratio: tuple[float, float] = (1.0, 1.0),
        *,
        keep_aspect: bool = True,
        rule: Literal["exact", "mmseg"] = "exact",
    ) -> None:
        super().__init__()
        if rule not in ("exact", "mmseg"):
            raise ValueError(f"rule is 'exact' or 'mmseg', got {rule!r}")
        sides = (size,) if isinstance(size, int) else tuple(size)
        if min(sides) < 1 or len(sides) > 2:
            raise ValueError(f"size is a side or two sides in pixels, all positive, got {size!r}")
        if keep_aspect and list(sides) != sorted(sides):
            raise ValueError(f"size is (short, long) where the aspect ratio is kept, got {size!r}")
        if not keep_aspect and len(sides) == 1:
            raise ValueError(f"size is (height, width) where the aspect ratio is not kept, got {size!r}")
        check_ratio(*ratio)
        self.sides, self.ratio, self.keep_aspect = sides, (ratio[0], ratio[1]), keep_aspect
        self.rule = rule

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the new (height, width)."""
        factor = 1.0 if self.ratio == (1.0, 1.0) else draw_between(*self.ratio)
        if self.rule == "mmseg":
            return {"size": self._whole_box(v2.query_size(flat_inputs), factor)}
        if not self.keep_aspect:
            return {"size": [max(1, round(side * factor)) for side in self.sides]}
        own = v2.query_size(flat_inputs)
        factor *= min(to / side for to, side in zip(self.sides, sorted(own), strict=False))
        return {"size": [max(1, round(side * factor)) for side in own]}

    def _whole_box(self, own: Sequence[int], factor: float) -> list[int]:
        """(height, width) of an image in a box whose sides are whole pixels."""
        box = [int(side * factor) for side in self.sides]
        if not self.keep_aspect:
            return [max(1, side) for side in box]
        fit = min(to / side for to, side in zip(box, sorted(own), strict=False))
        return [max(1, int(side * fit + 0.5)) for side in own]


class CappedRandomCrop(ItemTransform, v2.RandomCrop):
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
        masks = [inpt for inpt in flat_inputs if isinstance(inpt, tv_tensors.Mask)]
        if self.max_class_share < 1 and not masks:
            raise ValueError("a crop with max_class_share below 1 looks at the labels: pass image and mask")
        return self._draw(flat_inputs, lambda params: crop_window(masks[0].as_subclass(Tensor), params))

    def choose(
        self, size: tuple[int, int], labels: Callable[[Window | None], Tensor], label: int | None = None
    ) -> dict[str, Any]:
        """Draw a place as :meth:`make_params` does, for a mask that need not be there as a whole.

        Args:
            size: (height, width) of the mask.
            labels: gives what a window of it shows, or all of it for None.
            label: the class that the image was drawn for, of which this crop makes nothing.
        """
        return self._draw([_blank(size)], lambda params: labels(shown(size, params)))

    def _draw(self, like: list[Any], look: Callable[[dict[str, Any]], Tensor]) -> dict[str, Any]:
        params: dict[str, Any] = super().make_params(like)
        if self.max_class_share < 1:
            for _ in range(self.redraws):
                if self.fits(look(params)):
                    break
                params = super().make_params(like)
        return params

    def fits(self, labels: Tensor) -> bool:
        """Whether no class has as much of some labels as the cap, if there is one.

        Args:
            labels: what a crop shows of a mask.
        """
        return self.max_class_share == 1 or largest_share(labels) < self.max_class_share


class PadToMultiple(ItemTransform):
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


class HorizontalFlip(ItemTransform, v2.RandomHorizontalFlip):
    """Mirror image and mask at random, and swap the labels of left and right.

    In a mirror a left hand is a right hand: where the two are classes, flipped pixels change their label.
    The draw is that of torchvision's ``RandomHorizontalFlip``.

    Args:
        p: probability.
        flip_pairs: pairs of labels that a mirror swaps, as a :class:`aucseg.data.ClassSpec` has them.

    Raises:
        ValueError: if ``p`` is outside [0, 1], or a label is outside 0 to 254 or in two pairs.
    """

    def __init__(self, p: float = 0.5, *, flip_pairs: Sequence[tuple[int, int]] = ()) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability in [0, 1], got {p}")
        super().__init__(p)
        self.flip_pairs = check_flip_pairs(flip_pairs, VOID)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Mirror one input."""
        mirrored = super().transform(inpt, params)
        if not self.flip_pairs or not isinstance(inpt, tv_tensors.Mask):
            return mirrored
        swapped = _swap_table(self.flip_pairs, mirrored.device)[mirrored.as_subclass(Tensor).long()]
        return tv_tensors.Mask(swapped.to(mirrored.dtype))


@lru_cache(maxsize=16)
def _swap_table(flip_pairs: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """What a mirror makes of each label, (256,) uint8; kept, since copying to a GPU would make that wait."""
    table = torch.arange(VOID + 1, dtype=torch.uint8)
    for one, other in flip_pairs:
        table[one], table[other] = other, one
    return table.to(device)


def check_ratio(low: float, high: float) -> None:
    """Make sure that 0 < low <= high < infinity, or say what is wrong."""
    if not 0 < low <= high < float("inf"):
        raise ValueError(f"scale is (low, high) with 0 < low <= high, got ({low}, {high})")


def draw_between(low: float, high: float) -> float:
    """A number from the uniform distribution on [low, high)."""
    return low + (high - low) * torch.rand(()).item()


def largest_share(labels: Tensor) -> float:
    """Share of the most frequent label among those that are not void; 1 where all are void.

    Args:
        labels: of any shape, non-negative integers.
    """
    counts = torch.bincount(labels.reshape(-1), minlength=VOID + 1)
    counts[VOID] = 0
    most, total = torch.stack([counts.max(), counts.sum()]).tolist()  # on a GPU the one wait
    return most / total if total else 1.0


def crop_window(mask: Tensor, params: dict[str, Any]) -> Tensor:
    """What a crop shows of a mask (..., H, W), without the padding around it, which is void.

    Args:
        mask: labels.
        params: the place, as ``RandomCrop.make_params`` draws it.
    """
    return _cut(mask, shown((mask.shape[-2], mask.shape[-1]), params))


def shown(size: tuple[int, int], params: dict[str, Any]) -> Window:
    """The part of an image that a crop shows, without the padding around it.

    Args:
        size: (height, width) of the image.
        params: the place, as ``RandomCrop.make_params`` draws it.
    """
    left, top = params["padding"][:2]
    firsts = params["top"] - top, params["left"] - left
    sides = params["height"], params["width"]
    (row, height), (column, width) = (
        (max(0, first), max(0, min(own, first + side) - max(0, first)))
        for own, first, side in zip(size, firsts, sides, strict=True)
    )
    return row, column, height, width


def _blank(size: Sequence[int]) -> tv_tensors.Mask:
    """A mask that has a size and takes no memory."""
    return tv_tensors.Mask(torch.zeros((), dtype=torch.uint8).expand(*size))


def resize_and_crop(
    resize: Resizing, crop: CappedRandomCrop, image: Tensor, mask: Tensor, label: int | None = None
) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """A resizing and a crop one after the other, of which only what the crop shows is computed.

    The draws are those of the two, in their order, and the bytes too: most of a resized image is thrown away
    by a crop, at the papers' settings seven parts in eight.

    Args:
        resize: draws the size.
        crop: draws the place.
        image: one image (3, H, W) of bytes on the CPU.
        mask: its labels (H, W), bytes.
        label: the class that the image was drawn for, where the crop looks for one.
    """
    image, mask = image.as_subclass(Tensor), mask.as_subclass(Tensor)
    height, width = resize.make_params([tv_tensors.Image(image), tv_tensors.Mask(mask)])["size"]
    size = height, width
    params = crop.choose(size, lambda window: resize_mask(mask, size, window), label)
    window = shown(size, params)
    left, top = (max(0, params["padding"][side] - params[name]) for side, name in enumerate(("left", "top")))
    padding = [left, top, crop.size[1] - window[3] - left, crop.size[0] - window[2] - top]
    parts = (
        tv_tensors.Image(resize_image(image, size, window)),
        tv_tensors.Mask(resize_mask(mask, size, window)),
    )
    if not any(padding):
        return parts
    return F.pad(parts[0], padding, fill=list(NEUTRAL)), F.pad(parts[1], padding, fill=VOID)
