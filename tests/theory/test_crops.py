"""Crops: every place of the crop and of the object, and every window of small label maps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.theory import crop_hit_probability, crop_presence, crop_probabilities

few = settings(max_examples=40, deadline=None)


@st.composite
def placements(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    image = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    inside = st.tuples(st.integers(1, image[0]), st.integers(1, image[1]))
    return image, draw(inside), draw(inside)


@few
@given(placements(), st.booleans())
def test_hit_against_every_place(
    sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]], wrap: bool
) -> None:
    image, crop, thing = sizes

    def places(size: tuple[int, int]) -> list[np.ndarray]:
        """The image with the rectangle in it, for every place."""
        found = []
        ends = [s if wrap else s - part + 1 for s, part in zip(image, size, strict=True)]
        for row, column in itertools.product(*(range(end) for end in ends)):
            rows = [(row + i) % image[0] for i in range(size[0])]
            columns = [(column + i) % image[1] for i in range(size[1])]
            canvas = np.zeros(image, bool)
            canvas[np.ix_(rows, columns)] = True
            found.append(canvas)
        return found

    hits = [bool((a & b).any()) for a in places(crop) for b in places(thing)]
    assert crop_hit_probability(image, crop, thing, wrap=wrap) == pytest.approx(np.mean(hits))


def test_a_pixel_on_a_torus_is_hit_by_the_share_of_the_area() -> None:
    assert crop_hit_probability((100, 200), (50, 20), wrap=True) == pytest.approx(0.05)
    assert crop_hit_probability((7, 7), (7, 7)) == 1


def test_presence_in_crops() -> None:
    found = crop_presence([0.5, 0.2], 0.25, objects=2)
    assert found == pytest.approx([0.5 * (1 - 0.75**2), 0.2 * (1 - 0.75**2)])
    assert crop_presence(0.3, 1.0) == pytest.approx(0.3)


@few
@given(st.integers(0, 999), st.integers(1, 4), st.integers(1, 4))
def test_measured_presence_against_every_window(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [rng.choice([0, 1, 2, 255], size, p=[0.6, 0.25, 0.05, 0.1]) for size in ((4, 5), (6, 4))]
    expected = np.zeros(3)
    for mask in masks:
        windows = np.lib.stride_tricks.sliding_window_view(mask, (height, width))
        expected += [(windows == label).any((2, 3)).mean() / 2 for label in range(3)]
    found = crop_probabilities(iter(masks), 3, (height, width))
    assert found == pytest.approx(expected)


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="does not fit into 4 pixels"):
        crop_hit_probability((4, 4), (5, 2))
    with pytest.raises(ValueError, match="crop_size is 0"):
        crop_hit_probability((4, 4), (0, 2))
    with pytest.raises(ValueError, match="never occurs"):
        crop_presence(0.0, 0.5)
    with pytest.raises(ValueError, match="objects is 0"):
        crop_presence(0.5, 0.5, objects=0)
    with pytest.raises(ValueError, match="no mask to crop"):
        crop_probabilities([], 3, (2, 2))
    with pytest.raises(ValueError, match=r"mask 1 of .* is smaller than the crop"):
        crop_probabilities([np.zeros((4, 4), int), np.zeros((2, 4), int)], 3, (3, 3))
    with pytest.raises(ValueError, match="mask 0 is no label map"):
        crop_probabilities([np.zeros((4, 4))], 3, (3, 3))
