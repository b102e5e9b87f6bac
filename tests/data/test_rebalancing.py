"""Samplers for rare classes: shares worked out by hand, resuming, ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.data import (
    RareClassBatchSampler,
    RepeatingBatchSampler,
    rarest_class_factors,
    repeat_factors,
)

# image 0 alone holds class 2, images 0 and 1 class 1, all hold class 0
PRESENCE = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]], bool)
PIXELS = np.array([[90, 8, 2], [96, 4, 0], [100, 0, 0], [100, 0, 0]])


def test_repeat_factors_by_hand():
    # f = 1, 1/2, 1/4: with t = 1/2 class 2 alone is repeated, sqrt(2) times
    np.testing.assert_allclose(repeat_factors(PRESENCE, 0.5), [2**0.5, 1, 1, 1])
    np.testing.assert_allclose(repeat_factors(PRESENCE, 1.0), [2, 2**0.5, 1, 1])
    assert repeat_factors(np.zeros((2, 3), bool), 0.1).tolist() == [1, 1]


def test_rarest_class_factors_by_hand():
    # 1 / n_k = 1/4, 1/2, 1: images have 1, 1/2, 1/4, 1/4, the mean is 1/2
    np.testing.assert_allclose(rarest_class_factors(PRESENCE), [2, 1, 0.5, 0.5])
    without = np.vstack([PRESENCE, np.zeros(3, bool)])
    np.testing.assert_allclose(
        rarest_class_factors(without) / rarest_class_factors(without)[0], [1, 0.5, 0.25, 0.25, 0.25]
    )


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(0, 5), min_size=1, max_size=12).filter(lambda values: sum(values) >= 0.5),
    st.integers(0, 50),
)
def test_an_image_comes_as_often_as_is_wanted_or_once_more(factors, seed):
    sampler = RepeatingBatchSampler(np.array(factors), 1, seed=seed, steps=10_000)
    for epoch in range(3):
        first = epoch * sampler.epoch_length
        order = [sampler.global_batch(step)[0] for step in range(first, first + sampler.epoch_length)]
        times = np.bincount(order, minlength=len(factors))
        assert (times >= np.floor(sampler.factors - 1e-9)).all()
        assert (times <= np.ceil(sampler.factors + 1e-9)).all()


def test_on_average_it_is_what_is_wanted():
    factors = np.array([0.3, 1.0, 2.5, 1.2])
    sampler = RepeatingBatchSampler(factors, 5, seed=1, steps=2_000)
    times = np.bincount(np.ravel([sampler.global_batch(s) for s in range(2_000)]), minlength=4)
    np.testing.assert_allclose(times / 2_000, factors, atol=0.03)


def test_rare_classes_have_daformers_probabilities():
    sampler = RareClassBatchSampler(PIXELS, 8, temperature=0.5, seed=0, steps=4_000)
    share = np.array([386, 12, 2]) / 400
    expected = np.exp((1 - share) / 0.5)
    expected /= expected.sum()
    np.testing.assert_allclose(sampler.probabilities, expected)
    drawn = np.bincount(np.ravel([sampler.classes_of(step) for step in range(4_000)]), minlength=3)
    np.testing.assert_allclose(drawn / drawn.sum(), expected, atol=0.01)
    # class 2 is in image 0 alone, class 1 in two, class 0 in all
    images = np.bincount(np.ravel([sampler.global_batch(step) for step in range(4_000)]), minlength=4)
    by_hand = (
        expected[2] * np.array([1, 0, 0, 0]) + expected[1] / 2 * np.array([1, 1, 0, 0]) + expected[0] / 4
    )
    np.testing.assert_allclose(images / images.sum(), by_hand, atol=0.01)


def test_an_image_counts_from_so_many_pixels_on():
    sampler = RareClassBatchSampler(PIXELS, 64, min_pixels=5, temperature=10, seed=0, steps=20)
    for step in range(20):
        for label, image in zip(sampler.classes_of(step), sampler.global_batch(step), strict=True):
            assert PIXELS[image, label] >= 5 or (label == 2 and image == 0)  # the best there is


def test_a_low_temperature_and_a_class_without_a_pixel():
    pixels = np.hstack([PIXELS, np.zeros((4, 1), np.int64)])
    sampler = RareClassBatchSampler(pixels, 4, temperature=1e-4, seed=0, steps=50)
    assert sampler.probabilities[3] == 0
    assert np.isfinite(sampler.probabilities).all()
    assert {label for step in range(50) for label in sampler.classes_of(step)} == {2}


@pytest.mark.parametrize("kind", ["repeating", "rare"])
def test_resumes_and_shares_with_ranks(kind):
    def make(batch_size: int, **place):
        if kind == "rare":
            return RareClassBatchSampler(PIXELS, batch_size, temperature=0.5, seed=3, steps=9, **place)
        return RepeatingBatchSampler(rarest_class_factors(PRESENCE), batch_size, seed=3, steps=9, **place)

    whole = list(make(4))
    assert list(make(4, start_step=5)) == whole[5:]
    parts = [list(make(2, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole
    assert whole != list(make(4, start_step=0))[::-1]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: repeat_factors(PRESENCE, 0), r"share of images in \(0, 1\], got 0"),
        (lambda: repeat_factors(PRESENCE.astype(int), 0.1), "of bool"),
        (lambda: rarest_class_factors(np.zeros((2, 3), bool)), "no image holds any class"),
        (lambda: RepeatingBatchSampler(np.array([1, np.nan]), 1, seed=0, steps=1), "factors are numbers"),
        (lambda: RepeatingBatchSampler(np.array([0.1]), 1, seed=0, steps=1), "at least one image"),
        (lambda: RareClassBatchSampler(PIXELS * 0, 1, seed=0, steps=1), "no image holds any class"),
        (lambda: RareClassBatchSampler(PIXELS * 0.5, 1, seed=0, steps=1), "counts"),
        (lambda: RareClassBatchSampler(PIXELS, 1, temperature=0, seed=0, steps=1), "temperature must be"),
        (lambda: RareClassBatchSampler(PIXELS, 1, min_pixels=0, seed=0, steps=1), "min_pixels is at least 1"),
    ],
)
def test_wrong_options(call, words):
    with pytest.raises(ValueError, match=words):
        call()
