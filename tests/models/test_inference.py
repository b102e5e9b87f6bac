"""Images of any size, windows and views against what they are by definition."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aucseg.models import multi_scale, padded_logits, predict, sliding_window, view_logits
from aucseg.models.inference import RATIOS, swapped_channels, view_sizes, window_starts

sides = st.integers(1, 40)


class Counting(nn.Module):
    """Returns its input's first two channels and remembers the size it saw."""

    def forward(self, images):
        self.seen = tuple(images.shape[-2:])
        return images[:, :2]


@pytest.mark.parametrize(("size", "padded"), [((64, 96), (64, 96)), ((65, 70), (96, 96)), ((1, 1), (32, 32))])
def test_padding_is_invisible(size, padded):
    images = torch.randn(2, 3, *size)
    model = Counting()
    torch.testing.assert_close(padded_logits(model, images), images[:, :2])
    assert model.seen == padded


def test_predict_is_argmax_and_restores_the_mode():
    images = torch.randn(1, 3, 40, 33)
    model = Counting().train()
    assert torch.equal(predict(model, images), images[:, :2].argmax(1))
    assert model.training


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
def test_bad_windows(options: dict, message: str) -> None:
    arguments = {"model": pointwise, "images": torch.zeros(1, 3, 8, 8), "window": (4, 4), "stride": (4, 4)}
    arguments |= options
    with pytest.raises(ValueError, match=message):
        sliding_window(arguments.pop("model"), arguments.pop("images"), **arguments)


def network() -> nn.Module:
    """A small convolution that sees its neighbours, and left and right differently."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 3, padding=1)
    ).requires_grad_(False)


def noise(height: int = 20, width: int = 30, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(3))


def test_one_view_is_the_model() -> None:
    model, images = network(), noise()
    (only,) = view_logits(model, images)
    assert torch.equal(only, model(images))
    assert torch.equal(multi_scale(model, images, ratios=[1.0], flip=False), model(images).softmax(1))


@settings(deadline=None, max_examples=25)
@given(
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    window=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    average=st.sampled_from(["probabilities", "logits"]),
)
def test_of_a_pointwise_model_flips_and_windows_change_nothing(size, window, average) -> None:
    images = noise(*size)
    model = partial(sliding_window, pointwise, window=window)
    found = multi_scale(model, images, ratios=(1.0, 1.0), flip=True, average=average)
    expected = pointwise(images) if average == "logits" else pointwise(images).softmax(1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_is_the_mean_written_out(average: str) -> None:
    """Region Rebalance's six scales and the mirror; sizes by hand."""
    model, images = network(), noise(20, 30)
    scores = []
    for size in ((10, 15), (15, 22), (20, 30), (25, 38), (30, 45), (35, 52)):  # rounding halves to even
        scaled = F.interpolate(images, size, mode="bilinear", antialias=True)
        plain, mirrored = model(scaled), model(scaled.flip(3)).flip(3)
        for logits in (plain, mirrored):
            back = F.interpolate(logits, (20, 30), mode="bilinear")
            scores.append(back.softmax(1) if average == "probabilities" else back)
    found = multi_scale(model, images, average=average)
    torch.testing.assert_close(found, torch.stack(scores).mean(0))
    if average == "probabilities":
        torch.testing.assert_close(found.sum(1), torch.ones(2, 20, 30))


def test_the_mirror_makes_the_answer_symmetric() -> None:
    model, images = network(), noise()
    plain = partial(multi_scale, model, ratios=(0.8, 1.0))
    torch.testing.assert_close(plain(images.flip(-1)), plain(images).flip(-1))
    assert not torch.allclose(plain(images.flip(-1), flip=False), plain(images, flip=False).flip(-1))


def test_a_ramp_stays_where_it_is() -> None:
    """Scaled there and back, a linear ramp is itself away from the border: nothing is shifted.

    Weights of the antialiasing filter are normalised sample by sample, which costs a few hundredths.
    """
    ramp = (torch.arange(40.0)[:, None] + 2 * torch.arange(60.0)[None]).expand(1, 3, 40, 60)
    for logits in view_logits(lambda x: x, ramp, ratios=RATIOS, flip=True):
        torch.testing.assert_close(logits[..., 6:-6, 6:-6], ramp[..., 6:-6, 6:-6], rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("size", "within", "expected"),
    [
        ((1024, 2048), None, (1024, 2048)),
        ((1024, 2048), (512, 2048), (512, 1024)),
        ((480, 640), (512, 2048), (512, 683)),
        ((640, 480), (512, 2048), (683, 512)),
        ((100, 1000), (512, 2048), (205, 2048)),
    ],
)
def test_view_sizes_by_hand(size, within, expected) -> None:
    assert view_sizes(size, [1.0], within) == [expected]
    half = view_sizes(size, [0.5, 1.0], within)[0]
    assert all(abs(2 * a - b) <= 1 for a, b in zip(half, expected, strict=True))


