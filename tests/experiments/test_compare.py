from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aucseg.experiments import (
    Arm,
    PublishedError,
    effects,
    get_experiment,
    interval,
    published_datasets,
    published_effects,
    published_table,
    side_by_side,
    summarise,
)


def frame(values: dict[str, list[float]], metric: str = "mIoU_tail") -> pd.DataFrame:
    return pd.DataFrame(
        [(arm, seed, metric, v) for arm, vs in values.items() for seed, v in enumerate(vs)],
        columns=["arm", "seed", "metric", "value"],
    )


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12), st.floats(0.5, 0.99))
def test_interval_is_scipys(values, level):
    mean, half, n = interval(values, level)
    scale = stats.sem(values)
    if scale > 1e-9:
        low, high = stats.t.interval(level, n - 1, loc=np.mean(values), scale=scale)
        assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-6, abs=1e-6)


def test_interval_of_few_values():
    assert interval([])[2] == 0
    mean, half, n = interval([3.0])
    assert (mean, n) == (3.0, 1)
    assert math.isnan(half)
    with pytest.raises(ValueError, match="level"):
        interval([1, 2], level=1)


def test_effects_are_paired_by_seed():
    # Seeds differ by 10, the arm always adds 1: paired, the interval is empty.
    table = effects(frame({"baseline": [10, 20, 30], "auc": [11, 21, 31]}), "baseline")
    assert table[["arm", "mean", "half", "n"]].to_numpy().tolist() == [["auc", 1.0, 0.0, 3]]


def test_effects_use_only_common_seeds_and_survive_a_missing_baseline():
    table = effects(frame({"baseline": [10, 20], "auc": [11, 22, 500]}), "baseline")
    assert table.loc[0, "mean"] == 1.5
    assert effects(frame({"auc": [1.0]}), "baseline").empty


def test_published_table_3_is_what_the_paper_prints():
    table = published_effects(get_experiment("ablation_components")).set_index(["arm", "metric"])
    assert table.loc[("baseline", "mIoU"), "value"] == 47.45
    # 5.4 of the paper: +1.01 and +1.42 for AUC, +1.75 and +2.24 for both.
    assert table.loc[("auc", "mIoU"), "effect"] == pytest.approx(1.01)
    assert table.loc[("auc", "mIoU_tail"), "effect"] == pytest.approx(1.42)
    assert table.loc[("both", "mIoU"), "effect"] == pytest.approx(1.75)
    assert table.loc[("both", "mIoU_tail"), "effect"] == pytest.approx(2.24)


def test_published_table_15_has_a_column_of_its_own_and_three_data_sets():
    experiment = get_experiment("surrogates")
    assert published_datasets(experiment) == ("ADE20K", "Cityscapes", "COCO-Stuff 164K")
    printed = published_table("aucseg", "table_15").dropna(subset="printed_gain")
    for dataset, rows in printed.groupby("dataset"):
        table = published_effects(experiment, dataset).set_index(["arm", "metric"])
        assert len(table) == 8  # the logistic arm is not in the paper
        for row in rows.itertuples():
            metric = {"overall": "mIoU", "tail": "mIoU_tail"}[row.split]
            assert table.loc[(row.surrogate, metric), "effect"] == pytest.approx(row.printed_gain)
    assert published_effects(experiment).equals(published_effects(experiment, "ADE20K"))


def test_published_table_16_compares_with_one_vs_one():
    experiment = get_experiment("multiclass")
    table = published_effects(experiment, "Cityscapes").set_index(["arm", "metric"])
    assert table.loc[("ova", "mIoU_tail"), "effect"] == pytest.approx(80.79 - 81.67)
    assert set(table.index.get_level_values("arm")) == {"ovo", "ova"}  # ova_sum is not printed


def test_side_by_side_takes_the_data_set():
    measured = frame({"none": [10, 11], "hinge": [12, 13]})
    table = side_by_side(get_experiment("surrogates"), measured, dataset="COCO-Stuff 164K")
    row = table[(table["arm"] == "hinge") & (table["metric"] == "mIoU_tail")].iloc[0]
    assert row["published"] == 40.49
    assert row["sign"] == "agrees"


def test_nothing_is_published_for_the_queue():
    assert published_datasets(get_experiment("queue")) == ()
    assert published_effects(get_experiment("queue")).empty


def test_unknown_published_data_set_and_arm():
    experiment = get_experiment("multiclass")
    with pytest.raises(PublishedError, match=r"nothing for 'Cityscape'.*'Cityscapes'"):
        published_effects(experiment, "Cityscape")
    strange = replace(experiment, arms=(Arm("ovo", "ovo", {}, "one-vs-one"),))
    with pytest.raises(PublishedError, match=r"no column of table_16 .* holds all of one-vs-one"):
        published_effects(strange)


def test_unknown_published_table():
    with pytest.raises(PublishedError, match="table_99"):
        published_table("aucseg", "table_99")


@pytest.mark.parametrize(
    ("auc", "sign"),
    [([12, 13, 12.5], "agrees"), ([8, 7, 7.5], "disagrees"), ([9, 12, 10], "open"), ([12], "")],
)
def test_sign_of_the_effect(auc, sign):
    table = side_by_side(
        get_experiment("ablation_components"), frame({"baseline": [10, 10.1, 9.9], "auc": auc})
    )
    row = table[(table["arm"] == "auc") & (table["metric"] == "mIoU_tail")].iloc[0]
    assert row["sign"] == sign


def test_nothing_measured_still_shows_what_is_published():
    table = side_by_side(get_experiment("ablation_components"), frame({}))
    assert len(table) == 8
    assert table["mean"].isna().all()


def test_summarise_keeps_arms_apart():
    table = summarise(frame({"baseline": [1, 3], "auc": [5, 5]})).set_index("arm")
    assert table.loc["baseline", "mean"] == 2
    assert table.loc["auc", "half"] == 0
