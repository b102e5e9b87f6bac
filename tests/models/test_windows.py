"""Sliding windows against a loop over pixels."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aucseg.models import padded_logits, sliding_window
from aucseg.models.windows import window_starts

sides = st.integers(1, 40)


class Spy:
    """A model that remembers the shapes it was given."""

    def __init__(self, model) -> None:
        self.model = model
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.shapes.append(tuple(images.shape))
        return self.model(images)


def pointwise(images: Tensor) -> Tensor:
    """A 1x1 convolution to four classes: what a pixel gets depends on it alone."""
    weight = torch.linspace(-1, 1, 12).view(4, 3, 1, 1).to(images)
    return torch.nn.functional.conv2d(images, weight)


def placed(images: Tensor) -> Tensor:
    """Logits that depend on where in the window a pixel lies, as a network's do near a border."""
    rows = torch.arange(images.shape[-2])[:, None] * 7.0
    columns = torch.arange(images.shape[-1])[None] * 0.3
    return torch.stack([images[:, 0] + rows, images[:, 1] * columns], dim=1)


@st.composite
def settings_of_windows(draw):
    window = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    stride = draw(st.tuples(st.integers(1, window[0]), st.integers(1, window[1])))
    return window, stride, draw(st.integers(1, 9))


@settings(deadline=None, max_examples=50)
@given(size=st.tuples(sides, sides), batch=st.integers(1, 3), windows=settings_of_windows())
def test_of_a_pointwise_model_is_its_forward(size, batch, windows) -> None:
    window, stride, batch_size = windows
    images = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))
    spy = Spy(pointwise)
    found = sliding_window(spy, images, window=window, stride=stride, batch_size=batch_size)
    torch.testing.assert_close(found, pointwise(images), rtol=1e-5, atol=1e-6)
    assert {shape[2:] for shape in spy.shapes} == {window}
    assert max(shape[0] for shape in spy.shapes) <= batch_size
    # as many windows as mmsegmentation's formula says
    grid = [ceil(max(n - w, 0) / s) + 1 for n, w, s in zip(size, window, stride, strict=True)]
    assert sum(shape[0] for shape in spy.shapes) == batch * grid[0] * grid[1]


@settings(deadline=None, max_examples=25)
@given(size=st.tuples(st.integers(1, 15), st.integers(1, 15)), windows=settings_of_windows())
def test_is_the_mean_over_the_windows_of_each_pixel(size, windows) -> None:
    window, stride, batch_size = windows
    images = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = sliding_window(placed, images, window=window, stride=stride, batch_size=batch_size)
    assert found.dtype == torch.float64
    padded = np.pad(
        images.numpy(),
        [(0, 0), (0, 0), *((0, max(0, w - n)) for w, n in zip(window, size, strict=True))],
        "edge",
    )
    starts = []
    for length, w, s in zip(padded.shape[2:], window, stride, strict=True):
        grid = [i * s for i in range(length) if i * s + w < length]
        starts.append([*grid, length - w])
    for row in range(size[0]):
        for column in range(size[1]):
            seen = [
                [
                    padded[:, 0, row, column] + 7.0 * (row - top),
                    padded[:, 1, row, column] * np.float32(0.3 * (column - left)),
                ]
                for top in starts[0]
                for left in starts[1]
                if top <= row < top + window[0] and left <= column < left + window[1]
            ]
            assert seen, "a pixel that no window covers"
            np.testing.assert_allclose(
                found[:, :, row, column].T, np.mean(seen, axis=0), rtol=1e-6, atol=1e-6
            )


@given(window=st.integers(1, 50), more=st.integers(0, 200), data=st.data())
def test_windows_cover_a_side_and_stay_inside(window: int, more: int, data) -> None:
    stride = data.draw(st.integers(1, window))
    starts = window_starts(window + more, window, stride)
    assert starts[0] == 0
    assert starts[-1] == more
    assert starts == sorted(set(starts))
    assert all(b - a <= stride for a, b in pairwise(starts))


def test_by_hand() -> None:
    """A row of five pixels, windows of three by steps of two: the middle pixel is seen twice."""
    images = torch.tensor([1.0, 2, 3, 4, 5]).expand(1, 3, 1, 5)
    found = sliding_window(
        lambda x: x[:, :1] + 10 * torch.arange(3.0), images, window=(1, 3), stride=(1, 2), batch_size=1
    )
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([1.0, 12, 3 + (20 + 0) / 2, 14, 25]))


def test_default_stride_is_two_thirds_of_the_window() -> None:
    spy = Spy(pointwise)
    sliding_window(spy, torch.zeros(1, 3, 12, 22), window=(12, 12))
    assert spy.shapes == [(3, 3, 12, 12)]  # at 0, 8 and 10
    sliding_window(pointwise, torch.zeros(1, 3, 2, 2), window=(1, 1))  # and never 0


def test_composes_with_padding_for_the_encoder() -> None:
    images = torch.randn(1, 3, 50, 70)
    spy = Spy(pointwise)
    found = sliding_window(partial(padded_logits, spy), images, window=(20, 40), batch_size=3)
    torch.testing.assert_close(found, pointwise(images))
    assert {shape[2:] for shape in spy.shapes} == {(32, 64)}


def test_sums_are_wide_and_keep_no_gradient() -> None:
    images = torch.randn(1, 3, 8, 8, requires_grad=True)
    found = sliding_window(lambda x: pointwise(x).bfloat16(), images, window=(4, 4), stride=(2, 2))
    assert found.dtype == torch.float32
    assert not found.requires_grad
    before = images.detach().clone()
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (0, 4)}, r"window is \(height, width\).* got \(0, 4\)"),
        ({"window": (4,)}, r"got \(4,\)"),
        ({"stride": (0, 1)}, r"from 1 to the window's \(4, 4\), got \(0, 1\)"),
        ({"stride": (4, 5)}, r"got \(4, 5\); a larger one would leave pixels out"),
        ({"batch_size": 0}, "at least 1 window, got 0"),
        (
            {"images": torch.zeros(3, 8, 8)},
            r"\(B, 3, H, W\) floats, at least one, got torch.float32 \(3, 8, 8\)",
        ),
        ({"images": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "normalise them first"),
        ({"images": torch.zeros(0, 3, 8, 8)}, "at least one"),
        ({"model": lambda x: x[..., ::2, ::2]}, r"4 images of 4x4, got \(4, 3, 2, 2\); wrap one"),
        ({"model": lambda x: x[0]}, r"got \(3, 4, 4\)"),
    ],
)
def test_bad_arguments(options: dict, message: str) -> None:
    arguments = {"model": pointwise, "images": torch.zeros(1, 3, 8, 8), "window": (4, 4), "stride": (4, 4)}
    arguments |= options
    with pytest.raises(ValueError, match=message):
        sliding_window(arguments.pop("model"), arguments.pop("images"), **arguments)
