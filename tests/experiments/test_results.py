from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aucseg.experiments import (
    STARTS,
    RecordStore,
    Results,
    across,
    differences_in_words,
    effects,
    get_experiment,
    in_words,
    interval,
    paired_difference,
    published_datasets,
    side_by_side,
    summarise,
)
from aucseg.training import ConfigError
from tests.training.test_record import make_record


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


def test_side_by_side_takes_the_data_set():
    measured = frame({"none": [10, 11], "hinge": [12, 13]})
    table = side_by_side(get_experiment("surrogates"), measured, dataset="COCO-Stuff 164K")
    row = table[(table["arm"] == "hinge") & (table["metric"] == "mIoU_tail")].iloc[0]
    assert row["published"] == 40.49
    assert row["sign"] == "agrees"


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


def test_what_a_single_run_could_not_have_shown_is_below_noise():
    """The paper's AUC adds 1.42 to the tail in one run: where runs differ by more, it says nothing."""
    base, printed = [10.0, 10.0, 10.0, 10.0], 1.42
    experiment = get_experiment("ablation_components")
    for spread, sign in ((1.2, "agrees"), (1.25, "below noise")):
        gains = [5 - spread, 5 + spread, 5 - spread, 5 + spread]  # their standard deviation is 1.155 of it
        table = side_by_side(experiment, frame({"baseline": base, "auc": [10 + g for g in gains]}))
        row = table[(table["arm"] == "auc") & (table["metric"] == "mIoU_tail")].iloc[0]
        assert row["published_effect"] == pytest.approx(printed)
        assert row["sign"] == sign
        assert (spread * math.sqrt(4 / 3) > printed) == (sign == "below noise")


def test_a_seed_that_is_given_twice_is_refused():
    measured = frame({"baseline": [10, 11], "auc": [12, 13]})
    with pytest.raises(ConfigError, match="mIoU_tail of arm 'auc' with seed 1 is given twice"):
        effects(pd.concat([measured, measured.tail(1)]), "baseline")


def test_nothing_measured_still_shows_what_is_published():
    table = side_by_side(get_experiment("ablation_components"), frame({}))
    assert len(table) == 8
    assert table["mean"].isna().all()


def test_summarise_keeps_arms_apart():
    table = summarise(frame({"baseline": [1, 3], "auc": [5, 5]})).set_index("arm")
    assert table.loc["baseline", "mean"] == 2
    assert table.loc["auc", "half"] == 0


def _measured(**values: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (arm, seed, metric, value + (metric == "mIoU"))
            for metric in ("mIoU", "mIoU_tail")
            for arm, row in values.items()
            for seed, value in enumerate(row)
        ],
        columns=["arm", "seed", "metric", "value"],
    )


def test_difference_is_paired_by_seed():
    measured = _measured(baseline=[10.0, 20.0], auc=[11.0, 23.0])
    # differences 1 and 3: mean 2, t(0.975, 1) * sqrt(2) / sqrt(2) = 12.7062
    assert paired_difference(measured, "auc", "baseline") == pytest.approx((2.0, 12.7062), abs=1e-4)


def test_difference_of_one_seed_and_of_none():
    measured = _measured(baseline=[10.0], auc=[11.0], bank=[])
    mean, half = paired_difference(measured, "auc", "baseline")
    assert mean == 1
    assert math.isnan(half)
    assert paired_difference(measured, "bank", "baseline") is None
    assert paired_difference(measured, "auc", "bank") is None


@pytest.mark.parametrize(
    ("value", "words"),
    [((-2.0, 0.5), "less"), ((0.1, 0.5), "undecided"), ((0.1, math.nan), "one seed"), (None, "not run")],
)
def test_in_words(value, words):
    assert words in in_words(value)


def test_list_of_differences_to_one_arm():
    text = differences_in_words(
        get_experiment("ablation_components"), _measured(baseline=[1.0, 2.0], auc=[2.0, 3.0]), "baseline"
    )
    assert text.startswith("Less *cross entropy*")
    assert "- + AUC: +1.00 ± 0.00, more (+1.00 ± 0.00, more)" in text
    assert "- + bank: not run (not run)" in text


