from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.losses import cross_entropy, ohem_cross_entropy
from tests.functional.oracle import streets


def by_sorting(logits, target, threshold, min_kept):
    """Sort the labelled pixels by the probability of their own class, pixel by pixel on the host."""
    own = []
    for image, labels in zip(logits.tolist(), target.tolist(), strict=True):
        for y, row in enumerate(labels):
            for x, label in enumerate(row):
                if label != 255:
                    exponents = [math.exp(channel[y][x]) for channel in image]
                    own.append(exponents[label] / sum(exponents))
    own.sort()
    hard = [p for p in own if p < threshold]
    kept = hard if len(hard) >= min_kept else own[:min_kept]
    return sum(-math.log(p) for p in kept) / len(kept) if kept else 0.0


def two_classes(*own):
    """One row of pixels of class 0, each with a given probability of it."""
    p = torch.tensor(own, dtype=torch.float64)
    return torch.stack([p, 1 - p]).log()[None, :, None], torch.zeros(1, 1, len(own), dtype=torch.long)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    void=st.sampled_from([0.0, 0.3, 1.0]),
    threshold=st.floats(0.05, 1),
    min_kept=st.integers(0, 100),
)
def test_is_the_mean_over_what_a_sort_keeps(seed, void, threshold, min_kept):
    logits, target = streets(2, 4, 6, 7, seed=seed, void=void)
    found = ohem_cross_entropy(logits, target, threshold=threshold, min_kept=min_kept)
    assert found.item() == pytest.approx(by_sorting(logits, target, threshold, min_kept), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("min_kept", "kept"),
    [
        (0, [0.6, 0.2]),
        (2, [0.6, 0.2]),  # as many hard ones as are wanted: no more
        (3, [0.8, 0.6, 0.2]),  # filled up with the next hardest
        (9, [0.9, 0.8, 0.7, 0.6, 0.2]),  # fewer pixels than wanted: all
    ],
)
def test_by_hand(min_kept, kept):
    logits, target = two_classes(0.9, 0.6, 0.8, 0.2, *([0.7] if min_kept == 9 else []))
    found = ohem_cross_entropy(logits, target, min_kept=min_kept)
    assert found.item() == pytest.approx(-sum(map(math.log, kept)) / len(kept))


def test_no_hard_pixel_and_none_wanted_is_zero():
    logits, target = two_classes(0.9, 0.8)
    logits.requires_grad_()
    loss = ohem_cross_entropy(logits, target, min_kept=0)
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_keeping_everything_is_cross_entropy():
    logits, target = streets(2, 4, 6, 7, void=0.3, seed=0)
    torch.testing.assert_close(
        ohem_cross_entropy(logits, target, threshold=1.0), cross_entropy(logits, target)
    )


def test_counts_are_of_the_batch_and_default_to_ten_thousand():
    generator = torch.Generator().manual_seed(0)
    logits = torch.rand(2, 3, 80, 90, generator=generator)
    logits[:, 1] += 4  # every pixel is easy
    target = torch.ones(2, 80, 90, dtype=torch.long)
    target[:, :2] = 255
    ohem_cross_entropy(logits.requires_grad_(), target).backward()
    kept = logits.grad[:, 1] != 0
    assert kept.sum() == 10_000
    own = logits.detach().softmax(1)[:, 1]
    assert own[kept].max() <= own[~kept & (target == 1)].min()


def test_pixels_of_one_loss_make_up_the_number_and_no_more():
    """Saturated pixels have a loss of exactly zero: were ties kept too, they would dilute the mean."""
    logits = torch.zeros(1, 2, 1, 1000)
    logits[:, 0] = 200.0
    logits[..., :10] = 0.0
    target = torch.zeros(1, 1, 1000, dtype=torch.long)
    found = ohem_cross_entropy(logits, target, min_kept=100)
    assert found.item() == pytest.approx(10 * math.log(2) / 100)


def test_gradient_is_that_of_the_kept_pixels():
    logits, target = streets(2, 4, 6, 7, void=0.3, seed=0)
    logits.requires_grad_()
    ohem_cross_entropy(logits, target, threshold=0.3, min_kept=5).backward()
    own = logits.detach().softmax(1).gather(1, target.where(target != 255, 0)[:, None]).squeeze(1)
    kept = (own < 0.3) & (target != 255)
    assert kept.sum() > 5
    rest = logits.detach().softmax(1) - F.one_hot(target.where(target != 255, 0), 4).movedim(-1, 1)
    torch.testing.assert_close(logits.grad, rest * kept[:, None] / kept.sum())


@pytest.mark.parametrize("min_kept", [3, 30])
def test_gradcheck(min_kept):
    logits, target = streets(2, 3, 3, 5, void=0.2, seed=0)
    assert torch.autograd.gradcheck(
        lambda x: ohem_cross_entropy(x, target, threshold=0.4, min_kept=min_kept), logits.requires_grad_()
    )


def test_all_void_is_zero():
    logits, target = streets(2, 4, 6, 7, seed=0)
    loss = ohem_cross_entropy(logits.requires_grad_(), torch.full_like(target, 255))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_another_void_label():
    logits, target = streets(2, 4, 6, 7, void=0.3, seed=0)
    other = target.where(target != 255, -1)
    options = {"threshold": 0.5, "min_kept": 4}
    assert ohem_cross_entropy(logits, target, **options) == ohem_cross_entropy(logits, other, -1, **options)


def test_nan_is_not_hidden():
    logits, target = streets(2, 4, 6, 7, seed=0)
    logits[0, 1, 2, 3] = torch.nan
    assert ohem_cross_entropy(logits, target, min_kept=1).isnan()


def test_is_float32_under_autocast():
    logits, target = streets(2, 4, 6, 7, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = ohem_cross_entropy(logits.bfloat16(), target, threshold=0.5, min_kept=4)
    assert loss.dtype == torch.float32
    expected = by_sorting(logits.bfloat16(), target, 0.5, 4)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, math.nan])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ValueError, match=rf"\(0, 1\], got {threshold}"):
        ohem_cross_entropy(*two_classes(0.5), threshold=threshold)


def test_a_number_of_pixels_is_not_negative():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        ohem_cross_entropy(*two_classes(0.5), min_kept=-1)
