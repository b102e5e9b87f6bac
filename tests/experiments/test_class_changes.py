"""Frequency, accuracy and change of each class, on records made by hand and on the recorded runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aucseg.experiments import (
    class_change,
    class_results,
    frequency_correlation,
    frequency_results,
    mean_class_change,
)
from aucseg.training import Record
from tests.longtail.tallies import sums
from tests.repository import ROOT

NAMES, GROUPS = ("road", "car", "bus", "bike"), ("head", "middle", "tail", "tail")
STATISTICS = sums(NAMES, GROUPS, [50, 900, 7, 0], [5, 9, 2, 0], 10)


def record(iou: dict[str, float | None], accuracy: dict[str, float | None]) -> Record:
    whole = Record.read(next((ROOT / "data/records/laptop").glob("*.json")))
    dataset = whole.dataset | {"classes": list(iou), "groups": list(GROUPS)}
    return whole.model_copy(update={"dataset": dataset, "metrics": {"iou": iou, "accuracy": accuracy}})


BEFORE = record(
    {"road": 0.5, "car": 0.75, "bus": 0.25, "bike": None}, {"road": 0.5, "car": 0.9, "bus": 0.1, "bike": None}
)
AFTER = record(
    {"road": 0.5, "car": 0.5, "bus": 0.5, "bike": 0.0}, {"road": 0.75, "car": 0.5, "bus": 0.5, "bike": None}
)


def test_results_and_change_by_hand() -> None:
    table = class_results(BEFORE)
    assert table["iou"].tolist() == pytest.approx([50, 75, 25, np.nan], nan_ok=True)
    change = class_change(STATISTICS, BEFORE, AFTER)
    assert change["class"].tolist() == ["car", "road", "bus", "bike"]
    assert change["iou_change"].tolist() == pytest.approx([-25, 0, 25, np.nan], nan_ok=True)
    assert change["accuracy_change"].tolist() == pytest.approx([-40, 25, 40, np.nan], nan_ok=True)
    assert change["group"].tolist() == ["middle", "head", "tail", "tail"]


def test_correlation_is_that_of_scipy_over_the_known_classes() -> None:
    table = frequency_correlation(STATISTICS, BEFORE).set_index(["unit", "metric"])
    expected = stats.pearsonr([50, 900, 7], [0.5, 0.9, 0.1]).statistic
    assert table.loc[("pixel", "accuracy"), "pearson_percent"] == pytest.approx(100 * expected)
    expected = stats.pearsonr([5, 9, 2], [0.5, 0.75, 0.25]).statistic
    assert table.loc[("region", "iou"), "pearson_percent"] == pytest.approx(100 * expected)
    expected = stats.pearsonr(np.log([5, 9, 2]), [0.5, 0.75, 0.25]).statistic
    assert table.loc[("region", "iou"), "pearson_percent_log"] == pytest.approx(100 * expected)


def test_other_order_and_other_classes() -> None:
    turned = {name: BEFORE.metrics["iou"][name] for name in NAMES[::-1]}
    other = record(turned, dict(turned))
    found = frequency_results(STATISTICS, other).set_index("class")["pixels"]
    assert found.to_dict() == dict(zip(NAMES, STATISTICS.pixels.tolist(), strict=True))
    with pytest.raises(ValueError, match=r"differ in classes such as 'bus'"):
        class_change(sums(("road", "car", "van", "bike"), GROUPS, [1] * 4, [1] * 4, 10), BEFORE, AFTER)


def test_mean_change_over_two_seeds_by_hand() -> None:
    """Car: -25 and 25 points, two values whose Student interval is 12.7062 times their standard error."""
    table = mean_class_change(STATISTICS, [(BEFORE, AFTER), (AFTER, BEFORE)]).set_index("class")
    assert table.loc["car", "iou_change"] == 0
    assert table.loc["car", "iou_change_half"] == pytest.approx(12.7062 * 25, rel=1e-5)
    assert table.loc["road", ["iou_change", "iou_change_half"]].tolist() == [0, 0]
    assert np.isnan(table.loc["bike", "accuracy_change"])
    single = mean_class_change(STATISTICS, [(BEFORE, AFTER)])
    assert single["iou_change"].tolist() == pytest.approx([-25, 0, 25, np.nan], nan_ok=True)
    assert single["iou_change_half"].isna().all()
    with pytest.raises(ValueError, match="at least one pair"):
        mean_class_change(STATISTICS, [])
