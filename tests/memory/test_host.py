"""What NumPy does on the CPU is what PyTorch does everywhere else."""

from __future__ import annotations

import pytest
import torch

from aucseg.memory.host import equals, fill, put

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def masks(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(5, 7, generator=generator) < share for share in (-1.0, 0.1, 0.6, 2.0)]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_equals(dtype):
    labels = torch.arange(-20, 280).to(dtype).view(20, 15)[3:, 2:9]
    for label in (-1, 0, 100, 200, 255, 300, -300):
        assert torch.equal(equals(labels, label), labels.long() == label)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_fill(dtype):
    whole = torch.arange(9 * 9).view(9, 9).to(dtype)
    for where in masks():
        expected, found = whole.clone(), whole.clone()
        expected[2:7, 1:8].masked_fill_(where, 99)
        fill(found[2:7, 1:8], where, 99)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", [torch.uint8, *FLOATS])
def test_put(dtype):
    generator = torch.Generator().manual_seed(1)
    whole = (100 * torch.rand(3, 9, 9, generator=generator)).to(dtype)
    other = (100 * torch.rand(3, 5, 7, generator=generator)).to(dtype)
    if dtype.is_floating_point:
        other[:, 1, :3] = torch.tensor([float("nan"), float("inf"), -0.0])
    for where in masks():
        expected, found = whole.clone(), whole.clone()
        part = expected[:, 2:7, 1:8]
        part.copy_(torch.where(where, other, part))
        put(found[:, 2:7, 1:8], where, other)
        assert torch.equal(found.view(torch.uint8), expected.view(torch.uint8))  # bits: nan is nan


def test_put_takes_pictures_in_any_order_of_memory():
    whole = torch.zeros(1, 3, 6, 6).contiguous(memory_format=torch.channels_last)[0]
    other = torch.arange(3 * 4 * 4.0).view(4, 4, 3).permute(2, 0, 1)
    where = torch.eye(4, dtype=torch.bool)
    put(whole[:, 1:5, 2:6], where, other)
    assert torch.equal(whole[:, 1:5, 2:6], torch.where(where, other, 0))
    assert whole.sum() == (other * where).sum()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_device_does_the_same():
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 256, (5, 7), generator=generator, dtype=torch.uint8)
    picture, other = torch.rand(2, 3, 5, 7, generator=generator)
    for where in masks(2):
        here, there = (picture.clone(), labels.clone()), (picture.cuda(), labels.cuda())
        put(here[0], where, other)
        put(there[0], where.cuda(), other.cuda())
        fill(here[1], where, 9)
        fill(there[1], where.cuda(), 9)
        assert all(torch.equal(a, b.cpu()) for a, b in zip(here, there, strict=True))
        assert torch.equal(equals(here[1], -1), equals(there[1], -1).cpu())
