"""What holds for every pipeline: sizes, labels, and pixels that stay with their labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchvision import tv_tensors

from aucseg.catalog import open_dataset
from aucseg.data.sampling import SeededDataset, StepBatchSampler
from aucseg.data.transforms import (
    NEUTRAL,
    CappedRandomCrop,
    ClassCrop,
    RandomResize,
    RandomScale,
    eval_transform,
    normalize,
    train_transform,
    transform_batch,
)
from tests.data.transforms.items import coordinates, ramps


def test_image_and_mask_move_together() -> None:
    torch.manual_seed(0)
    transform = train_transform((24, 32), scale=None)
    for _ in range(20):
        image, mask = transform(*ramps())
        assert isinstance(image, tv_tensors.Image)
        assert isinstance(mask, tv_tensors.Mask)
        assert image.shape == (3, 24, 32)
        assert image.dtype == mask.dtype == torch.uint8
        torch.testing.assert_close(image[1].as_subclass(torch.Tensor), mask.as_subclass(torch.Tensor))


def test_scaled_masks_keep_their_labels_and_stay_aligned() -> None:
    torch.manual_seed(0)
    labels = {*ramps()[1].unique().tolist(), 255}
    transform = train_transform((48, 48), scale=(0.5, 2.0))
    shares = []
    for _ in range(30):
        image, mask = transform(*ramps())
        assert set(mask.unique().tolist()) <= labels
        inside = mask != 255
        away = (image[1].int() - mask.int()).abs()[inside]
        shares.append(float((away <= 6).float().mean()))
    assert np.mean(shares) > 0.8  # only the blurred borders between stripes differ


def test_small_images_are_padded_with_void_and_a_neutral_colour() -> None:
    torch.manual_seed(1)
    image, mask = train_transform((64, 80), scale=None, hflip=0)(*ramps())
    void = mask == 255
    assert int(void.sum()) == 64 * 80 - 40 * 60
    assert image[:, void].unique(dim=1).ravel().tolist() == list(NEUTRAL)
    assert normalize(image)[:, void].abs().max() < 0.02


@pytest.mark.parametrize(("hflip", "flipped"), [(0.0, 0), (1.0, 20)])
def test_flip_probability(hflip: float, flipped: int) -> None:
    image, mask = ramps()
    transform = train_transform((40, 60), scale=None, hflip=hflip)
    same = [torch.equal(transform(image, mask)[1], mask.flip(-1)) for _ in range(20)]
    assert sum(same) == flipped


def test_photometric_changes_the_image_only() -> None:
    image, mask = ramps()
    out, out_mask = train_transform((40, 60), scale=None, hflip=0, photometric=True)(image, mask)
    assert not torch.equal(out, image)
    assert torch.equal(out_mask, mask)
    assert (out.int() - image.int()).abs().float().mean() < 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_size": (0, 4)}, r"crop_size is \(height, width\).*\(0, 4\)"),
        ({"crop_size": (4, 4), "hflip": 1.5}, "hflip is a probability .* 1.5"),
        ({"crop_size": (4, 4), "scale": (2.0, 1.0)}, r"0 < low <= high, got \(2.0, 1.0\)"),
        ({"crop_size": (4, 4), "scale": (0.0, 1.0)}, r"0 < low <= high"),
    ],
)
def test_bad_train_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_transform(**options)


def test_eval_transform_pads_to_the_divisor() -> None:
    image, mask = ramps()
    same = eval_transform()(image, mask)
    assert torch.equal(same[0], image)
    assert torch.equal(same[1], mask)
    out, out_mask = eval_transform(divisor=32)(image, mask)
    assert out.shape == (3, 64, 64)
    assert torch.equal(out[:, :40, :60], image)
    assert torch.equal(out_mask[:40, :60], mask)
    assert (out_mask == 255).sum() == 64 * 64 - 40 * 60
    with pytest.raises(ValueError, match="divisor is a positive number of pixels, got 0"):
        eval_transform(divisor=0)


FULL = {"resize": (48, 96), "scale": (0.5, 2.0), "max_class_share": 0.75, "photometric": "mmseg"}
sides = st.integers(1, 70)


ratios = st.tuples(st.floats(0.3, 1.5), st.floats(1, 2)).map(lambda t: (t[0], t[0] * t[1]))
boxes = st.one_of(st.integers(1, 90), st.tuples(st.integers(1, 60), st.integers(60, 120)))


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(sides, sides),
    crop=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    scale=st.none() | ratios,
    resize=st.none() | boxes,
    hflip=st.sampled_from([0.0, 0.5, 1.0]),
    cap=st.sampled_from([0.1, 0.75, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_pixels_stay_with_their_labels(size, crop, scale, resize, hflip, cap, seed) -> None:
    options = {"scale": scale, "resize": resize, "hflip": hflip, "max_class_share": cap}
    torch.manual_seed(seed)
    image, mask = train_transform(crop, **options)(*coordinates(*size))
    assert (image.shape, mask.shape) == ((3, *crop), crop)
    assert image.dtype == mask.dtype == torch.uint8
    assert set(mask.unique().tolist()) <= {*range(size[0]), 255}
    inside = mask != 255
    # what was padded is void and neutral, and the image is one rectangle
    assert (image[:, ~inside] == torch.tensor(NEUTRAL)[:, None]).all()
    rows, columns = inside.any(1), inside.any(0)
    assert torch.equal(inside, rows[:, None] & columns[None])
    assert inside.any()
    # The nearest pixel centre is half a pixel off at most, rounding another half. A filter that shrinks is
    # cut off at the border and looks inwards there, by less than a third of its reach.
    factor = 1.0 if scale is None else scale[0]
    if resize is not None:
        box = (resize,) if isinstance(resize, int) else resize
        factor *= min(to / side for to, side in zip(box, sorted(size), strict=False))
    reach = max(1.0, size[0] / max(1, round(size[0] * factor)))
    away = (image[0].int() - mask.int()).abs()[inside]
    assert away.max() <= 1 + reach / 3

    torch.manual_seed(seed)
    again = train_transform(crop, **options)(*coordinates(*size))
    assert torch.equal(again[0], image)
    assert torch.equal(again[1], mask)

    torch.manual_seed(seed)
    coloured = train_transform(crop, **options, photometric="mmseg")(*coordinates(*size))
    assert torch.equal(coloured[1], mask)


@settings(deadline=None, max_examples=120)
@given(
    size=st.tuples(sides, sides),
    crop=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    scale=ratios,
    resize=st.none() | boxes,
    cap=st.sampled_from([0.4, 1.0]),
    rule=st.sampled_from(["random", "pixel", "share"]),
    seed=st.integers(0, 2**32),
)
def test_what_the_crop_does_not_show_is_not_resized(size, crop, scale, resize, cap, rule, seed) -> None:
    """The same bytes as of a whole image that is resized and then cropped, step by step."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator)
    mask = torch.randint(0, 4, size, dtype=torch.uint8, generator=generator)
    place: CappedRandomCrop = CappedRandomCrop(crop, max_class_share=cap)
    if rule != "random":
        place = ClassCrop(crop, [0.1, 0.1, 0.4, 0.4], rule=rule, max_class_share=cap)
    transform = train_transform(place, scale=scale, resize=resize)
    torch.manual_seed(seed)
    found = transform(image, mask)
    torch.manual_seed(seed)
    expected = tv_tensors.Image(image), tv_tensors.Mask(mask)
    for step in transform.transforms:
        expected = step(*expected)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert [type(part) for part in found] == [tv_tensors.Image, tv_tensors.Mask]