def test_list_of_pairs_names_what_each_arm_is_compared_with():
    measured = _measured(emanet=[1.0, 2.0], emanet_aucseg=[3.0, 4.0])
    text = differences_in_words(get_experiment("backbones"), measured, arms=["emanet_aucseg"])
    assert text.splitlines()[2:] == [
        "- EMANet + AUCSeg less *EMANet*: +2.00 ± 0.00, more (+2.00 ± 0.00, more)"
    ]


def test_a_list_says_which_two_metrics_it_is_of():
    measured = _measured(baseline=[1.0, 2.0], auc=[2.0, 3.0])
    experiment, metrics = get_experiment("ablation_components"), {"mIoU_tail": "tail", "mIoU": "everything"}
    assert differences_in_words(experiment, measured).startswith("All classes and (tail), paired by seed:")
    told = differences_in_words(experiment, measured, metrics=metrics)
    assert told.startswith("Tail and (everything), paired by seed:")
    told = differences_in_words(experiment, measured, "baseline", metrics=metrics)
    assert told.startswith("Less *cross entropy*, paired by seed, tail and (everything):")


@pytest.fixture(scope="module")
def ablation() -> Results:
    """The committed runs of the ablation; nothing is trained."""
    return Results("ablation_components", compute="never")


def test_results_hold_every_run_of_the_profiles_seeds(ablation):
    assert (ablation.dataset, ablation.profile, ablation.seeds) == ("streets", "laptop", (0, 1, 2, 3, 4))
    assert ablation.status == "ablation_components on streets: 20 of 20 runs"
    assert ablation.scale == "laptop, 5 seeds"
    assert not ablation.empty
    assert Results("ablation_components", compute="never", at_most=2).seeds == (0, 1)
    assert Results("ablation_components", seeds=[3], compute="never").scale == "laptop, 1 seed"


def test_results_are_the_records_in_percent(ablation):
    record = ablation.record("auc", 2)
    assert record.identity == ablation.config("auc", 2).identity
    measured = ablation.tidy.set_index(["arm", "seed", "metric"])["value"]
    assert measured["auc", 2, "mIoU"] == 100 * record.metrics["mIoU"]
    classes = ablation.classes.set_index(["arm", "seed", "class"])
    assert classes.loc[("auc", 2, "pole"), "iou"] == 100 * record.metrics["iou"]["pole"]
    assert classes.loc[("auc", 2, "pole"), "group"] == record.dataset["groups"][5]


def test_an_effect_is_the_mean_of_the_differences_of_records(ablation):
    def tail(arm, seed):
        return 100 * ablation.record(arm, seed).metrics["mIoU_tail"]

    by_hand = np.array([tail("both", seed) - tail("bank", seed) for seed in ablation.seeds])
    mean, half = ablation.difference("both", "bank")
    assert mean == pytest.approx(by_hand.mean())
    assert half == pytest.approx(2.776445 * by_hand.std(ddof=1) / math.sqrt(5), rel=1e-6)  # t(0.975, 4)
    found = ablation.effects("bank").set_index(["arm", "metric"]).loc[("both", "mIoU_tail")]
    assert (found["mean"], found["half"], found["n"]) == (mean, half, 5)
    assert f"AUCSeg (both): {in_words(ablation.difference('both', 'bank', 'mIoU'))}" in ablation.words("bank")


def test_pairs_are_of_one_seed_and_both_recorded(ablation):
    pairs = ablation.pairs("both")
    assert [after for _, after in pairs] == [ablation.record("both", seed) for seed in ablation.seeds]
    assert [before for before, _ in pairs] == [ablation.record("baseline", seed) for seed in ablation.seeds]
    lacking = dict(ablation.records) | {ablation.config("auc", 1).identity: None}
    shown = copy.copy(ablation)
    shown.records = lacking
    seeds = [before.run_config.seed for before, _ in shown.pairs("both", "auc")]
    assert seeds == [seed for seed in ablation.seeds if seed != 1]


def test_beside_each_data_set_of_the_papers_table():
    results = Results("multiclass", compute="never")
    tables = results.beside_each()
    assert tuple(tables) == published_datasets(results.experiment)
    assert len(tables) == 3
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, side_by_side(results.experiment, results.tidy, dataset=name))
    pd.testing.assert_frame_equal(results.beside(), tables["ADE20K"])


