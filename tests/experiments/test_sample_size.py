"""Power of the paired t-test, against simulated seeds and textbook numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.errors import OptionError
from aucseg.experiments import (
    RecordStore,
    Results,
    interval,
    paired_differences,
    pooled_spread,
    power,
    seeds_needed,
)
from tests.experiments.test_results import recorded


@pytest.mark.parametrize(("gain", "seeds"), [(0.0, 3), (1.0, 5), (-1.0, 5), (2.5, 3)])
def test_power_is_how_often_simulated_intervals_leave_zero_out(gain, seeds):
    """20,000 tables of normal differences; three standard errors of a share are at most 0.011."""
    drawn = np.random.default_rng(0).normal(gain, 1.0, (20_000, seeds))
    half = np.array([interval(row)[1] for row in drawn[:3]])
    error = drawn.std(axis=1, ddof=1) / np.sqrt(seeds)
    bound = half[0] / error[0]  # what the tables of the book use
    shown = (np.abs(drawn.mean(axis=1)) > bound * error).mean()
    assert power(gain, 1.0, seeds) == pytest.approx(shown, abs=0.011)


def test_seeds_of_textbooks():
    """Cohen's d of 0.5 and 0.8 take 34 and 15 pairs for 80%, two-sided at 5% (G*Power)."""
    assert (seeds_needed(0.5, 1.0), seeds_needed(0.8, 1.0)) == (34, 15)
    assert seeds_needed(5.0, 10.0) == 34


@settings(deadline=None, max_examples=25)
@given(st.floats(0.2, 3), st.floats(0.3, 2), st.sampled_from([0.5, 0.8, 0.95]))
def test_one_seed_less_does_not_suffice(gain, spread, wanted):
    seeds = seeds_needed(gain, spread, wanted=wanted)
    assert power(gain, spread, seeds) >= wanted
    assert seeds == 2 or power(gain, spread, seeds - 1) < wanted


def test_what_has_no_answer_is_refused():
    with pytest.raises(OptionError, match="one seed says nothing"):
        power(1, 1, 1)
    with pytest.raises(OptionError, match="spread is positive, got 0"):
        power(1, 0, 3)
    with pytest.raises(OptionError, match="more than 100 seeds"):
        seeds_needed(0.01, 1.0, at_most=100)
    with pytest.raises(OptionError, match="wanted is between 0 and 1"):
        seeds_needed(1, 1, wanted=1)


def test_spread_is_pooled_over_arms():
    table = pd.DataFrame(
        [("a", "mIoU", s, v) for s, v in enumerate([1.0, 3.0])]  # variance 2, one degree of freedom
        + [("b", "mIoU", s, v) for s, v in enumerate([0.0, 3.0, 6.0])]  # variance 9, two
        + [("c", "mIoU", 0, 5.0)],
        columns=["arm", "metric", "seed", "value"],
    )
    row = pooled_spread(table).loc["mIoU"]
    assert row["spread"] ** 2 == pytest.approx((2 + 18) / 3)
    assert (row["df"], row["arms"]) == (3, 2)
    assert row["low"] < row["spread"] < row["high"]
    assert row["high"] ** 2 == pytest.approx(20 / 0.2157953)  # chi2(0.025, 3), from a table
    assert pooled_spread(table[table["arm"] == "c"]).empty


def test_a_pair_that_two_experiments_compare_counts_once(tmp_path):
    store = RecordStore(tmp_path)
    evidence = recorded(store, "camvid", "imagenet", 0.05)
    options = {"start": "imagenet", "store": store}
    parts = Results("ablation_components", "camvid", "smoke", [0, 1], "never", **options)
    alone = paired_differences([evidence], ["mIoU"])
    assert len(alone) == 2 * (len(evidence.labels) - 1)
    assert alone.loc[alone["arm"] == "evidence/auc", "value"].tolist() == pytest.approx([5.0, 5.0])
    assert paired_differences([evidence, parts], ["mIoU"]).equals(alone)
    assert set(paired_differences([parts])["metric"]) == {"mIoU"}  # the tail of these records has no value
