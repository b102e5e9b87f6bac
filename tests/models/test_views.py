"""Test-time augmentation against means written out."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aucseg.models import multi_scale, padded_logits, sliding_window, view_logits
from aucseg.models.views import RATIOS, view_sizes
from tests.models.test_windows import Spy, pointwise


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
def test_bad_arguments(options: dict, message: str) -> None:
    arguments = {"model": pointwise, "images": noise(20, 10), "ratios": (1.0,)} | options
    with pytest.raises(ValueError, match=message):
        multi_scale(arguments.pop("model"), arguments.pop("images"), **arguments)
