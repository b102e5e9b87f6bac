"""What a record says of its pseudo-labels, beside numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from aucseg.experiments import distance_of_shares, estimated_shares, pseudo_label_shares
from aucseg.experiments.store import RecordStore
from aucseg.training import Record
from tests.repository import ROOT

NAMES = ("road", "car", "rider")


@pytest.fixture(scope="module")
def told() -> Record:
    """A record of three classes, with pseudo-labels of two stretches and two estimates."""
    path = sorted((ROOT / "data" / "records" / "laptop").glob("*.json"))[0]
    record = Record.read(path)
    by_class = {name: dict.fromkeys(NAMES, 0.5) for name in ("iou", "accuracy")}
    pixels = {
        "labelled": [60, 30, 10],
        "unlabelled": [120, 60, 20],
        "step": [5, 10],
        "truth": [[50, 60], [40, 30], [10, 10]],
        "predicted": [[80, 70], [20, 30], [0, 0]],
        "counted": [[40, 60], [0, 20], [0, 0]],
        "right": [[45, 55], [15, 25], [0, 0]],
        "counted_right": [[30, 54], [0, 18], [0, 0]],
        "counted_truth": [[30, 54], [8, 21], [2, 5]],
        "estimated_step": [5, 10],
        "estimated": [[150, 130], [50, 69], [0, 1]],
    }
    method = {
        row: values if row.endswith("step") else dict(zip(NAMES, values, strict=True))
        for row, values in pixels.items()
    }
    dataset = record.dataset | {"classes": list(NAMES), "groups": ["head", "middle", "tail"]}
    metrics = {k: v for k, v in record.metrics.items() if not isinstance(v, dict)} | by_class
    return record.model_copy(update={"method": method, "dataset": dataset, "metrics": metrics})


def test_shares_of_a_stretch(told):
    table = pseudo_label_shares(told).set_index(["step", "class"])
    assert table.loc[5, "truth"].tolist() == [50, 40, 10]
    assert table.loc[5, "predicted"].tolist() == [80, 20, 0]
    assert table.loc[10, "counted"].tolist() == [75, 25, 0]
    assert table.loc[10, "kept"].tolist() == pytest.approx([90, 70, 50])
    assert table.loc[(10, "road"), "precision"] == pytest.approx(90)
    assert np.isnan(table.loc[(5, "car"), "precision"])  # none of it counts
    assert table.loc[5, "recall"].tolist() == pytest.approx([90, 37.5, 0])
    assert table.loc[5, "group"].tolist() == ["head", "middle", "tail"]


def test_what_nobody_knows_is_no_number(told):
    nothing = {name: [0, 0] for name in NAMES}
    blind = dict.fromkeys(("truth", "right", "counted_right", "counted_truth"), nothing)
    record = told.model_copy(update={"method": told.method | blind | {"unlabelled": None}})
    table = pseudo_label_shares(record)
    assert table[["truth", "kept", "precision", "recall"]].isna().all(axis=None)
    assert table["predicted"].notna().all()
    assert estimated_shares(record)["truth"].isna().all()


def test_estimates_beside_the_truth(told):
    table = estimated_shares(told).set_index(["step", "class"])
    assert table.loc[5, "estimated"].tolist() == [75, 25, 0]
    assert table.loc[10, "truth"].tolist() == [60, 30, 10]
    assert table.loc[10, "labelled"].tolist() == [60, 30, 10]
    assert distance_of_shares(table.loc[5, "estimated"], table.loc[5, "truth"]) == pytest.approx(15)


def test_a_distance_is_half_of_all_differences():
    assert distance_of_shares(pd.Series([1.0, 0.0]), pd.Series([0.0, 1.0])) == 1
    assert distance_of_shares(pd.Series([30, 70]), pd.Series([30, 70])) == 0


def test_a_run_without_a_teacher_has_none():
    record = next(iter(RecordStore()))
    plain = record.model_copy(update={"method": None})
    for made in (pseudo_label_shares(plain), estimated_shares(plain)):
        assert made.empty
        assert "class" in made
