"""Crops that look for a class, where a plain random crop would mostly miss it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from aucseg.data.items import typed
from aucseg.data.transforms.geometry import CappedRandomCrop, Window, crop_window
from aucseg.errors import OptionError


class ClassCrop(CappedRandomCrop):
    r"""Crop image and mask at a place that shows a class which is drawn for the image.

    The class is the one that the sampler has drawn the image for, if it says so, and else one of those in
    the mask, class k with a probability in proportion to :math:`P_k`. Then, by ``rule``:

    ``"pixel"``
        One of its pixels is drawn, and a place for the crop among those that show the pixel: each crop of an
        image that holds the class holds it too.
    ``"share"``
        A place is drawn, and another one where the class has less than ``min_share`` of the crop's pixels,
        ``redraws`` times at most; the last draw is taken as it is. DAFormer (CVPR 2022) does so with 1,500 of
        the 512 x 512 pixels of its crop. It draws the scale again too; here that is drawn before.

    A mask without the class is cropped anywhere. Padding and ``max_class_share`` are those of
    :class:`CappedRandomCrop`: with a cap, a place is drawn again where either is not met.

    Args:
        size: (height, width) of the crop in pixels.
        probabilities: P, (K,), one for each train id, not negative, at least one positive; see
            :func:`aucseg.data.rare_class_probabilities`.
        rule: ``"pixel"`` or ``"share"``.
        min_share: for ``"share"``, in (0, 1].
        max_class_share: as for :class:`CappedRandomCrop`.
        redraws: how often another place is drawn.

    Raises:
        ValueError: if an argument is out of its range, or on a call without a mask.
    """

    def __init__(
        self,
        size: tuple[int, int],
        probabilities: Sequence[float] | Tensor,
        *,
        rule: Literal["pixel", "share"] = "pixel",
        min_share: float = 1_500 / 512**2,
        max_class_share: float = 1.0,
        redraws: int = 10,
    ) -> None:
        super().__init__(size, max_class_share=max_class_share, redraws=redraws)
        weights = torch.as_tensor(probabilities, dtype=torch.float64)
        if weights.ndim != 1 or not weights.isfinite().all() or (weights < 0).any() or not weights.any():
            raise OptionError(
                f"probabilities are finite numbers (K,) of at least 0, at least one positive, got "
                f"{weights.tolist()}"
            )
        if rule not in ("pixel", "share"):
            raise OptionError(f"unknown rule {rule!r}; use 'pixel' or 'share'")
        if not 0 < min_share <= 1:
            raise OptionError(f"min_share is a share in (0, 1], got {min_share!r}")
        self.probabilities, self.rule, self.min_share = weights, rule, min_share

    def forward(self, *inputs: Any) -> Any:
        """Crop both.

        Args:
            *inputs: image and mask, see :func:`aucseg.data.items.typed`, and, where the image was drawn for
                a class, its train id.
        """
        *sample, label = inputs if len(inputs) == 3 else (*inputs, None)
        parts = typed(*sample)
        masks = [part for part in parts if isinstance(part, tv_tensors.Mask)]
        if not masks:
            raise ValueError("a crop that shows a class looks at the labels: pass image and mask")
        params = self._choose([*parts], masks[0].as_subclass(Tensor), label)
        return tuple(self.transform(part, params) for part in parts)

    def choose(
        self, size: tuple[int, int], labels: Callable[[Window | None], Tensor], label: int | None = None
    ) -> dict[str, Any]:
        """Draw a place, see :meth:`CappedRandomCrop.choose`; the whole mask is looked at."""
        mask = labels(None)
        return self._choose([tv_tensors.Mask(mask)], mask, label)

    def _choose(self, parts: list[Any], mask: Tensor, label: int | None) -> dict[str, Any]:
        label = self._class_of(mask) if label is None else label
        pixels = torch.eq(mask, label).nonzero()
        for _ in range(self.redraws + 1):
            params: dict[str, Any] = v2.RandomCrop.make_params(self, parts)
            if self.rule == "pixel" and len(pixels):
                row, column = pixels[int(torch.randint(len(pixels), ()))].tolist()
                self._move_to(params, row, column, (mask.shape[-2], mask.shape[-1]))
            window = crop_window(mask, params)
            enough = self.rule == "pixel" or not len(pixels)
            enough = enough or bool(
                torch.eq(window, label).sum() >= self.min_share * self.size[0] * self.size[1]
            )
            if enough and self.fits(window):
                break
        return params

    def _class_of(self, mask: Tensor) -> int:
        """One of the classes in a mask, by their probabilities; -1 where it holds none of them."""
        held = torch.bincount(mask.reshape(-1).cpu(), minlength=256)[: len(self.probabilities)] > 0
        weights = self.probabilities * held
        return int(torch.multinomial(weights, 1)) if weights.any() else -1

    def _move_to(self, params: dict[str, Any], row: int, column: int, size: tuple[int, int]) -> None:
        """Draw the place among those that show a pixel."""
        left, top, right, bottom = params["padding"]
        for key, at, before, whole, side in (
            ("top", row, top, size[0] + top + bottom, self.size[0]),
            ("left", column, left, size[1] + left + right, self.size[1]),
        ):
            first, last = max(0, at + before - side + 1), min(at + before, whole - side)
            params[key] = first + int(torch.randint(last - first + 1, ()))