@pytest.mark.parametrize(
    "transform", [RandomScale(0.4, 2.3), RandomResize((30, 77), (0.5, 2.0), keep_aspect=False)]
)
def test_columns_stay_with_their_labels(transform) -> None:
    image, _ = coordinates(37, 61)
    mask = tv_tensors.Mask(image[1].as_subclass(torch.Tensor).clone())
    for seed in range(20):
        torch.manual_seed(seed)
        resized, labels = transform(image, mask)
        assert resized.shape[1:] == labels.shape
        reach = max(1.0, 61 / labels.shape[1])
        assert (resized[1].int() - labels.int()).abs().max() <= 1 + reach / 3


@pytest.mark.parametrize("label", [0, 18, 255])
@pytest.mark.parametrize("size", [(1, 1), (33, 65), (100, 120)])
def test_masks_of_one_label(label: int, size: tuple[int, int]) -> None:
    """Nothing to choose among, for the cap: the last draw is taken and the labels are what they were."""
    image = tv_tensors.Image(torch.full((3, *size), 77, dtype=torch.uint8))
    mask = tv_tensors.Mask(torch.full(size, label, dtype=torch.uint8))
    for seed in range(5):
        torch.manual_seed(seed)
        out, labels = train_transform((64, 64), **FULL)(image, mask)
        assert out.shape == (3, 64, 64)
        assert set(labels.unique().tolist()) <= {label, 255}
        assert (labels == label).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_size": (0, 4)}, r"crop_size is \(height, width\).*\(0, 4\)"),
        ({"crop_size": (4, 4, 4)}, r"\(4, 4, 4\)"),
        ({"max_class_share": 0.0}, r"max_class_share is a share in \(0, 1\].* got 0.0"),
        ({"max_class_share": 1.01}, "got 1.01"),
        ({"photometric": "strong"}, "photometric is False, True or 'mmseg', got 'strong'"),
        ({"resize": (0, 4)}, "all positive"),
        ({"resize": 4, "scale": (2.0, 1.0)}, "0 < low <= high"),
    ],
)
def test_bad_pipeline(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_transform(**({"crop_size": (4, 4)} | options))


def test_workers_do_not_change_the_batches_of_the_full_pipeline(tiny_camvid: Path) -> None:
    data = SeededDataset(open_dataset("folder", tiny_camvid, "train"), train_transform((32, 40), **FULL))

    def batches(workers: int, start: int = 0) -> list:
        sampler = StepBatchSampler(len(data), 3, seed=5, steps=4, start_step=start)
        return list(DataLoader(data, batch_sampler=sampler, num_workers=workers))

    plain, parallel, resumed = batches(0), batches(2), batches(0, start=2)
    for here, there in zip(plain + plain[2:], parallel + resumed, strict=True):
        for a, b in zip(here, there, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(plain[0][0], plain[1][0])


def test_a_batch_is_what_the_loader_gives_for_the_same_seeds() -> None:
    items = [coordinates(40, 60), coordinates(61, 33), coordinates(20, 20)]
    transform = train_transform((32, 40), **FULL)
    seeds = [11, 2, 11]
    data = SeededDataset(items, transform)
    expected = [data[i, seed] for i, seed in enumerate(seeds)]
    torch.manual_seed(9)
    images, masks = transform_batch(transform, *zip(*items, strict=True), seeds)
    after = torch.rand(1)
    assert type(images) is type(masks) is torch.Tensor
    assert torch.equal(images, torch.stack([image for image, _ in expected]))
    assert torch.equal(masks, torch.stack([mask for _, mask in expected]))
    torch.manual_seed(9)
    assert torch.equal(torch.rand(1), after), "the batch must not move the global generator"


def test_bad_batches() -> None:
    image, mask = coordinates(20, 30)
    with pytest.raises(ValueError, match="1 images, 1 masks and 2 seeds"):
        transform_batch(train_transform((8, 8)), [image], [mask], [1, 2])
    with pytest.raises(ValueError, match="at least one image, got 0 images"):
        transform_batch(train_transform((8, 8)), [], [], [])
    with pytest.raises(ValueError, match="end with a crop of fixed size"):
        transform_batch(RandomScale(0.5, 2.0), [image] * 4, [mask] * 4, range(4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_batch_on_the_gpu() -> None:
    images, masks = (torch.stack(parts) for parts in zip(*[coordinates(60, 90)] * 4, strict=True))
    transform = train_transform((32, 40), resize=(48, 96), max_class_share=0.75)
    expected = transform_batch(transform, images, masks, range(4))
    found = transform_batch(transform, images.cuda(), masks.cuda(), range(4))
    assert found[0].is_cuda
    assert found[1].is_cuda
    assert (found[0].cpu().int() - expected[0].int()).abs().max() <= 1
    assert (found[1].cpu() == expected[1]).float().mean() > 0.99
