"""What lies on the shelves: copies of clean pixels, as many as fit, on the device that was asked for."""

from __future__ import annotations

import itertools

import pytest
import torch

from aucseg.memory import TailMemoryBank
from tests.memory.scenes import TAIL, assert_same, make, one_object, run, scene, seeded


def test_objects_are_what_was_stored():
    """A copy of the pixels at that place, whatever happens to the batch afterwards."""
    images, target = torch.rand(1, 3, 8, 9), torch.zeros(1, 8, 9, dtype=torch.long)
    target[0, 2:5, 3:7] = 4
    target[0, 3, 4] = 0
    wanted = images[0, :, 2:5, 3:7].clone()
    bank = TailMemoryBank([4, 6], sample_ratio=0.0)
    bank(images, target)
    images.zero_()
    ((picture, mask),) = bank.objects()[4]
    assert torch.equal(picture, wanted)
    assert mask.sum() == 11
    assert bank.objects()[6] == []


def test_nothing_stored_aliases_the_batch():
    bank = TailMemoryBank(TAIL, sample_ratio=1.0, generator=seeded())
    images, target = scene(0, chance=0.7)
    out, labels = bank(images, target)
    objects = [each for shelf in bank.objects().values() for each in shelf]
    kept = [(picture.clone(), mask.clone()) for picture, mask in objects]
    assert kept
    for tensor in (images, target, out, labels):
        tensor.zero_()
    for (image, mask), (other, other_mask) in zip(kept, objects, strict=True):
        assert torch.equal(image, other)
        assert torch.equal(mask, other_mask)


def test_only_clean_pixels_are_stored():
    """An image that misses a class gets it pasted, but what is stored is the image before the paste."""
    bank = TailMemoryBank((5,), memory_size=50, sample_ratio=1.0, resize_ratio=1.0)
    for seed in range(10):
        images, target = scene(seed, tail=(5,), chance=0.5)
        held = sum(bool((labels == 5).any()) for labels in target)
        before = len(bank)
        bank(images, target)
        assert len(bank) == before + held
        for labels, image, (picture, mask) in zip(
            [t for t in target if (t == 5).any()],
            [i for i, t in zip(images, target, strict=True) if (t == 5).any()],
            bank.objects()[5][before:],
            strict=True,
        ):
            assert torch.equal(picture[:, mask], image[:, labels == 5])


def test_memory_size_and_random_replacement():
    bank = TailMemoryBank((5,), memory_size=3, generator=seeded(0))
    values = []
    for i in range(40):
        images, target = one_object()
        bank(torch.full_like(images, i), target)
        values.append(sorted(int(picture[0, 0, 0]) for picture, _ in bank.objects()[5]))
    assert values[1] == [0, 1]
    assert all(len(v) == 3 for v in values[2:])
    assert all(i in v for i, v in enumerate(values))  # the newest is always kept
    replaced = [(set(a) - set(b)).pop() for a, b in itertools.pairwise(values[2:])]
    ranks = [sorted(a).index(r) for a, r in zip(values[2:], replaced, strict=False)]
    assert set(ranks) == {0, 1, 2}  # neither first-in-first-out nor last-in-first-out


def test_offload_changes_nothing():
    assert_same(run(make(3), range(8)), run(make(3, offload=True), range(8)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_offload_keeps_page_locked_memory():
    here, there = make(3), make(3, offload=True)
    for seed in range(8):
        images, target = (part.cuda() for part in scene(seed))
        assert_same([here(images, target)], [there(images, target)])
    assert there.nbytes()["device"] == 0
    assert here.nbytes()["host"] == 0
    assert all(picture.is_pinned() for shelf in there.objects().values() for picture, _ in shelf)
