"""The transforms of training and evaluation, put together, and a transform on a whole batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from aucseg.data.items import typed
from aucseg.data.sampling import seeded
from aucseg.data.transforms.class_crop import ClassCrop
from aucseg.data.transforms.color import ColorJitter, PhotometricDistortion
from aucseg.data.transforms.geometry import (
    CappedRandomCrop,
    HorizontalFlip,
    ItemTransform,
    PadToMultiple,
    RandomResize,
    RandomScale,
    Resizing,
    resize_and_crop,
)


class Pipeline(ItemTransform, v2.Compose):
    """Transforms one after the other, on an image and its mask.

    Where a crop follows a resizing, one image on the CPU is resized only where the crop looks, with the same
    draws and to the same bytes.
    """

    @property
    def takes_label(self) -> bool:
        """Whether a :class:`ClassCrop` is among them, which wants the class that an image was drawn for."""
        return any(isinstance(step, ClassCrop) for step in self.transforms)

    def forward(self, *inputs: Any) -> Any:
        """Transform both.

        Args:
            *inputs: image and mask, see :func:`aucseg.data.items.typed`, and, for a :class:`ClassCrop`, the
                train id of the class that the image was drawn for.
        """
        label = None
        if len(inputs) == 3 and not isinstance(inputs[-1], Tensor):
            *inputs, label = inputs  # type: ignore[assignment]
        item = typed(*inputs)
        if label is None and not _one_image(item):
            return super().forward(*item)
        steps = deque(self.transforms)
        while steps:
            step = steps.popleft()
            crop = steps[0] if steps and isinstance(step, Resizing) and _one_image(item) else None
            if isinstance(crop, CappedRandomCrop):
                image, mask = item
                item = resize_and_crop(step, steps.popleft(), image, mask, label)
            else:
                item = step(*item, label) if isinstance(step, ClassCrop) else step(*item)
        return tuple(item)


def _one_image(item: tuple[Any, ...]) -> bool:
    """Whether an item is one image (3, H, W) of bytes and its mask, on the CPU."""
    return (
        len(item) == 2
        and isinstance(item[0], tv_tensors.Image)
        and isinstance(item[1], tv_tensors.Mask)
        and item[0].ndim == 3
        and item[1].ndim == 2
        and item[0].dtype == item[1].dtype == torch.uint8
        and item[0].device.type == item[1].device.type == "cpu"
    )


def train_transform(
    crop_size: tuple[int, int] | CappedRandomCrop,
    *,
    scale: tuple[float, float] | None = (0.5, 2.0),
    hflip: float = 0.5,
    photometric: bool | Literal["mmseg"] = False,
    resize: int | tuple[int, int] | None = None,
    resize_rule: Literal["exact", "mmseg"] = "exact",
    max_class_share: float = 1.0,
    flip_pairs: Sequence[tuple[int, int]] = (),
) -> Pipeline:
    """Random scale, crop, flip and, optional, changes of light and colour.

    Call it as ``image, mask = transform(image, mask)`` on uint8 tensors, (3, H, W) and (H, W). All
    randomness comes from torch's CPU generator. Images smaller than the crop are padded: images with the
    ImageNet mean colour, masks with void.

    The settings of the papers, which all train with mmsegmentation:

    ===================================== ============ ========= ========== ===========================
    paper, data set                       resize       crop_size scale      max_class_share, photometric
    ===================================== ============ ========= ========== ===========================
    AUCSeg F.2, Cityscapes                (1024, 2048) 1024,1024 see below  see below
    AUCSeg F.2, ADE20K and COCO-Stuff     (512, 2048)  512, 512  see below  see below
    BLV 4.1, Cityscapes                   (1024, 2048) 512, 1024 not stated not stated
    Region Rebalance 4.2                  not stated   512, 512  (0.5, 2.0) "random color jittering"
    ===================================== ============ ========= ========== ===========================

    Section F.2 names resizing, cropping and flips alone. AUCSeg's released configurations also have
    ``scale=(0.5, 2.0)``, ``max_class_share=0.75`` and ``photometric="mmseg"``.

    Args:
        crop_size: (height, width) of the result; or the crop itself, as a :class:`ClassCrop`.
        scale: range of the random factor on height and width before the crop; None leaves the scale.
        hflip: probability of a horizontal flip.
        photometric: True changes brightness, contrast and saturation by up to 20% and hue by up to 7 degrees
            (:class:`ColorJitter`);
            ``"mmseg"`` is the stronger :class:`PhotometricDistortion`.
        resize: (short, long) side of the box that images are brought to, before ``scale`` acts; or the short
            side alone. See :class:`RandomResize`. None takes images at their own size.
        resize_rule: how that comes to whole pixels, ``"exact"`` or as ``"mmseg"`` does it.
        max_class_share: where one class has as much of a crop, another is drawn, up to ten times; 1 for no
            cap. See :class:`CappedRandomCrop`. A crop that is given has its own.
        flip_pairs: pairs of labels that a mirror swaps, left and right of a thing, as the
            :class:`aucseg.data.ClassSpec` of a data set has them. See :class:`HorizontalFlip`.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if not 0 <= hflip <= 1:
        raise ValueError(f"hflip is a probability in [0, 1], got {hflip}")
    if photometric not in (False, True, "mmseg"):
        raise ValueError(f"photometric is False, True or 'mmseg', got {photometric!r}")
    crop = crop_size
    if not isinstance(crop, CappedRandomCrop):
        crop = CappedRandomCrop(crop, max_class_share=max_class_share)
    steps: list[v2.Transform] = []
    if resize is not None:
        steps.append(RandomResize(resize, scale or (1.0, 1.0), rule=resize_rule))
    elif scale is not None:
        steps.append(RandomScale(*scale))
    steps.append(crop)
    if hflip > 0:
        steps.append(HorizontalFlip(hflip, flip_pairs=flip_pairs))
    if photometric == "mmseg":
        steps.append(PhotometricDistortion())
    elif photometric:
        steps.append(ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02))
    return Pipeline(steps)


def eval_transform(*, divisor: int = 1) -> PadToMultiple:
    """The whole image, unscaled; padded right and below to a multiple of ``divisor`` pixels.

    Args:
        divisor: the multiple that the model needs, 32 for most encoders (CamVid's 360 rows are none).
    """
    return PadToMultiple(divisor)


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
