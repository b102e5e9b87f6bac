"""Plain tensors: image and mask are both treated, or refused in words; never one of them alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from aucseg.data.items import typed
from aucseg.data.sampling import SeededDataset, StepBatchSampler
from aucseg.data.transforms import (
    CappedRandomCrop,
    HorizontalFlip,
    PadToMultiple,
    PhotometricDistortion,
    RandomResize,
    RandomScale,
    eval_transform,
    train_transform,
)
from tests.data.transforms.items import ramps

IMAGE, MASK = (part.as_subclass(torch.Tensor) for part in ramps(32, 48))
TRANSFORMS = {
    "train_transform": train_transform((24, 24), photometric="mmseg"),
    "with a resize": train_transform((24, 24), resize=(20, 40), max_class_share=0.5, photometric=True),
    "eval_transform": eval_transform(divisor=20),
    "RandomScale": RandomScale(0.5, 2),
    "RandomResize": RandomResize(20, (0.5, 2)),
    "CappedRandomCrop": CappedRandomCrop((40, 40), max_class_share=0.5),
    "HorizontalFlip": HorizontalFlip(1),
    "PadToMultiple": PadToMultiple(20),
    "PhotometricDistortion": PhotometricDistortion(),
}


def run(transform: Any, *sample: Any) -> Any:
    torch.manual_seed(4)
    return transform(*sample)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_plain_tensors_are_image_and_mask_by_their_order(name: str) -> None:
    transform = TRANSFORMS[name]
    image, mask = tv_tensors.Image(IMAGE), tv_tensors.Mask(MASK)
    expected = run(transform, image, mask)
    assert not torch.equal(expected[0], IMAGE) or name == "PhotometricDistortion"
    for sample in ((IMAGE, MASK), (image, MASK), (IMAGE, mask), ((IMAGE, MASK),), ([image, MASK],)):
        found = run(transform, *sample)
        assert [type(part) for part in found] == [tv_tensors.Image, tv_tensors.Mask]
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_an_image_alone_is_an_image() -> None:
    for name in sorted(
        TRANSFORMS.keys() - {"CappedRandomCrop", "with a resize"}
    ):  # whose cap looks at labels
        found = run(TRANSFORMS[name], IMAGE)
        assert torch.equal(found, run(TRANSFORMS[name], tv_tensors.Image(IMAGE)))


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    ("sample", "kind", "message"),
    [
        ((IMAGE.numpy(), MASK.numpy()), TypeError, "takes tensors, got numpy's ndarray; call it as"),
        ((tv_tensors.Image(IMAGE), MASK.numpy()), TypeError, "got numpy's ndarray"),
        ((Image.new("RGB", (4, 3)), Image.new("L", (4, 3))), TypeError, "got PIL's Image"),
        (({"image": IMAGE, "mask": MASK},), TypeError, "2 plain tensors do not say which of them is a mask"),
        ((tv_tensors.Image(IMAGE), tv_tensors.Mask(MASK), MASK), TypeError, "1 plain tensors do not say"),
        ((MASK, IMAGE), ValueError, r"got \(32, 48\) and \(3, 32, 48\)"),
        ((tv_tensors.Mask(MASK), IMAGE), ValueError, "the image comes first"),
        ((IMAGE, MASK[:, :-1]), ValueError, "have the same height and width"),
    ],
)
def test_what_does_not_say_which_is_the_mask_is_refused(
    name: str, sample: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        run(TRANSFORMS[name], *sample)


def test_other_values_pass() -> None:
    sample = {
        "image": tv_tensors.Image(IMAGE),
        "mask": tv_tensors.Mask(MASK),
        "at": torch.tensor(3),
        "x": "a",
    }
    assert typed(sample)[0] is sample
    flipped = run(HorizontalFlip(1), sample)
    assert torch.equal(flipped["mask"], MASK.flip(-1))
    assert flipped["at"] == 3


class Plain(Dataset[Any]):
    def __init__(self, *item: Any) -> None:
        self.item = item

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return self.item


@pytest.mark.parametrize(
    "flip", [train_transform((32, 48), scale=None, hflip=1.0), v2.RandomHorizontalFlip(1)]
)
def test_a_data_set_of_plain_tensors_through_a_loader(flip: Any) -> None:
    """torchvision's own transform, by itself, mirrors the image and not the mask."""
    data = SeededDataset(Plain(IMAGE, MASK), flip)
    images, masks = next(iter(DataLoader(data, batch_sampler=StepBatchSampler(4, 2, seed=0, steps=1))))
    assert torch.equal(images[0], IMAGE.flip(-1))
    assert torch.equal(masks[0], MASK.flip(-1))


def test_a_function_of_ones_own_takes_what_it_likes() -> None:
    item = IMAGE.numpy(), MASK.numpy()
    image, mask = SeededDataset(Plain(*item), lambda image, mask: (image[:, ::-1], mask[::-1]))[0, 7]
    assert np.array_equal(image, item[0][:, ::-1])
    assert np.array_equal(mask, item[1][::-1])
    with pytest.raises(TypeError, match="ndarray"):
        SeededDataset(Plain(*item), v2.RandomHorizontalFlip(1))[0, 7]
