"""Resizing, and the crop with a cap on a single class's share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import v2

from aucseg.data.transforms import CappedRandomCrop, HorizontalFlip, RandomResize
from aucseg.data.transforms.geometry import largest_share
from tests.data.transforms.items import coordinates

sides = st.integers(1, 70)
ratios = st.tuples(st.floats(0.3, 1.5), st.floats(1, 2)).map(lambda t: (t[0], t[0] * t[1]))


boxes = st.one_of(st.integers(1, 90), st.tuples(st.integers(1, 60), st.integers(60, 120)))


def triangle(length: int, to: int) -> np.ndarray:
    """Weights (to, length) of a bilinear filter that is as wide as a new pixel, where that is wider."""
    scale = length / to
    centres = (np.arange(to)[:, None] + 0.5) * scale
    away = np.abs(np.arange(length)[None] + 0.5 - centres)
    weights = np.clip(1 - away / max(1.0, scale), 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(
    size=st.tuples(sides, sides), to=st.tuples(st.integers(1, 9), st.integers(1, 9)), seed=st.integers(0, 99)
)
def test_resized_images_are_filtered_by_a_triangle(size, to, seed) -> None:
    """Rows and columns by NumPy, within the rounding of two passes over bytes."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator)
    found = RandomResize(to, keep_aspect=False)(tv_tensors.Image(image))
    assert isinstance(found, tv_tensors.Image)
    rows, columns = (triangle(a, b) for a, b in zip(size, to, strict=True))
    assert np.abs(found.numpy() - rows @ image.numpy() @ columns.T).max() <= 2


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"size": (512, 2048)}, (512, 1024)),
        ({"size": (512, 1000)}, (500, 1000)),
        ({"size": 512}, (512, 1024)),
        ({"size": 512, "ratio": (0.5, 0.5)}, (256, 512)),
        ({"size": (60, 50), "keep_aspect": False}, (60, 50)),
        ({"size": (60, 50), "ratio": (1.5, 1.5), "keep_aspect": False}, (90, 75)),
        ({"size": (1, 1), "ratio": (0.1, 0.1)}, (1, 1)),
    ],
)
@pytest.mark.parametrize("lies", [True, False])
def test_size_after_a_resize(options: dict, size: tuple[int, int], lies: bool) -> None:
    """By hand, for an image of 1024x2048 and one that stands."""
    params = RandomResize(**options).make_params([torch.zeros(3, *((1024, 2048) if lies else (2048, 1024)))])
    kept = options.get("keep_aspect", True)
    assert tuple(params["size"]) == (size if lies or not kept else size[::-1])


def as_mmsegmentation(height: int, width: int, box: tuple[int, int], ratio: float) -> list[int]:
    """Its `RandomResize`, and mmcv's `rescale_size`, step by step; the box is (long, short) there."""
    long, short = int(max(box) * ratio), int(min(box) * ratio)
    factor = min(long / max(height, width), short / min(height, width))
    return [int(height * factor + 0.5), int(width * factor + 0.5)]


@pytest.mark.parametrize("box", [(1024, 2048), (512, 2048)])
def test_the_rule_of_mmsegmentation_is_followed_to_the_pixel(box: tuple[int, int]) -> None:
    exact, theirs = (RandomResize(box, (0.5, 2.0), rule=rule) for rule in ("exact", "mmseg"))
    away = 0
    for seed in range(300):
        torch.manual_seed(seed)
        image = [torch.zeros(1).expand(3, 300 + seed % 97, 500 - seed % 61)]
        torch.manual_seed(seed)
        ratio = 0.5 + 1.5 * torch.rand(()).item()
        torch.manual_seed(seed)
        found = theirs.make_params(image)["size"]
        torch.manual_seed(seed)
        plain = exact.make_params(image)["size"]
        assert found == as_mmsegmentation(*image[0].shape[1:], box, ratio)
        assert all(0 <= b - a <= 3 for a, b in zip(found, plain, strict=True))
        away += found != plain
    assert away > 100


