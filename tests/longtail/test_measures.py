"""Measures of a long tail by hand and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aucseg.longtail import (
    gini,
    head_to_rest_ratio,
    imbalance_factor,
    lorenz_curve,
    pearson,
    pixels_where_present,
)

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=12).filter(any)
GROUPS = ("head", "head", "middle", "tail")


@settings(deadline=None, max_examples=60)
@given(COUNTS)
def test_gini_is_the_mean_difference(counts: list[int]) -> None:
    n = np.array(counts, float)
    brute = np.abs(n[:, None] - n).sum() / (2 * len(n) * n.sum())
    assert gini(counts) == pytest.approx(brute, abs=1e-12)


def test_lorenz_curve_and_gini_by_hand() -> None:
    classes, held = lorenz_curve([6, 1, 3])
    assert classes == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert held == pytest.approx([0, 0.1, 0.4, 1])
    assert gini([5, 5, 5, 5]) == pytest.approx(0)
    assert gini([0, 0, 0, 8]) == pytest.approx(0.75)


def test_head_to_rest_ratio_is_the_mean_over_pairs() -> None:
    counts = [10, 40, 5, 2]
    assert head_to_rest_ratio(counts, GROUPS) == pytest.approx(np.mean([10 / 5, 10 / 2, 40 / 5, 40 / 2]))
    assert math.isinf(head_to_rest_ratio([10, 40, 5, 0], GROUPS))
    for groups, message in (
        (("head",) * 4, "4 of 4 classes are head"),
        (GROUPS[:3], "3 groups for 4 classes"),
    ):
        with pytest.raises(ValueError, match=message):
            head_to_rest_ratio(counts, groups)


def test_imbalance_factor() -> None:
    assert imbalance_factor([3, 12, 4]) == 4
    assert math.isinf(imbalance_factor([3, 0]))
    for counts, message in (([], "shape"), ([[1]], "shape"), ([0, 0], "not all zero"), ([2, -1], ">= 0")):
        with pytest.raises(ValueError, match=message):
            imbalance_factor(counts)


def test_pearson_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random(20), rng.random(20)
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    holed = np.where(np.arange(20) < 5, np.nan, y)
    assert pearson(x, holed) == pytest.approx(stats.pearsonr(x[5:], y[5:]).statistic)
    assert math.isnan(pearson(x, np.ones(20)))
    assert math.isnan(pearson([1, 2], [1, np.nan]))
    with pytest.raises(ValueError, match="frequencies but"):
        pearson([1, 2], [1])


def test_pixels_where_present() -> None:
    found = pixels_where_present([6, 0], [3, 0])
    assert found[0] == 2
    assert math.isnan(found[1])
