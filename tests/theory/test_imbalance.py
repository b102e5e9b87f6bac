"""tau from counts, and its range from sums: every table of counts with these sums lies inside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.longtail import load_statistics
from aucseg.theory import imbalance, imbalance_range


def test_by_hand() -> None:
    found = imbalance([[10, 0, 3], [10, 8, 1], [10, 1, 2]])
    assert found.ratios == pytest.approx([1, 8 / 3, 1.5])
    assert (found.worst, found.num_images) == (1, 3)
    assert found.tau == pytest.approx((8 / 3) ** 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(2, 6), st.integers(2, 4))
def test_counted_tau_lies_in_the_range_of_its_sums(seed: int, images: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 9, (images, classes)) * (rng.random((images, classes)) < 0.6)
    counts[0] += counts.sum(0) == 0
    exact = imbalance(counts)
    known = counts.sum(0), (counts > 0).sum(0), images
    for limit in (None, int(counts.max())):
        span = imbalance_range(*known, image_pixels=limit)
        assert span.low - 1e-9 <= exact.tau <= span.high + 1e-9
        assert (span.low_ratios - 1e-9 <= exact.ratios).all()
        assert (exact.ratios <= span.high_ratios + 1e-9).all()


def test_ends_of_the_range_are_reached() -> None:
    """Over all ways to put 7 pixels of a class into 3 of 4 images of at most 4 pixels."""
    ratios = [max(parts) / (7 / 4) for parts in itertools.product(range(1, 5), repeat=3) if sum(parts) == 7]
    span = imbalance_range([7, 16], [3, 4], 4, image_pixels=4)
    assert span.low_ratios[0] == pytest.approx(min(ratios))
    assert span.high_ratios[0] == pytest.approx(max(ratios))


def test_the_rarest_class_by_images_makes_tau() -> None:
    known = load_statistics("cityscapes")
    span = imbalance_range(known.pixels, known.images, known.num_images, image_pixels=1024 * 2048)
    assert known.names[span.worst] == "train"
    assert span.low == pytest.approx((2975 / 142) ** 2, rel=1e-4)
    assert span.high > 1e6


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"classes \[1\] never occur"):
        imbalance([[1, 0], [2, 0]])
    with pytest.raises(ValueError, match="at least 2 of each"):
        imbalance([[1, 2]])
    with pytest.raises(ValueError, match=r"counts is -1 at \[0, 0\]"):
        imbalance([[-1, 2], [1, 1]])
    with pytest.raises(ValueError, match="num_images is 1"):
        imbalance_range([1, 1], [1, 1], 1)
    with pytest.raises(ValueError, match="in more images than it has pixels"):
        imbalance_range([1, 4], [2, 2], 3)
    with pytest.raises(ValueError, match="class 1 has 20 pixels in a mean image"):
        imbalance_range([5, 20], [2, 1], 3, image_pixels=16)
    with pytest.raises(ValueError, match="at least 2; got"):
        imbalance_range([5], [2], 3)
