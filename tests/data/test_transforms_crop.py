"""The crop with a cap on a single class's share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import v2

from aucseg.data.transforms import CappedRandomCrop
from aucseg.data.transforms.crop import largest_share


def pair(mask: torch.Tensor) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
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
    image, found = CappedRandomCrop(size, max_class_share=cap, redraws=redraws)(*pair(mask))
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
            [largest_share(crop(*pair(mask))[1].as_subclass(torch.Tensor)) < 0.75 for _ in range(300)]
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
    image, mask = pair(torch.tensor([[0, 0, 0, 1]]))
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
    image, _ = pair(torch.arange(30)[:, None].expand(30, 30))
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
