from __future__ import annotations

import pytest
import torch

from aucseg.errors import OptionError
from aucseg.memory import CopyPaste, FixedPixelBank, PixelMemoryBank, TailMemoryBank
from aucseg.memory.objects import Crop
from aucseg.memory.paste import part_of
from tests.memory.scenes import TAIL, assert_same, one_object, run, scene, seeded


def test_pixel_memory_bank_is_the_bank_over_all_classes():
    options = {"memory_size": 2, "sample_ratio": 0.6}
    first = PixelMemoryBank(8, generator=seeded(1), **options)
    second = TailMemoryBank(range(8), generator=seeded(1), **options)
    assert_same(run(first, range(6)), run(second, range(6)))
    assert first.sizes()[0] == 2  # head classes are kept
    tail = TailMemoryBank(TAIL, generator=seeded(1), **options)
    run(tail, range(6))
    assert first.nbytes()["host"] > 2 * tail.nbytes()["host"]
    with pytest.raises(OptionError, match="holds 3, which is ignore_index"):
        PixelMemoryBank(8, ignore_index=3)
    with pytest.raises(OptionError, match="num_classes must be an int of at least 2, got 1"):
        PixelMemoryBank(1)


def test_part_of_an_object_is_its_first_columns():
    mask = torch.tensor([[1, 0, 1], [1, 1, 1]], dtype=torch.bool)
    crop = Crop(torch.zeros(1, 2, 3), mask)
    assert part_of(crop, 3, from_right=False).mask.int().tolist() == [[1, 0, 0], [1, 1, 0]]
    assert part_of(crop, 3, from_right=True).mask.int().tolist() == [[0, 0, 1], [0, 1, 1]]
    assert part_of(crop, 1, from_right=True).mask.int().tolist() == [[0, 0, 1], [0, 0, 0]]
    assert part_of(crop, 9, from_right=True).mask.equal(mask)


@pytest.mark.parametrize("pixels", [1, 7, 30, 60, 10_000])
def test_fixed_pixels(pixels):
    """Five objects of 12 pixels are stored: an image gets exactly N pixels, or all 60."""
    bank = FixedPixelBank((5,), pixels, memory_size=5, resize_ratio=1.0, generator=seeded(0))
    for _ in range(5):
        bank(*one_object())
    size = (200, 200)  # pastes hardly ever meet
    before = bank.stats()["pasted"][5]
    _, labels = bank(torch.zeros(4, 3, *size), torch.zeros(4, *size, dtype=torch.long))
    assert (labels == 5).sum((1, 2)).tolist() == [min(pixels, 60)] * 4
    assert bank.stats()["pasted"][5] - before == 4 * min(5, -(-pixels // 12))


def test_fixed_pixels_do_not_count_void():
    bank = FixedPixelBank((5,), 5, resize_ratio=1.0, generator=seeded(0))
    for _ in range(5):
        bank(*one_object())
    target = torch.full((8, 20, 20), 255)
    target[:, :, 10:] = 0
    _, labels = bank(torch.zeros(8, 3, 20, 20), target)
    assert torch.equal(labels == 255, target == 255)
    assert (labels == 5).sum((1, 2)).max() <= 5
    assert (labels == 5).any((1, 2)).all()  # an object on void is followed by another one


def test_fixed_pixels_of_an_empty_bank():
    bank = FixedPixelBank(TAIL)
    images, target = scene(0, tail=())
    out, labels = bank(images, target)
    assert out is images
    assert labels is target
    assert bank.stats()["empty"] == dict.fromkeys(TAIL, 2)


def test_copy_paste_takes_from_the_same_batch_only():
    bank = CopyPaste((5, 6), sample_ratio=1.0, resize_ratio=1.0)
    bank(*one_object(6))
    assert len(bank) == 0
    images, target = one_object(5)
    other, void = torch.zeros_like(images), torch.zeros_like(target)
    out, labels = bank(torch.cat((images, other)), torch.cat((target, void)))
    assert (labels[1] == 5).sum() == 12
    assert not (labels == 6).any()
    assert torch.equal(out[0], images[0])
    assert out[1].sum() > 0
    assert len(bank) == 0
    assert bank.metrics()["bank/pasted_age"] == 0.0


def test_options_that_a_variant_has_not():
    for build, option in (
        (CopyPaste, "memory_size"),
        (CopyPaste, "scope"),
        (CopyPaste, "replacement"),
        (FixedPixelBank, "sample_ratio"),
        (FixedPixelBank, "scope"),
    ):
        with pytest.raises(TypeError, match=f"{build.__name__} has no option {option}; leave it out"):
            build(TAIL, **{option: 1})
    with pytest.raises(OptionError, match="pixels_per_image must be an int of at least 1, got 0"):
        FixedPixelBank(TAIL, 0)
