"""SyntheticStreets: the same pixels everywhere, the long tail of Cityscapes, and honest errors."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision import tv_tensors

from aucseg.data.spec import load_spec
from aucseg.streets import MINIMUM_SIZE, WORLDS, SyntheticStreets

SPEC = load_spec("cityscapes")
GOLDEN = {
    (0, 0, (64, 128)): "e9612c03feea86d730e98e32797f94bb35ac13f592ea71d9d64e8c9b1e7d07a9",
    (0, 1, (128, 256)): "ee32ab800e3e6cf7f37e478f4d386b09a6a6df3f48ed07494621ae8d515448de",
    (7, 42, (96, 200)): "453da5beb6de4daa5ca66e79a855c835e467262d33e0b2cd51302abf46d6840b",
    (2024, 5, (128, 256)): "23e380eeb893e824cfae8777717c20ccb985f541dd52f39104d1cf88ce4e478a",
    (11, 3, (256, 512)): "9fae5939fce6896158827f1f610788ac9ed35e9bace5711a54d9a39701a4ffe0",
}


def digest(image: np.ndarray, mask: np.ndarray) -> str:
    return hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()


@pytest.mark.parametrize(("seed", "index", "size"), sorted(GOLDEN))
def test_golden_pixels(seed: int, index: int, size: tuple[int, int]) -> None:
    image, mask = SyntheticStreets(index + 1, size, seed).render(index)
    assert digest(image, mask) == GOLDEN[seed, index, size], "a changed pixel needs a new GENERATOR_VERSION"


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """Pixels of each label in 250 small images (250, 256)."""
    streets = SyntheticStreets(250, (64, 128), seed=3)
    return np.stack([np.bincount(streets.render(i)[1].ravel(), minlength=256) for i in range(250)])


def test_labels_are_train_ids_or_void(counts: np.ndarray) -> None:
    assert counts[:, 19:255].sum() == 0


def test_void_is_a_minor_part_of_every_set(counts: np.ndarray) -> None:
    void = counts[:, 255].sum() / counts.sum()
    assert 0.02 < void < 0.2


def test_presence_of_each_class_follows_the_table(counts: np.ndarray) -> None:
    presence = (counts[:, :19] > 0).mean(axis=0)
    np.testing.assert_allclose(presence, SPEC.image_share, atol=0.05)


def test_pixel_share_of_each_class_follows_the_table(counts: np.ndarray) -> None:
    share = counts[:, :19].sum(axis=0) / counts[:, :19].sum()
    ratio = share / np.array(SPEC.pixel_share)
    for k, group in enumerate(SPEC.groups):
        limit = 1.6 if group == "head" else 2.2
        assert 1 / limit < ratio[k] < limit, f"{SPEC.names[k]}: {share[k]:.5f} of the pixels"
    head, middle, tail = (share[list(SPEC.group(g))].sum() for g in ("head", "middle", "tail"))
    assert head > 8 * middle
    assert middle > 1.5 * tail


def test_a_rider_rides_something(counts: np.ndarray) -> None:
    rider, motorcycle, bicycle = (counts[:, SPEC.index(n)] > 0 for n in ("rider", "motorcycle", "bicycle"))
    assert not np.any(rider & ~motorcycle & ~bicycle)


def test_an_image_does_not_depend_on_order_or_on_the_length_of_the_set() -> None:
    long, short = SyntheticStreets(1000, (48, 96), 7), SyntheticStreets(4, (48, 96), 7)
    forward = [digest(*long.render(i)) for i in range(4)]
    backward = [digest(*short.render(i)) for i in reversed(range(4))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 4


def test_seeds_and_sizes_differ_and_so_do_fingerprints() -> None:
    sets = [
        SyntheticStreets(4, (48, 96), 0),
        SyntheticStreets(4, (48, 96), 1),
        SyntheticStreets(4, (64, 96), 0),
        SyntheticStreets(5, (48, 96), 0),
    ]
    assert len({s.fingerprint() for s in sets}) == 4
    assert sets[0].fingerprint() == SyntheticStreets(4, (48, 96)).fingerprint()
    assert len(sets[0].fingerprint()) == 64
    assert not np.array_equal(sets[0].render(0)[0], sets[1].render(0)[0])


def test_a_scene_is_the_same_at_twice_the_resolution() -> None:
    small = SyntheticStreets(12, (64, 128), 2)
    large = SyntheticStreets(12, (128, 256), 2)
    agree = []
    for i in range(12):
        a, b = small.render(i)[1], large.render(i)[1]
        b = b[1::2, 1::2]
        named = (a != 255) & (b != 255)
        agree.append((a == b)[named].mean())
    assert np.mean(agree) > 0.9


def test_items_are_tv_tensors_and_workers_draw_the_same() -> None:
    streets = SyntheticStreets(6, (64, 128), 1)
    image, mask = streets[2]
    assert isinstance(image, tv_tensors.Image)
    assert isinstance(mask, tv_tensors.Mask)
    assert (image.dtype, mask.dtype) == (torch.uint8, torch.uint8)
    assert (tuple(image.shape), tuple(mask.shape)) == ((3, 64, 128), (64, 128))
    rgb, labels = streets.render(2)
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), rgb)
    np.testing.assert_array_equal(mask.numpy(), labels)
    batches = list(DataLoader(streets, batch_size=3))
    assert torch.equal(batches[0][0][2], torch.as_tensor(image))
    assert streets.spec == SPEC


@pytest.mark.parametrize("size", [(96, 200), (65, 97), MINIMUM_SIZE, (128, 64), (40, 300)])
def test_odd_sizes_work(size: tuple[int, int]) -> None:
    streets = SyntheticStreets(3, size, 4)
    for i in range(3):
        image, mask = streets.render(i)
        assert (image.shape, mask.shape) == ((*size, 3), size)
        assert (image.dtype, mask.dtype) == (np.uint8, np.uint8)
        assert image.std() > 10
        assert len(np.unique(mask)) > 4


def test_a_mask_alone_is_the_mask_of_the_item() -> None:
    streets = SyntheticStreets(30, (64, 128), WORLDS["val"])
    for i in (*range(29), -1):
        mask = streets.mask(i)
        assert isinstance(mask, tv_tensors.Mask)
        assert mask.dtype == torch.uint8
        assert torch.equal(mask, streets[i][1])
    with pytest.raises(IndexError, match="30"):
        streets.mask(30)


def test_items_have_names_of_their_own() -> None:
    names = [name for seed in WORLDS.values() for name in SyntheticStreets(12, (32, 48), seed).names]
    assert names[:2] == ["1-00000", "1-00001"]
    assert len(set(names)) == 3 * 12


def test_negative_indices_count_from_the_end() -> None:
    streets = SyntheticStreets(5, (32, 64))
    assert digest(*streets.render(-1)) == digest(*streets.render(4))
    assert len(streets) == 5


@pytest.mark.parametrize("index", [5, -6, 10**9])
def test_an_index_out_of_range_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError, match=str(index)):
        SyntheticStreets(5, (32, 64))[index]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_images": 0}, "at least 1, got 0"),
        ({"num_images": 3, "size": (16, 256)}, r"at least \(32, 48\).*\(16, 256\)"),
        ({"num_images": 3, "size": (64,)}, "height, width"),
        ({"num_images": 3, "seed": -1}, "seed.*-1"),
    ],
)
def test_bad_arguments_name_the_value(arguments: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        SyntheticStreets(**arguments)
