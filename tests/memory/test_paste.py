from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aucseg.memory.boxes import Box
from aucseg.memory.objects import Crop
from aucseg.memory.paste import cut, equals, fill, fit, paste, put

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def crop_of(mask, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, *mask.shape, generator=generator)
    return Crop((image if dtype.is_floating_point else image * 255).to(dtype), mask)


def test_cut_is_a_copy():
    image, target = torch.rand(3, 6, 6), torch.zeros(6, 6, dtype=torch.long)
    target[1:3, 2:5] = 4
    crop = cut(image, target, 4, Box(1, 3, 2, 5))
    expected = image[:, 1:3, 2:5].clone()
    image.zero_()
    target.zero_()
    assert torch.equal(crop.image, expected)
    assert crop.mask.all()


def test_ratio_one_changes_nothing():
    crop = crop_of(torch.rand(5, 7) > 0.5)
    assert fit(crop, 1.0, 10, 10) is crop


def test_half_of_a_picture_by_hand():
    """Antialiased halving of a constant object on a constant ground; the mask halves too."""
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:4] = True
    image = torch.where(mask, 1.0, 3.0).expand(3, 8, 8)
    small = fit(Crop(image, mask), 0.5, 8, 8)
    assert small.mask.tolist() == [[True] * 4] * 2 + [[False] * 4] * 2
    assert small.image[:, 0].tolist() == [[1.0] * 4] * 3
    assert small.image[:, 3].tolist() == [[3.0] * 4] * 3


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    ratio=st.floats(0.01, 1.0),
    canvas=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    thin=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_fits_the_canvas_and_keeps_a_pixel(height, width, ratio, canvas, thin, seed):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(height, width, generator=generator) < (0.05 if thin else 0.7)
    mask[torch.randint(height, (), generator=generator), torch.randint(width, (), generator=generator)] = True
    small = fit(crop_of(mask), ratio, *canvas)
    assert small.mask.any()
    assert small.mask.dtype == torch.bool
    assert small.image.shape == (3, *small.mask.shape)
    assert all(new <= side for new, side in zip(small.mask.shape, canvas, strict=True))
    assert all(1 <= new <= old for new, old in zip(small.mask.shape, mask.shape, strict=True))
    assert small.image.min() >= -1e-6
    assert small.image.max() <= 1 + 1e-6


def test_a_thin_object_survives_where_it_is():
    """The nearest neighbours of a coarse grid miss this line; the cell that holds most of it is kept."""
    mask = torch.zeros(30, 30, dtype=torch.bool)
    mask[20, 9:21] = True  # rows 5, 15, 25 are what a reduction by ten looks at
    small = fit(crop_of(mask), 0.1, 30, 30)
    assert small.mask.nonzero().tolist() == [[2, 1]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(dtype):
    crop = crop_of(torch.ones(9, 9, dtype=torch.bool), dtype)
    small = fit(crop, 0.4, 9, 9)
    assert small.image.dtype == dtype
    exact = torch.nn.functional.interpolate(
        crop.image[None].double(), size=(4, 4), mode="bilinear", antialias=True
    )[0]
    tolerance = 0.51 if dtype == torch.uint8 else 2 * max(torch.finfo(dtype).eps, 1e-6)
    assert (small.image.double() - exact).abs().max() <= tolerance


def test_paste_by_hand():
    image, target = torch.zeros(1, 4, 4), torch.zeros(4, 4, dtype=torch.uint8)
    target[1, 1] = 255
    mask = torch.tensor([[True, True], [False, True]])
    paste(image, target, Crop(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), mask), 9, 1, 1, 255)
    assert target.tolist() == [[0, 0, 0, 0], [0, 255, 9, 0], [0, 0, 9, 0], [0, 0, 0, 0]]
    assert image[0].tolist() == [[0, 0, 0, 0], [0, 0, 2, 0], [0, 0, 4, 0], [0, 0, 0, 0]]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 6),
    ratio=st.floats(0.05, 0.99),
    edge=st.sampled_from(["hard", "soft"]),
)
def test_an_averaged_picture_is_pillows(height, width, ratio, edge):
    """Down to a single column, where torch's own resize repeats the first row."""
    crop = crop_of(torch.ones(height, width, dtype=torch.bool))
    small = fit(crop, ratio, 99, 99, edge=edge)
    size = small.mask.shape[::-1]
    expected = [Image.fromarray(c.numpy()).resize(size, Image.Resampling.BILINEAR) for c in crop.image]
    assert torch.allclose(small.image, torch.from_numpy(np.stack(expected)), atol=1e-5)


# What NumPy does on the CPU is what PyTorch does everywhere else.


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