def test_views_have_the_sizes_that_were_asked_for() -> None:
    spy = Spy(pointwise)
    views = list(view_logits(spy, noise(20, 30), ratios=(0.5, 1.0), flip=True, within=(40, 50)))
    assert spy.shapes == [(2, 3, 17, 25)] * 2 + [(2, 3, 33, 50)] * 2
    assert {tuple(view.shape) for view in views} == {(2, 4, 20, 30)}


def test_composes_with_a_network_that_needs_multiples() -> None:
    spy = Spy(pointwise)
    found = multi_scale(partial(padded_logits, spy), noise(33, 47), ratios=(0.7, 1.3))
    assert found.shape == (2, 4, 33, 47)
    assert all(side % 32 == 0 for shape in spy.shapes for side in shape[2:])


def test_views_come_one_by_one_and_leave_gradients_to_the_caller() -> None:
    images = noise().requires_grad_()
    spy = Spy(pointwise)
    for number, logits in enumerate(view_logits(spy, images, ratios=(0.5, 1.0)), 1):
        assert len(spy.shapes) == number
        assert not logits.requires_grad
        assert torch.is_grad_enabled()


def test_logits_are_not_changed_in_place() -> None:
    kept = torch.zeros(1, 3, 4, 4)
    multi_scale(lambda x: kept, torch.ones(1, 3, 4, 4), ratios=(1.0, 1.0), average="logits")
    assert torch.equal(kept, torch.zeros(1, 3, 4, 4))


def test_half_precision_is_averaged_in_single() -> None:
    assert multi_scale(lambda x: pointwise(x).bfloat16(), noise(), ratios=(0.5, 1.0)).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratios": ()}, r"at least one, got \[\]"),
        ({"ratios": (1.0, 0.0)}, r"positive factors, at least one, got \[1.0, 0.0\]"),
        ({"ratios": (float("nan"),)}, "got \\[nan\\]"),
        ({"ratios": (0.05,)}, "make images of 20x10 pixels less than two"),
        ({"within": (8, 4)}, r"short first, got \(8, 4\)"),
        ({"within": (0, 4)}, r"got \(0, 4\)"),
        ({"average": "votes"}, "average is 'probabilities' or 'logits', got 'votes'"),
        ({"images": torch.zeros(3, 4, 4)}, r"\(B, 3, H, W\) floats"),
        ({"model": lambda x: x[..., 1:]}, r"2 images of 20x10, got \(2, 3, 20, 9\)"),
    ],
)
def test_bad_views(options: dict, message: str) -> None:
    arguments = {"model": pointwise, "images": noise(20, 10), "ratios": (1.0,)} | options
    with pytest.raises(ValueError, match=message):
        multi_scale(arguments.pop("model"), arguments.pop("images"), **arguments)


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        # whoever brings a network of her own needs none of the libraries of networks
        (
            "from aucseg.models import multi_scale, predict, sliding_window",
            ["segmentation_models_pytorch", "timm", "torchvision"],
        ),
        ("import aucseg.training", ["aucseg.plots"]),
    ],
)
def test_what_is_not_needed_is_not_imported(program: str, absent: list[str]) -> None:
    check = f"{program}; import sys; found = set({absent}) & sys.modules.keys(); assert not found, found"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def sides(images: Tensor) -> Tensor:
    """Logits of ground, left and right hand: a hand is a left one where it becomes brighter to the right."""
    brighter = images[:, 0].diff(dim=-1, prepend=images[:, 0, :, :1])
    return torch.stack([0.1 - images[:, 1], brighter, -brighter], dim=1)


def test_a_left_hand_in_the_mirror_is_counted_for_the_left() -> None:
    images = torch.zeros(1, 3, 4, 12)
    images[0, 0, :, :6] = torch.arange(6)  # a left hand, and beside it a right one
    images[0, 0, :, 6:] = torch.arange(6).flip(0)
    own = sides(images)
    for pairs, holds in (([(1, 2)], True), ([], False)):
        found = [*view_logits(sides, images, flip=True, flip_pairs=pairs)]
        same = (found[1].argmax(1) == own.argmax(1))[..., 1:5].all() and (
            found[1].argmax(1) == own.argmax(1)
        )[..., 7:11].all()
        assert bool(same) is holds
        mean = multi_scale(sides, images, ratios=(1.0,), flip=True, average="logits", flip_pairs=pairs)
        swapped = sides(images.flip(-1)).flip(-1)
        swapped = swapped[:, [0, 2, 1]] if pairs else swapped
        torch.testing.assert_close(mean, (own + swapped) / 2)


def test_bad_pairs_of_channels() -> None:
    assert swapped_channels(4, [(3, 0)]) == [3, 1, 2, 0]
    for pairs in ([(0, 4)], [(1, 1)], [(0, 1), (1, 2)], [(0, 1, 2)]):
        with pytest.raises(ValueError, match="flip_pairs are pairs of 4 classes"):
            swapped_channels(4, pairs)
