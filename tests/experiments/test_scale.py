"""The plan for the papers' scale: against the printed numbers by hand, and against brute force."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest

from aucseg.errors import OptionError
from aucseg.experiments import (
    EXPERIMENTS,
    benchmark_table,
    evidence_order,
    published_cost,
    scale_runs,
    table_costs,
)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return scale_runs(("ade20k", "cityscapes"), (0,))


def test_printed_costs_are_those_of_the_papers():
    cost = published_cost()
    assert (cost.step, cost.step_aucseg) == (0.76, 1.62)
    assert (cost.memory, cost.memory_aucseg) == (13.29, 15.45)
    assert cost.blv == pytest.approx((21 * 60 + 7) / (20 * 60 + 11))


def test_hours_and_memory_by_hand(runs):
    """160,000 steps of 0.76 s on ADE20K; Cityscapes has two crops of four times the pixels."""
    table = runs[runs["experiment"] == "ablation_components"].set_index(["dataset", "arm"])
    plain, both = table.loc[("ade20k", "baseline")], table.loc[("ade20k", "both")]
    assert plain["hours"] == pytest.approx(160_000 * 0.76 / 3600)
    assert both["hours"] == pytest.approx(160_000 * 1.62 / 3600)
    assert (plain["memory_gb"], both["memory_gb"]) == (pytest.approx(13.29), pytest.approx(15.45))
    assert not plain["carried_over"]
    large = table.loc[("cityscapes", "baseline")]
    assert large["hours"] == pytest.approx(2 * 160_000 * 0.76 / 3600)
    assert large["memory_gb"] == pytest.approx(2 * 13.29)
    assert large["carried_over"]
    measured = benchmark_table("networks").set_index(["network", "encoder"])["step_ms"]
    stdc = runs.set_index(["experiment", "dataset", "arm"]).loc[("networks", "ade20k", "stdc")]
    ratio = measured["stdc", "stdc1"] / measured["segnext", "mscan_l"]
    assert stdc["hours"] == pytest.approx(160_000 * 0.76 * ratio / 3600)
    faster = scale_runs(("ade20k",), (0,), throughput=2.0)
    assert faster["hours"].sum() == pytest.approx(runs[runs["dataset"] == "ade20k"]["hours"].sum() / 2)
    with pytest.raises(OptionError, match="throughput is 0"):
        scale_runs(throughput=0)


def test_every_published_table_is_there(runs):
    left_out = set(runs.attrs["left_out"])
    assert set(runs["experiment"]) | left_out == {e.name for e in EXPERIMENTS.values() if e.table is not None}
    assert {"ablation_components", "networks", "long_tail_losses"} <= set(runs["experiment"])
    assert runs[["hours", "memory_gb"]].notna().all(axis=None)
    assert (runs["hours"] > 0).all()


def test_costs_of_tables_are_sums_of_their_runs(runs):
    costs = table_costs(runs, price=2.0)
    shared = runs.groupby("identity")["experiment"].nunique()
    for row in costs.itertuples():
        mine = runs[(runs["experiment"] == row.experiment) & (runs["dataset"] == row.dataset)]
        mine = {run.identity: run.hours for run in mine.itertuples()}
        assert row.runs == len(mine)
        assert row.shared == sum(shared[identity] > 1 for identity in mine)
        assert row.hours == pytest.approx(sum(mine.values()))
        assert row.price == pytest.approx(2 * row.hours)


def test_the_order_pays_for_each_run_once_and_takes_the_best_next(runs):
    """Each step is compared with every table that could have been next."""
    order = evidence_order(runs, price=0.5)
    once = runs.drop_duplicates("identity")
    assert order["hours"].iloc[-1] == pytest.approx(once["hours"].sum())
    assert order["new_runs"].sum() == len(once)
    assert order["price"].iloc[-1] == pytest.approx(0.5 * once["hours"].sum())
    assert all(a <= b for a, b in pairwise(order["hours"]))
    hours = dict(zip(once["identity"], once["hours"], strict=True))
    wants = {key: set(part["identity"]) for key, part in runs.groupby(["experiment", "dataset"])}
    have: set[str] = set()
    for row in order.itertuples():
        rate = {}
        for (experiment, dataset), identities in wants.items():
            time = sum(hours[identity] for identity in identities - have)
            rate[experiment, dataset] = (
                len(EXPERIMENTS[experiment].comparisons) / time if time else float("inf")
            )
        key = (row.experiment, row.dataset)
        assert rate[key] == pytest.approx(max(rate.values()))
        assert row.new_hours == pytest.approx(sum(hours[identity] for identity in wants[key] - have))
        have |= wants.pop(key)


def test_what_is_recorded_is_free(runs):
    some = runs[(runs["experiment"] == "networks") & (runs["dataset"] == "cityscapes")]
    order = evidence_order(runs, some["identity"])
    first = order.iloc[0]
    assert (first["experiment"], first["dataset"], first["new_hours"]) == ("networks", "cityscapes", 0.0)
