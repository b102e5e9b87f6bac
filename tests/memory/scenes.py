"""Batches with head and tail classes, and banks that see them."""

from __future__ import annotations

import torch

from aucseg.memory import TailMemoryBank

TAIL = (5, 6, 7)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def scene(seed, *, batch=2, size=(24, 32), tail=TAIL, chance=0.5, dtype=torch.float32, void=True):
    """Head classes 0 to 4 everywhere, each tail class as a rectangle in some images, a border of void."""
    generator = seeded(seed)
    images = torch.rand(batch, 3, *size, generator=generator)
    images = (images * 255).to(dtype) if dtype == torch.uint8 else images.to(dtype)
    target = torch.randint(0, 5, (batch, *size), generator=generator)
    for labels in target:
        for label in tail:
            if torch.rand((), generator=generator) < chance:
                top, left = (int(torch.randint(s - 6, (), generator=generator)) for s in size)
                height, width = torch.randint(1, 7, (2,), generator=generator).tolist()
                labels[top : top + height, left : left + width] = label
    if void:
        target[:, :2] = target[:, :, :1] = 255
    return images, target


def one_object(label=5, size=(20, 20)):
    """One image with a 3x4 object of one class at row 2, column 3."""
    images, target = scene(0, batch=1, size=size, tail=(), void=False)
    target[0, 2:5, 3:7] = label
    return images, target


def plain(batch=1, size=(20, 20)):
    return torch.zeros(batch, 3, *size), torch.zeros(batch, *size, dtype=torch.long)


def run(bank, seeds, **options):
    return [bank(*scene(seed, **options)) for seed in seeds]


def assert_same(first, second):
    for (image, labels), (other, other_labels) in zip(first, second, strict=True):
        assert torch.equal(image, other)
        assert torch.equal(labels, other_labels)


def make(seed, **options):
    return TailMemoryBank(
        TAIL, memory_size=2, sample_ratio=0.7, resize_ratio=0.6, generator=seeded(seed), **options
    )
