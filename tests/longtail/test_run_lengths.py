"""A label map as runs of equal labels, against brute force: histogram, runs, regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from aucseg.data.labels import value_histogram
from aucseg.longtail.run_lengths import encode_runs, region_classes

K = 5
EIGHT, FOUR = np.ones((3, 3)), ndimage.generate_binary_structure(2, 1)
MAPS = st.tuples(st.integers(1, 9), st.integers(1, 21)).flatmap(
    lambda size: arrays(np.uint8, size, elements=st.sampled_from([0, 1, 2, 3, 4, 7, 255]))
)
# 7 is another name of class 2, so that runs of different values can be one run of a class
LOOKUP = np.full(256, -1, np.int16)
LOOKUP[[0, 1, 2, 3, 4, 7, 255]] = 0, 1, 2, 3, 4, 2, 255


def brute_regions(mapped: np.ndarray, structure: np.ndarray) -> list[int]:
    return [ndimage.label(mapped == c, structure)[1] for c in range(K)]


@settings(deadline=None, max_examples=150)
@given(MAPS)
def test_histogram_is_a_bincount(ids: np.ndarray) -> None:
    assert value_histogram(ids).tolist() == np.bincount(ids.ravel(), minlength=256).tolist()
    assert value_histogram(ids.T).tolist() == value_histogram(ids).tolist()


def test_histogram_of_nothing() -> None:
    assert value_histogram(np.zeros((0, 4), np.uint8)).sum() == 0


@settings(deadline=None, max_examples=150)
@given(MAPS)
def test_regions_are_those_of_scipy_class_by_class(ids: np.ndarray) -> None:
    runs = encode_runs(ids, LOOKUP, K)
    mapped = LOOKUP[ids]
    drawn = np.full(ids.size, 255)
    for c, start, end in zip(runs.classes, runs.starts, runs.ends, strict=True):
        drawn[start:end] = c
    assert (drawn.reshape(ids.shape) == mapped).all()
    for connectivity, structure in ((8, EIGHT), (4, FOUR)):
        found = np.bincount(region_classes(runs, connectivity=connectivity), minlength=K)
        assert found.tolist() == brute_regions(mapped, structure)


def test_regions_of_a_hand_worked_map() -> None:
    ids = np.array([[0, 1, 0, 255], [1, 0, 255, 1], [1, 1, 0, 0]], np.uint8)
    # corners join the zeros and the ones on the left; the one at the right stands alone
    assert np.bincount(region_classes(encode_runs(ids, LOOKUP, K))).tolist() == [1, 2]
    assert np.bincount(region_classes(encode_runs(ids, LOOKUP, K), connectivity=4)).tolist() == [4, 3]
    with pytest.raises(ValueError, match="connectivity is 4 or 8, got 6"):
        region_classes(encode_runs(ids, LOOKUP, K), connectivity=6)
