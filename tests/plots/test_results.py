from __future__ import annotations

import math

import pandas as pd
import pytest

from aucseg import plots
from aucseg.experiments import get_experiment, side_by_side

EXPERIMENT = get_experiment("ablation_components")
LABELS = {arm.name: arm.label for arm in EXPERIMENT.arms}


@pytest.fixture
def table():
    rows = [
        (arm, seed, metric, value + seed)
        for arm, value in [("baseline", 10.0), ("auc", 12.0)]
        for seed in range(3)
        for metric in ("mIoU", "mIoU_tail")
    ]
    return side_by_side(EXPERIMENT, pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"]))


def test_table_says_what_was_not_run_and_not_published(table):
    styled = plots.comparison_table(table, LABELS, metrics=("mIoU", "mIoU_head"), caption="caption")
    frame = styled.data
    assert frame.loc["+ AUC", ("overall", "measured")] == "13.00 ± 2.48"
    assert frame.loc["+ AUC", ("overall", "published")] == "48.46"
    assert frame.loc["+ bank", ("overall", "measured")] == "not run"
    assert ("head", "published") not in frame.columns  # Table 3 prints no head column
    assert "caption" in styled.to_html()


def test_measured_table():
    summary = pd.DataFrame(
        [("a", "mIoU", 1.0, 0.5, 3), ("b", "mIoU", 2.0, math.nan, 1)],
        columns=["arm", "metric", "mean", "half", "n"],
    )
    frame = plots.measured_table(summary, {"a": "A", "b": "B", "c": "C"}, metrics=["mIoU"]).data
    assert frame["overall"].tolist() == ["1.00 ± 0.50", "2.00", "not run"]


def test_effect_plot_draws_measured_and_published_where_they_are(table):
    figure = plots.effect_plot(table, LABELS, baseline="baseline", metrics=("mIoU", "mIoU_tail"))
    panel = figure.axes[0]
    drawn = [tuple(map(float, line.get_xydata()[0])) for line in panel.lines if len(line.get_xdata()) == 1]
    assert (2.0, 0.0) in drawn  # measured: +2 for the first arm below the baseline
    assert any(x == pytest.approx(1.01) and y == 0 for x, y in drawn)  # published
    assert [text.get_text() for text in panel.get_yticklabels()] == ["+ AUC", "+ bank", "AUCSeg (both)"]


def test_class_bars_are_means_over_seeds():
    iou = pd.DataFrame(
        [
            (arm, seed, name, "tail", 10 * seed)
            for arm in ("baseline", "auc")
            for seed in (0, 1)
            for name in "ab"
        ],
        columns=["arm", "seed", "class", "group", "iou"],
    )
    ax = plots.class_bars(iou, {"baseline": "x", "auc": "y"}, order=["b", "a"])
    heights = [patch.get_height() for container in ax.containers for patch in container]
    assert heights == [5.0] * 4
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["b", "a"]


def test_learning_curves_leave_out_runs_without_the_quantity():
    ax = plots.learning_curves({"x": {"step": [1, 2], "auc": [3, 4]}, "y": {"step": [1]}}, "auc")
    assert [line.get_label() for line in ax.lines] == ["x"]
    assert not math.isnan(ax.lines[0].get_ydata()[0])
