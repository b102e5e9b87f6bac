from __future__ import annotations

import pandas as pd
import pytest

from aucseg import plots
from aucseg.experiments import get_experiment, published_datasets, side_by_side

EXPERIMENT = get_experiment("surrogates")
LABELS = {arm.name: arm.label for arm in EXPERIMENT.arms}


def tables(**arms: float) -> dict[str, pd.DataFrame]:
    """An experiment with three seeds; the arms differ from cross entropy by what is given."""
    rows = [
        (arm, seed, metric, 10.0 + seed + value + 0.01 * seed)
        for arm, value in {"none": 0.0, **arms}.items()
        for seed in range(3)
        for metric in ("mIoU", "mIoU_tail")
    ]
    measured = pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])
    return {d: side_by_side(EXPERIMENT, measured, dataset=d) for d in published_datasets(EXPERIMENT)}


def test_table_has_a_column_for_each_data_set():
    found = tables(hinge=2.0, exp=-1.0, logistic=1.0)
    styled = plots.effects_by_dataset(
        found, LABELS, baseline="none", metrics=["mIoU", "mIoU_tail"], caption="caption"
    )
    frame = styled.data
    assert list(frame) == ["ADE20K", "Cityscapes", "COCO-Stuff 164K", "measured", "effect", "sign"]
    hinge = frame.loc[("overall", LABELS["hinge"])]
    assert hinge.tolist()[:3] == ["48.59 (+1.14)", "82.64 (+0.23)", "42.52 (+0.10)"]
    assert hinge["effect"].startswith("+2.00 ±")
    assert hinge["sign"] == "agrees"
    assert frame.loc[("tail", LABELS["exp"]), "sign"] == "disagrees"
    none = frame.loc[("tail", LABELS["none"])]
    assert (none["ADE20K"], none["effect"], none["sign"]) == ("43.28", "", "")
    assert frame.loc[("tail", LABELS["square"]), "measured"] == "not run"
    logistic = frame.loc[("overall", LABELS["logistic"])]
    assert (logistic["ADE20K"], logistic["sign"]) == ("–", "")
    assert "caption" in styled.to_html()


def test_sign_where_the_data_sets_disagree():
    found = tables(hinge=2.0)
    name = "Cityscapes"
    rows = found[name]["arm"].eq("hinge")
    found[name] = found[name].assign(sign=found[name]["sign"].mask(rows, "disagrees"))
    frame = plots.effects_by_dataset(found, LABELS, baseline="none", metrics=["mIoU"]).data
    assert frame.loc[("overall", LABELS["hinge"]), "sign"] == "agrees with 2 of 3"


def test_plot_draws_every_published_effect_and_the_measured_one():
    figure = plots.effect_plot_by_dataset(
        tables(hinge=2.0), LABELS, baseline="none", metrics=["mIoU", "mIoU_tail"]
    )
    panel = figure.axes[0]
    drawn = [float(line.get_xdata()[0]) for line in panel.lines if len(line.get_xdata()) == 1]
    for value in (2.0, 1.14, 0.23, 0.10):
        assert any(x == pytest.approx(value, abs=0.02) for x in drawn), value
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["measured, 95% interval", *(f"published, {d}" for d in published_datasets(EXPERIMENT))]


def test_plot_of_an_experiment_without_published_numbers():
    queue = get_experiment("queue")
    measured = pd.DataFrame(
        [("auc", 0, "mIoU", 1.0), ("both", 0, "mIoU", 3.0)], columns=["arm", "seed", "metric", "value"]
    )
    figure = plots.effect_plot_by_dataset(
        {"": side_by_side(queue, measured)},
        {arm.name: arm.label for arm in queue.arms},
        baseline="auc",
        metrics=["mIoU"],
    )
    assert len(figure.legends[0].get_texts()) == 1
    assert any(float(line.get_xdata()[0]) == 2.0 for line in figure.axes[0].lines)
