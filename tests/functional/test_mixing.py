"""Masks of classes and boxes, beside loops over images and pixels."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from aucseg.functional.mixing import box_mask, class_mask, paste, present_classes

K, VOID = 5, 255


def labels(seed: int = 0, size: tuple[int, int] = (7, 9)) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, K, (4, *size), generator=generator)
    rows[0, :3] = VOID
    rows[1] = rows[1].clamp(max=1)
    rows[2] = VOID
    rows[3] = 4
    return rows


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_present_classes_are_those_of_a_set():
    rows = labels()
    for image, seen in zip(rows, present_classes(rows, K), strict=True):
        assert set(torch.nonzero(seen)[:, 0].tolist()) == set(image.unique().tolist()) - {VOID}


def slow_class_mask(rows: Tensor, seed: int, classes_of: str) -> Tensor:
    """The same draws, image by image and pixel by pixel."""
    draws = torch.rand(len(rows), K + 1, generator=generator(seed))
    mask = torch.zeros(rows.shape, dtype=torch.bool)
    for i, image in enumerate(rows):
        of = rows if classes_of == "batch" else image
        held = [k for k in range(K) if (of == k).any()]
        held += [K] if classes_of == "batch" and (of == VOID).any() else []
        most = sorted(held, key=lambda k: -draws[i, k])[: math.ceil(len(held) / 2)]
        for y in range(image.shape[0]):
            for x in range(image.shape[1]):
                label = int(image[y, x])
                mask[i, y, x] = (K if label == VOID else label) in most
    return mask


@pytest.mark.parametrize("classes_of", ["image", "batch"])
def test_a_class_mask_is_that_of_a_loop(classes_of):
    for seed in range(6):
        rows = labels(seed)
        found = class_mask(rows, K, generator(seed), classes_of=classes_of)
        assert torch.equal(found, slow_class_mask(rows, seed, classes_of)), seed


def test_half_of_the_classes_rounded_up_and_no_void():
    rows = labels()
    mask = class_mask(rows, K, generator())
    for image, inside in zip(rows, mask, strict=True):
        held = set(image.unique().tolist()) - {VOID}
        pasted = set(image[inside].unique().tolist())
        assert len(pasted) == math.ceil(len(held) / 2)
        assert pasted <= held
        for k in pasted:
            assert inside[image == k].all()  # a class is pasted whole
    assert not mask[2].any()  # an image that is all void


def test_every_class_is_drawn_about_half_of_the_time():
    rows = torch.arange(4).view(1, 2, 2).expand(2000, 2, 2)
    share = class_mask(rows, 4, generator()).float().mean(0)
    assert (share - 0.5).abs().max() < 0.05


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_box_is_one_rectangle_of_its_share(share):
    masks = box_mask(200, (40, 60), generator(), share=share)
    for mask in masks:
        ys, xs = torch.nonzero(mask, as_tuple=True)
        box = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        assert box.all()
        assert int(mask.sum()) == box.numel()
    areas = masks.float().mean((1, 2))
    assert (areas - share).abs().max() < 0.03
    many = box_mask(2000, (10, 12), generator(), share=share).float().mean(0)
    assert many.min() > 0  # no pixel is left out for ever


def test_pasting_is_a_choice_for_each_pixel():
    mask = box_mask(3, (6, 8), generator(1))
    images = torch.randn(2, 3, 3, 6, 8)
    rows = torch.randint(0, K, (2, 3, 6, 8))
    mixed, target = paste(mask, (images[0], rows[0]), (images[1], rows[1]))
    for b in range(3):
        for y in range(6):
            for x in range(8):
                source = 0 if mask[b, y, x] else 1
                assert torch.equal(mixed[b, :, y, x], images[source, b, :, y, x])
                assert target[b, y, x] == rows[source, b, y, x]


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="classes_of"):
        class_mask(labels(), K, generator(), classes_of="set")
    with pytest.raises(ValueError, match="share of a box"):
        box_mask(1, (4, 4), generator(), share=0.0)