def test_a_sweep_over_a_number():
    results = Results("memory_size", compute="never", at_most=1)
    values = results.values(lambda config: config.bank.memory_size)
    assert values.keys() == results.labels.keys()
    curve = results.curve("ADE20K")
    assert set(curve["value"]) <= set(values.values())
    assert curve.query("value == 1 and metric == 'mIoU'")["printed"].item() == 48.46


def test_no_such_run(ablation):
    with pytest.raises(ConfigError, match=r"no run of arm 'auc' with seed 7; arms: baseline, auc"):
        ablation.record("auc", 7)


def test_an_absent_data_set_is_said_and_records_are_shown(tmp_path, monkeypatch):
    for name in ("AUCSEG_HOME", "AUCSEG_SHARED"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    results = Results("ablation_components", "camvid", "laptop", store=RecordStore(tmp_path))
    assert results.empty
    assert "0 of 12 runs; no more can be trained here: data set 'camvid' not found" in results.status
    monkeypatch.undo()
    assert results.beside()["mean"].isna().all()


def recorded(store: RecordStore, dataset: str, start: str | None, gain: float) -> Results:
    """Two seeds of each arm: AUC adds its gain to cross entropy."""
    for run in get_experiment("evidence").runs(dataset, "smoke", [0, 1], start=start):
        value = 0.3 + 0.1 * run.config.seed + (gain if run.arm.name == "auc" else 0.0)
        config = run.config
        made = make_record(miou=value).model_copy(
            update={
                "identity": config.identity,
                "profile": config.profile,
                "config": config.resolved().model_dump(mode="json"),
            }
        )
        store.put(made)
    return Results("evidence", dataset, "smoke", [0, 1], compute="never", start=start, store=store)


def test_a_start_is_an_axis_and_a_table_has_one(tmp_path):
    store = RecordStore(tmp_path)
    random, imagenet = (recorded(store, "camvid", start, 0.0) for start in STARTS)
    assert not set(random.records) & set(imagenet.records)
    count = len(imagenet.labels)
    assert imagenet.status == f"evidence on camvid from ImageNet weights: {2 * count} of {2 * count} runs"
    assert imagenet.scale == "smoke, from ImageNet weights, 2 seeds"
    own = Results("evidence", "camvid", "smoke", [0], compute="never", store=store)
    assert own.status == f"evidence on camvid: 0 of {count} runs"


def test_tables_of_data_sets_and_starts_under_one_another(tmp_path):
    store = RecordStore(tmp_path)
    gains = {("camvid", "random"): 0.05, ("camvid", "imagenet"): -0.02, ("ccp", "random"): 0.01}
    table = across(recorded(store, *place, gain) for place, gain in gains.items())
    auc = table[(table["arm"] == "auc") & (table["metric"] == "mIoU")].set_index(["dataset", "start"])
    for place, gain in gains.items():
        assert auc.loc[place, "effect"] == pytest.approx(100 * gain)
        assert auc.loc[place, "sign"] == ("agrees" if gain > 0 else "disagrees")  # the paper's AUC adds
    assert across([]).empty
    mixed = Results("surrogates", "streets", "smoke", [0], compute="never", store=store)
    with pytest.raises(ConfigError, match="evidence at smoke, surrogates at smoke"):
        across([recorded(store, "ccp", "random", 0.0), mixed])


def test_arms_without_a_record_are_named_in_one_sentence(tmp_path: Path) -> None:
    results = Results("ablation_components", "streets", "laptop", [0], "never")
    assert list(results.recorded) == list(results.labels)
    assert results.not_run == ""
    nothing = Results("ablation_components", seeds=[0], compute="never", store=RecordStore(tmp_path))
    assert nothing.recorded == {}
    assert nothing.not_run.startswith("Not run yet: all of it. `aucseg sweep ablation_components`")
    some = Results("ablation_components", seeds=[0], compute="never", store=RecordStore(tmp_path))
    one = some.runs[1]
    some.records[one.config.identity] = results.records[one.config.identity]
    assert list(some.recorded) == [one.arm.name]
    assert f"Not run yet: {some.labels['baseline']}; {some.labels['bank']};" in some.not_run
