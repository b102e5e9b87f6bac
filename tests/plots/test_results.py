from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from aucseg import plots
from aucseg.experiments import get_experiment, published_datasets, side_by_side

EXPERIMENT = get_experiment("ablation_components")
LABELS = {arm.name: arm.label for arm in EXPERIMENT.arms}
SURROGATES = get_experiment("surrogates")
SURROGATE_LABELS = {arm.name: arm.label for arm in SURROGATES.arms}


def tables(**arms: float) -> dict[str, pd.DataFrame]:
    """An experiment with three seeds; the arms differ from cross entropy by what is given."""
    rows = [
        (arm, seed, metric, 10.0 + seed + value + 0.01 * seed)
        for arm, value in {"none": 0.0, **arms}.items()
        for seed in range(3)
        for metric in ("mIoU", "mIoU_tail")
    ]
    measured = pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])
    return {d: side_by_side(SURROGATES, measured, dataset=d) for d in published_datasets(SURROGATES)}


@pytest.fixture
def table():
    rows = [
        (arm, seed, metric, value + seed)
        for arm, value in [("baseline", 10.0), ("auc", 12.0)]
        for seed in range(3)
        for metric in ("mIoU", "mIoU_tail")
    ]
    return side_by_side(EXPERIMENT, pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"]))


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


def test_plot_draws_every_published_effect_and_the_measured_one():
    figure = plots.effect_plot_by_dataset(
        tables(hinge=2.0), SURROGATE_LABELS, baseline="none", metrics=["mIoU", "mIoU_tail"]
    )
    panel = figure.axes[0]
    drawn = [float(line.get_xdata()[0]) for line in panel.lines if len(line.get_xdata()) == 1]
    for value in (2.0, 1.14, 0.23, 0.10):
        assert any(x == pytest.approx(value, abs=0.02) for x in drawn), value
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["measured, 95% interval", *(f"published, {d}" for d in published_datasets(SURROGATES))]


def test_ends_of_axes_are_those_of_what_is_drawn():
    """Both plots of effects: zero, every interval and published effect of a panel, and a twentieth more."""
    both = tables(hinge=2.0)
    first = next(iter(both.values()))
    options = {"baseline": "none", "metrics": ["mIoU"]}
    arms = [arm for arm in SURROGATE_LABELS if arm != "none"]

    def ends(shown):
        found = [0.0]
        for table in shown:
            for row in table[(table["metric"] == "mIoU") & table["arm"].isin(arms)].itertuples():
                half = 0.0 if math.isnan(row.effect_half) else row.effect_half
                found += [x for x in (row.effect - half, row.effect + half, row.published_effect) if x == x]
        room = 0.05 * (max(found) - min(found))
        return pytest.approx((min(found) - room, max(found) + room))

    assert plots.effect_plot(first, SURROGATE_LABELS, **options).axes[0].get_xlim() == ends([first])
    several = plots.effect_plot_by_dataset(both, SURROGATE_LABELS, **options)
    assert several.axes[0].get_xlim() == ends(both.values())


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


def test_curves_are_sorted_by_the_parameter_and_keep_to_their_panel():
    table = pd.DataFrame(
        [("b", "mIoU", 40.0, 1.0, 3), ("a", "mIoU", 42.0, 2.0, 3), ("other", "mIoU", 9.0, 1.0, 3)],
        columns=["arm", "metric", "mean", "half", "n"],
    )
    published = pd.DataFrame({"value": [5, 1], "metric": ["mIoU", "mIoU"], "printed": [49.2, 48.5]})
    figure = plots.parameter_curves(
        table,
        published,
        {"a": 1, "b": 5},
        metrics=["mIoU"],
        name="S_M",
        where="ADE20K",
        reference={"mIoU": 41.0},
    )
    above, below = figure.axes
    assert above.lines[0].get_xydata().tolist() == [[1, 48.5], [5, 49.2]]
    assert below.lines[0].get_xydata().tolist() == [
        [1, 42.0],
        [5, 40.0],
    ]  # the arm without a value is left out
    spans = [segment[:, 1].tolist() for segment in below.collections[0].get_segments()]
    assert spans == [[40.0, 44.0], [39.0, 41.0]]
    assert np.allclose(below.lines[-1].get_ydata(), 41.0)
    assert below.get_xlabel() == "S_M"


def test_one_seed_has_no_whisker():
    table = pd.DataFrame([("a", "mIoU", 42.0, np.nan, 1)], columns=["arm", "metric", "mean", "half", "n"])
    published = pd.DataFrame({"value": [], "metric": [], "printed": []})
    figure = plots.parameter_curves(table, published, {"a": 1}, metrics=["mIoU"], name="x", where="y")
    (segment,) = figure.axes[1].collections[0].get_segments()
    assert segment[0].tolist() == segment[1].tolist()


def test_tradeoff_has_a_point_for_each_arm_with_both_effects():
    rows = [("a", "mIoU_head", -1.0, 0.5), ("a", "mIoU_tail", 2.0, math.nan), ("b", "mIoU_head", 1.0, 0.1)]
    frame = pd.DataFrame(rows, columns=["arm", "metric", "mean", "half"]).assign(n=3)
    ax = plots.tradeoff_plot(frame, {"a": "first", "b": "second"})
    (point,) = [line for line in ax.get_lines() if line.get_marker() in plots.ARM_MARKERS]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (-1.0, 2.0)
    (legend,) = ax.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["first"]


def test_the_legend_of_a_tradeoff_lies_below_its_axes():
    arms = [f"a method of some length {number}" for number in range(20)]
    rows = [(arm, metric, 1.0, 0.5) for arm in arms for metric in ("mIoU_head", "mIoU_tail")]
    frame = pd.DataFrame(rows, columns=["arm", "metric", "mean", "half"]).assign(n=3)
    ax = plots.tradeoff_plot(frame, {arm: arm for arm in arms})
    ax.figure.canvas.draw()
    (legend,) = ax.figure.legends
    assert not legend.get_window_extent().overlaps(ax.get_window_extent())
    assert ax.get_window_extent().height > 150  # and leaves the points a place


def test_tradeoff_tells_many_arms_apart():
    arms = [f"arm{number}" for number in range(24)]
    rows = [(arm, metric, 1.0, 0.5) for arm in arms for metric in ("mIoU_head", "mIoU_tail")]
    frame = pd.DataFrame(rows, columns=["arm", "metric", "mean", "half"]).assign(n=3)
    ax = plots.tradeoff_plot(frame, {arm: arm for arm in arms}, legend=False)
    looks = {
        (str(line.get_marker()), line.get_color()) for line in ax.get_lines() if line.get_marker() != "None"
    }
    assert len({look for look in looks if look[0] in "osD^vPX<>*"}) == 24
    assert ax.get_legend() is None


def test_confusions_are_shares_of_the_labelled_class():
    figure = plots.confusion_heatmap(np.array([[3, 1, 0], [0, 2, 2], [0, 0, 0]]), ["a", "b", "$c"])
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["75", "25", "0", "0", "50", "50"]
    assert ax.get_ylabel() == "labelled"


def test_seeds_are_drawn_over_gains():
    spread = pd.DataFrame(
        {"spread": [1.0, 2.0], "low": [0.5, 1.0], "high": [2.0, 4.0], "df": 4, "arms": 2},
        index=pd.Index(["mIoU", "mIoU_tail"], name="metric"),
    )
    figure = plots.power_figure({"a": spread}, lambda gain, s: max(2, round(10 * s / gain)), gains=(0.3, 1.2))
    (ax,) = figure.axes
    overall, tail = ax.lines
    gains, needed = overall.get_data()
    assert needed.tolist() == [max(2, round(10 / gain)) for gain in gains]
    assert (tail.get_ydata() >= needed).all()


def test_each_sign_has_a_marker_of_its_own():
    """Agreement, the opposite, an interval that holds zero, and a single seed, worked out by hand."""
    cells = {("camvid", "auc"): (2.0, 1.0), ("camvid", "bank"): (-2.0, 1.0), ("ccp", "auc"): (0.5, 1.0)}
    cells[("ccp", "both")] = (3.0, math.nan)
    rows = [(*place, "imagenet", "mIoU", *value) for place, value in cells.items()]
    table = pd.DataFrame(rows, columns=["dataset", "arm", "start", "metric", "effect", "effect_half"])
    places = {(name, "imagenet"): name for name in ("camvid", "ccp")}
    figure = plots.sign_figure(table, LABELS, places, metrics=("mIoU",))
    (ax,) = figure.axes
    arms = list(LABELS)
    drawn = {(round(line.get_xdata()[0] + 0.2), line.get_ydata()[0]): line.get_marker() for line in ax.lines}
    expected = {("auc", 0): "^", ("bank", 0): "v", ("auc", 1): "o", ("both", 1): "D"}
    assert drawn == {(arms.index(arm), y): marker for (arm, y), marker in expected.items()}
    assert [text.get_text() for text in ax.texts] == ["+2.0", "-2.0", "+0.5", "+3.0"]
    assert len(figure.legends[0].get_texts()) == 4


def test_effects_in_words_have_the_numbers_of_the_figure() -> None:
    table = tables(square=2.0)["ADE20K"]
    labels = {"none": "plain", "square": "squared"}
    text = plots.effect_alt(table, labels, baseline="none", metrics=["mIoU"])
    row = table.set_index(["arm", "metric"]).loc[("square", "mIoU")]
    assert "line is plain" in text
    assert f"overall: squared +2.0 ± 0.0, published {row['published_effect']:+.1f}." in text
    assert "squared not run, published" in plots.effect_alt(
        tables()["ADE20K"], labels, baseline="none", metrics=["mIoU"]
    )


def test_more_curves_than_colours_are_all_drawn_and_differ() -> None:
    histories = {f"run {i}": {"step": [0, 1], "loss": [2.0, 1.0 + i]} for i in range(9)}
    lines = plots.learning_curves(histories, "loss").get_lines()
    assert len(lines) == 9
    seven = {(line.get_color(), str(line.get_linestyle())) for line in lines[:7]}
    assert len({color for color, _ in seven}) == len(seven) == 7


def test_bars_of_several_arms_have_hatches_besides_colours() -> None:
    iou = pd.DataFrame(
        [(arm, name, "tail", 10.0) for arm in "ab" for name in ("pole", "rider")],
        columns=["arm", "class", "group", "iou"],
    )
    ax = plots.class_bars(iou, {"a": "A", "b": "B"}, order=["pole", "rider"])
    first, second = (container[0] for container in ax.containers[:2])
    assert first.get_hatch() != second.get_hatch()


def test_no_bar_and_no_interval_makes_the_axis_of_an_iou_longer_than_it_can_be() -> None:
    """Two runs of 80 and 100: Student's interval of their mean goes up to 90 + 12.71 x 10."""
    iou = pd.DataFrame(
        [("a", "road", "head", 80.0), ("a", "road", "head", 100.0)], columns=["arm", "class", "group", "iou"]
    )
    ax = plots.class_bars(iou, {"a": "A"}, order=["road"])
    assert max(line.get_ydata().max() for line in ax.lines) == pytest.approx(90 + 12.706 * 10, rel=1e-3)
    assert ax.get_ylim() == (0, 100)


def test_the_legend_of_effects_has_published_ones_where_there_are_some(table) -> None:
    def told(rows):
        figure = plots.effect_plot(rows, LABELS, baseline="baseline", metrics=("mIoU",))
        return [text.get_text() for text in figure.legends[0].get_texts()]

    assert told(table) == ["measured, 95% interval", "published"]
    assert told(table.assign(published_effect=math.nan)) == ["measured, 95% interval"]