def test_the_rule_of_mmsegmentation_without_the_aspect_ratio() -> None:
    resize = RandomResize((61, 50), (1.5, 1.5), keep_aspect=False, rule="mmseg")
    assert resize.make_params([torch.zeros(3, 9, 9)])["size"] == [91, 75]


def test_resize_draws_the_ratio_evenly() -> None:
    torch.manual_seed(0)
    resize = RandomResize((100, 400), (0.5, 2.0))
    heights = [resize.make_params([torch.zeros(3, 50, 60)])["size"][0] for _ in range(2000)]
    assert min(heights) in range(50, 53)
    assert max(heights) in range(198, 201)
    assert sum(heights) / len(heights) == pytest.approx(125, abs=3)  # its standard error is 1


def test_a_resize_without_a_ratio_draws_nothing() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    RandomResize((30, 60))(*coordinates(20, 20))
    torch.testing.assert_close(torch.rand(2), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size is a side or two sides in pixels, all positive, got 0"),
        ({"size": (4, -1)}, r"all positive, got \(4, -1\)"),
        ({"size": (4, 5, 6)}, r"got \(4, 5, 6\)"),
        ({"size": (8, 4)}, r"size is \(short, long\) .* got \(8, 4\)"),
        ({"size": 8, "keep_aspect": False}, r"size is \(height, width\) .* got 8"),
        ({"size": 8, "rule": "theirs"}, "rule is 'exact' or 'mmseg', got 'theirs'"),
        ({"size": 8, "ratio": (0.0, 1.0)}, r"0 < low <= high, got \(0.0, 1.0\)"),
        ({"size": 8, "ratio": (1.0, float("inf"))}, r"0 < low <= high, got \(1.0, inf\)"),
        ({"size": 8, "ratio": (1.0, float("nan"))}, r"0 < low <= high, got \(1.0, nan\)"),
    ],
)
def test_bad_resize(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomResize(**options)


def showing(mask: torch.Tensor) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """An image that shows the mask."""
    return tv_tensors.Image(mask.byte().expand(3, *mask.shape).clone()), tv_tensors.Mask(mask.byte())


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    classes=st.integers(1, 4),
    void=st.booleans(),
    cap=st.floats(0.2, 1.0),
    redraws=st.integers(1, 12),
    seed=st.integers(0, 2**32),
)
def test_is_the_first_draw_that_fits(height, width, size, classes, void, cap, redraws, seed) -> None:
    """mmsegmentation's rule, counted by NumPy on crops that torchvision cuts with the same draws."""
    torch.manual_seed(seed)
    mask = torch.randint(0, classes, (-(-height // 8), -(-width // 8)))
    mask = mask.repeat_interleave(8, 0).repeat_interleave(8, 1)[:height, :width].clone()
    if void:
        mask[:, : width // 2] = 255
    torch.manual_seed(seed)
    plain = v2.RandomCrop(size, pad_if_needed=True, fill=255)
    for attempt in range(redraws + 1):
        expected = plain(tv_tensors.Mask(mask.byte()))
        labels, counts = np.unique(expected.numpy(), return_counts=True)
        counts = counts[labels != 255]
        fits = len(counts) > 1 and counts.max() / counts.sum() < cap
        if fits or cap == 1 or attempt == redraws:
            break
    after = torch.rand(1)
    torch.manual_seed(seed)
    image, found = CappedRandomCrop(size, max_class_share=cap, redraws=redraws)(*showing(mask))
    assert torch.equal(found, expected)
    assert torch.equal(image[0][found != 255], found[found != 255])
    assert torch.equal(torch.rand(1), after)


def test_the_cap_changes_how_often_one_class_fills_the_crop() -> None:
    """Road over four fifths of the picture, as in a street."""
    mask = torch.zeros(64, 64)
    mask[:13] = torch.arange(64) // 8 + 1
    shares = {}
    for cap in (1.0, 0.75):
        torch.manual_seed(0)
        crop = CappedRandomCrop((16, 16), max_class_share=cap)
        shares[cap] = np.mean(
            [largest_share(crop(*showing(mask))[1].as_subclass(torch.Tensor)) < 0.75 for _ in range(300)]
        )
    # by hand: a crop whose first row is 0 to 8, of 0 to 48, shows more than four of the upper 13
    assert shares[1.0] == pytest.approx(9 / 49, abs=0.06)
    assert shares[0.75] == pytest.approx(1 - (40 / 49) ** 11, abs=0.06)


@pytest.mark.parametrize(
    ("labels", "share"),
    [
        ([0, 0, 0, 1], 0.75),
        ([255, 255, 3, 3, 4, 5], 0.5),
        ([255, 255], 1.0),
        ([7], 1.0),
        ([254, 255, 1], 0.5),
    ],
)
def test_share_by_hand(labels: list[int], share: float) -> None:
    assert largest_share(torch.tensor(labels, dtype=torch.uint8)) == share


def test_the_share_must_be_below_the_cap() -> None:
    """Three quarters of one class are too many for a cap of 0.75, as in mmsegmentation."""
    image, mask = showing(torch.tensor([[0, 0, 0, 1]]))
    draw = v2.RandomCrop.make_params
    drawn = []
    for cap in (0.75, 0.76):
        seen: list = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                v2.RandomCrop, "make_params", lambda *given, seen=seen: seen.append(1) or draw(*given)
            )
            CappedRandomCrop((1, 4), max_class_share=cap)(image, mask)
        drawn.append(len(seen))
    assert drawn == [11, 1]


def test_without_a_cap_the_mask_is_not_needed() -> None:
    image, _ = showing(torch.arange(30)[:, None].expand(30, 30))
    assert CappedRandomCrop((8, 8))(image).shape == (3, 8, 8)
    with pytest.raises(ValueError, match="pass image and mask"):
        CappedRandomCrop((8, 8), max_class_share=0.5)(image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (8, 0)}, r"both positive, got \(8, 0\)"),
        ({"size": (8,)}, r"both positive, got \(8,\)"),
        ({"max_class_share": -0.1}, r"\(0, 1\], 1 for no cap, got -0.1"),
        ({"max_class_share": float("nan")}, "got nan"),
        ({"redraws": 0}, "redraws is at least 1, got 0"),
    ],
)
def test_bad_crop(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CappedRandomCrop(**({"size": (8, 8)} | options))


def test_a_left_hand_stays_a_left_hand() -> None:
    """What was drawn on the left side of a body, and is now on the right, is what lies on the right there."""
    mask = torch.tensor([[1, 1, 0, 2, 2, 255, 7]], dtype=torch.uint8)
    image = mask.expand(3, 1, 7).clone()
    for kind in (torch.uint8, torch.int64):
        flipped, labels = HorizontalFlip(1, flip_pairs=[(1, 2), (7, 5)])(image, mask.to(kind))
        assert torch.equal(flipped, image.flip(-1))
        assert labels.dtype == kind
        assert labels.tolist() == [[5, 255, 1, 1, 0, 2, 2]]
    _, same = HorizontalFlip(0, flip_pairs=[(1, 2)])(image, mask)
    assert torch.equal(same, mask)
    _, plain = HorizontalFlip(1)(image, mask)
    assert torch.equal(plain, mask.flip(-1))


def test_the_draws_are_those_of_the_library() -> None:
    for seed in range(20):
        found = []
        for flip in (HorizontalFlip(0.3, flip_pairs=[(0, 1)]), v2.RandomHorizontalFlip(0.3)):
            torch.manual_seed(seed)
            image, _ = flip(*coordinates(4, 6))
            found.append((image, torch.rand(3)))
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 1.5}, "p is a probability"),
        ({"flip_pairs": [(1, 1)]}, r"two different classes from 0 to 254, got \(1, 1\)"),
        ({"flip_pairs": [(1, 255)]}, r"got \(1, 255\)"),
        ({"flip_pairs": [(1, 2), (2, 3)]}, "class 2 is in two flip pairs"),
    ],
)
def test_bad_flips(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HorizontalFlip(**options)
