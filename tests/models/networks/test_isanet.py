"""Interlaced attention against dense attention in which each pixel sees its own group."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aucseg.models import create_model
from aucseg.models.networks.isanet import GroupAttention, group_pixels, pixel_members
from tests.models.networks.largest import LargestTensor

SIDES = st.integers(1, 20)
CPU = torch.device("cpu")


def _same_group(a: tuple[int, int], b: tuple[int, int], long_range: bool) -> bool:
    """Whether two pixels, (row, column) each, see each other."""
    if long_range:
        return a[0] % 8 == b[0] % 8 and a[1] % 8 == b[1] % 8
    return a[0] // 8 == b[0] // 8 and a[1] // 8 == b[1] // 8


def _mask(height: int, width: int, long_range: bool) -> Tensor:
    """(N,N) bool of :func:`_same_group`."""
    pixels = [(row, column) for row in range(height) for column in range(width)]
    return torch.tensor([[_same_group(a, b, long_range) for b in pixels] for a in pixels])


def _dense(block: GroupAttention, x: Tensor) -> Tensor:
    """The block with a matrix of all pairs, minus infinity where two pixels are in different groups."""
    mask = _mask(*x.shape[-2:], block.long_range)
    query, key, value = (project(x).flatten(2) for project in (block.query, block.key, block.value))
    scores = torch.einsum("bci,bcj->bij", query, key) / query.shape[1] ** 0.5
    attention = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    gathered = torch.einsum("bij,bcj->bci", attention, value)
    return block.out(gathered.unflatten(2, x.shape[-2:]))


def _block(long_range: bool, seed: int = 0, channels: int = 6) -> GroupAttention:
    torch.manual_seed(seed)
    return GroupAttention(channels, long_range=long_range).double()


@settings(deadline=None, max_examples=20)
@given(height=SIDES, width=SIDES, long_range=st.booleans())
def test_groups_are_those_of_the_definition(height: int, width: int, long_range: bool) -> None:
    index, exists = group_pixels(height, width, CPU, long_range=long_range)
    groups = [row[real].tolist() for row, real in zip(index, exists, strict=True)]
    assert sorted(pixel for group in groups for pixel in group) == list(range(height * width))
    together = torch.zeros(height * width, height * width, dtype=torch.bool)
    for group in groups:
        for pixel in group:
            together[pixel, group] = True
    assert torch.equal(together, _mask(height, width, long_range))


@settings(deadline=None, max_examples=20)
@given(height=SIDES, width=SIDES, long_range=st.booleans())
def test_members_undo_groups(height: int, width: int, long_range: bool) -> None:
    index, exists = group_pixels(height, width, CPU, long_range=long_range)
    members = pixel_members(height, width, CPU, long_range=long_range)
    assert torch.equal(index.flatten()[members], torch.arange(height * width))
    assert exists.flatten()[members].all()


@settings(deadline=None, max_examples=12)
@given(height=SIDES, width=SIDES, long_range=st.booleans(), seed=st.integers(0, 99))
def test_attention_is_dense_attention_within_groups(
    height: int, width: int, long_range: bool, seed: int
) -> None:
    block = _block(long_range, seed).eval()
    x = torch.randn(2, 6, height, width, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(block(x), _dense(block, x))


@pytest.mark.parametrize("long_range", [True, False])
@pytest.mark.parametrize(("height", "width"), [(8, 16), (11, 9), (3, 5)])
def test_training_sees_pixels_of_the_image_only(height: int, width: int, long_range: bool) -> None:
    """Outputs, gradients and batch statistics are those of dense attention, which fills nothing up."""
    ours, dense = _block(long_range).train(), _block(long_range).train()
    x = torch.randn(2, 6, height, width, dtype=torch.float64)
    wanted = torch.randn_like(x)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for out in (ours(inputs[0]), _dense(dense, inputs[1])):
        (out - wanted).square().mean().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for (name, a), b in zip(ours.named_parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=lambda text, name=name: f"{name}: {text}")
    for (name, a), (_, b) in zip(ours.named_buffers(), dense.named_buffers(), strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}")


def test_two_steps_reach_every_pixel_and_one_does_not() -> None:
    """One pixel changes: so does every pixel after both steps, and its group alone after the first."""
    steps = [_block(True, channels=64).eval(), _block(False, channels=64).eval()]
    x = torch.randn(1, 64, 24, 16, dtype=torch.float64)
    changed = x.clone()
    changed[0, :, 7, 12] += 3.0
    with torch.no_grad():
        first = [steps[0](image) for image in (x, changed)]
        both = [steps[1](image) for image in first]
    assert int((first[0] != first[1]).any(dim=1).sum()) == 24 * 16 // 64
    assert (both[0] != both[1]).any(dim=1).all()


def test_memory_grows_with_the_groups_and_not_with_all_pairs() -> None:
    block, pixels = GroupAttention(16, long_range=True), 64 * 64
    x = torch.randn(1, 16, 64, 64, requires_grad=True)
    with LargestTensor() as largest:
        block(x).sum().backward()
    assert largest.numel == pixels * pixels // 64


def test_export_at_sizes_that_fill_no_block() -> None:
    torch.manual_seed(0)
    network = create_model("isanet", "resnet18", num_classes=4, decoder_channels=16).eval()
    sides = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (torch.randn(1, 3, 64, 96),), dynamic_shapes=(sides,))
        for height, width in [(97, 40), (65, 200)]:
            images = torch.randn(1, 3, height, width)
            torch.testing.assert_close(program.module()(images), network(images), rtol=1e-3, atol=1e-4)


def test_too_few_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="2 or more, got 1"):
        create_model("isanet", "resnet18", num_classes=4, decoder_channels=1)
