"""Augmentation, normalisation, and the stream of seeded batches."""

from __future__ import annotations

import hashlib
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchvision import tv_tensors

from aucseg.data.folder import FolderDataset
from aucseg.data.sampling import SeededDataset, StepBatchSampler, epoch_order, mix_seed
from aucseg.data.transforms import NEUTRAL, eval_transform, normalize, train_transform


def pair(height: int = 40, width: int = 60) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """An image whose first channel equals the mask, so that geometry can be compared."""
    mask = torch.arange(height)[:, None] // 8 * 10 + torch.arange(width)[None] // 12
    image = torch.stack([mask * 2, mask, 255 - mask]).byte()
    return tv_tensors.Image(image), tv_tensors.Mask(mask.byte())


def test_image_and_mask_move_together() -> None:
    torch.manual_seed(0)
    transform = train_transform((24, 32), scale=None)
    for _ in range(20):
        image, mask = transform(*pair())
        assert isinstance(image, tv_tensors.Image)
        assert isinstance(mask, tv_tensors.Mask)
        assert image.shape == (3, 24, 32)
        assert image.dtype == mask.dtype == torch.uint8
        torch.testing.assert_close(image[1].as_subclass(torch.Tensor), mask.as_subclass(torch.Tensor))


def test_scaled_masks_keep_their_labels_and_stay_aligned() -> None:
    torch.manual_seed(0)
    labels = {*pair()[1].unique().tolist(), 255}
    transform = train_transform((48, 48), scale=(0.5, 2.0))
    shares = []
    for _ in range(30):
        image, mask = transform(*pair())
        assert set(mask.unique().tolist()) <= labels
        inside = mask != 255
        away = (image[1].int() - mask.int()).abs()[inside]
        shares.append(float((away <= 6).float().mean()))
    assert np.mean(shares) > 0.8  # only the blurred borders between stripes differ


def test_small_images_are_padded_with_void_and_a_neutral_colour() -> None:
    torch.manual_seed(1)
    image, mask = train_transform((64, 80), scale=None, hflip=0)(*pair())
    void = mask == 255
    assert int(void.sum()) == 64 * 80 - 40 * 60
    assert image[:, void].unique(dim=1).ravel().tolist() == list(NEUTRAL)
    assert normalize(image)[:, void].abs().max() < 0.02


@pytest.mark.parametrize(("hflip", "flipped"), [(0.0, 0), (1.0, 20)])
def test_flip_probability(hflip: float, flipped: int) -> None:
    image, mask = pair()
    transform = train_transform((40, 60), scale=None, hflip=hflip)
    same = [torch.equal(transform(image, mask)[1], mask.flip(-1)) for _ in range(20)]
    assert sum(same) == flipped


def test_photometric_changes_the_image_only() -> None:
    image, mask = pair()
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
    image, mask = pair()
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


def test_normalize_against_the_formula() -> None:
    images = torch.randint(
        0, 256, (2, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (images.numpy() / 255 - mean[:, None, None]) / std[:, None, None]
    before = images.clone()
    np.testing.assert_allclose(normalize(images).numpy(), expected, atol=1e-5)
    assert torch.equal(images, before)
    assert normalize(images, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert type(normalize(tv_tensors.Image(images[0]))) is torch.Tensor
    with pytest.raises(ValueError, match="normalise once only"):
        normalize(normalize(images))


# ---- sampling --------------------------------------------------------------------------------------


def test_mix_seed_is_the_stated_hash_and_has_no_sums() -> None:
    digest = hashlib.blake2b(b"str:item\x1fint:3\x1fint:-4", digest_size=8).digest()
    assert mix_seed("item", 3, -4) == int.from_bytes(digest, "little") >> 1
    seeds = {mix_seed("item", s, t, p) for s in range(8) for t in range(8) for p in range(8)}
    assert len(seeds) == 512
    assert mix_seed(1, 23) != mix_seed(12, 3)
    assert mix_seed("1") != mix_seed(1)


@settings(deadline=None, max_examples=25)
@given(
    num_images=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    world_size=st.integers(1, 3),
    start=st.integers(0, 9),
    seed=st.integers(0, 2**40),
)
def test_the_stream_depends_on_seed_step_and_place_only(
    num_images: int, batch_size: int, world_size: int, start: int, seed: int
) -> None:
    steps = 9
    whole = list(StepBatchSampler(num_images, batch_size * world_size, seed=seed, steps=steps))
    assert len(whole) == steps
    later = StepBatchSampler(num_images, batch_size * world_size, seed=seed, steps=steps, start_step=start)
    assert len(later) == steps
    assert list(later) == whole[start:]
    ranks = [
        list(StepBatchSampler(num_images, batch_size, seed=seed, steps=steps, rank=r, world_size=world_size))
        for r in range(world_size)
    ]
    assert [list(chain(*parts)) for parts in zip(*ranks, strict=True)] == whole
    # every epoch visits every image once
    stream = [index for batch in whole for index, _ in batch]
    for first in range(0, len(stream) - num_images + 1, num_images):
        assert sorted(stream[first : first + num_images]) == list(range(num_images))
    item_seeds = [s for batch in whole for _, s in batch]
    assert len(set(item_seeds)) == len(item_seeds)


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_images": 0}, "at least 1, got 0, 2 and 1"),
        ({"batch_size": 0}, "at least 1, got 4, 0 and 1"),
        ({"start_step": 6}, "start_step=6, steps=5"),
        ({"rank": 1}, "rank=1, world_size=1"),
    ],
)
def test_bad_sampler_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StepBatchSampler(**({"num_images": 4, "batch_size": 2, "seed": 0, "steps": 5} | options))


def test_workers_do_not_change_the_batches(tiny_camvid: Path) -> None:
    data = SeededDataset(FolderDataset(tiny_camvid, "train"), train_transform((32, 32), photometric=True))
    assert len(data) == 4

    def batches(workers: int, start: int = 0) -> list:
        sampler = StepBatchSampler(len(data), 6, seed=3, steps=4, start_step=start)  # more than the images
        return list(DataLoader(data, batch_sampler=sampler, num_workers=workers))

    plain, parallel, resumed = batches(0), batches(2), batches(0, start=2)
    assert len(plain) == 4
    for (a, am), (b, bm) in zip(plain, parallel, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
        torch.testing.assert_close(am, bm, rtol=0, atol=0)
    torch.testing.assert_close(resumed[1][0], plain[3][0], rtol=0, atol=0)
    assert not torch.equal(plain[0][0], plain[1][0])


def test_item_draws_leave_the_global_generator_alone(tiny_camvid: Path) -> None:
    data = SeededDataset(FolderDataset(tiny_camvid, "train"), train_transform((32, 32)))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = data[0, 11]
    torch.testing.assert_close(torch.rand(3), expected)
    torch.testing.assert_close(data[0, 11][0], first[0], rtol=0, atol=0)
    assert any(not torch.equal(data[0, s][0], first[0]) for s in range(12, 16))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_item_draws_leave_the_gpu_generator_alone(tiny_camvid: Path) -> None:
    data = SeededDataset(FolderDataset(tiny_camvid, "train"), train_transform((32, 32)))
    torch.cuda.manual_seed(5)
    expected = torch.rand(3, device="cuda")
    torch.cuda.manual_seed(5)
    data[0, 11]
    torch.testing.assert_close(torch.rand(3, device="cuda"), expected)
