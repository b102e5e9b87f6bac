"""The long tail's figures show the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from aucseg.experiments import published_change
from aucseg.longtail import class_table, gini
from aucseg.longtail.statistics import load_statistics
from aucseg.plots import (
    GROUP_COLORS,
    batch_size_curves,
    change_bars,
    change_heatmap,
    co_occurrence_heatmap,
    frequency_accuracy_plot,
    frequency_bars,
    lorenz_figure,
    presence_plot,
    published_change_plot,
    share_bars,
)
from aucseg.theory import minimum_batch_size

CITY = load_statistics("cityscapes")


def test_bars_are_sorted_and_coloured_by_group() -> None:
    ax = frequency_bars(class_table(CITY), unit="images").axes[0]
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == sorted(CITY.images.tolist(), reverse=True)
    assert ax.get_yscale() == "log"
    names = [label.get_text() for label in ax.get_xticklabels()]
    for name, bar in zip(names, ax.patches, strict=True):
        assert bar.get_height() == CITY.images[CITY.names.index(name)]
        assert to_hex(bar.get_facecolor()) == GROUP_COLORS[CITY.groups[CITY.names.index(name)]]
    many = frequency_bars(class_table(load_statistics("ade20k")), unit="images").axes[0]
    assert many.get_xlabel() == "150 classes, most images first"
    with pytest.raises(ValueError, match="no column 'regions'"):
        frequency_bars(class_table(CITY), unit="regions")


def test_lorenz_curves_name_their_gini() -> None:
    ax = lorenz_figure({"a": [1, 3], "b": CITY.pixels}).axes[0]
    assert ax.lines[0].get_ydata().tolist() == [0, 0.25, 1]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[1] == f"b: {gini(CITY.pixels):.2f}"


def test_presence_has_a_point_for_each_class_that_occurs() -> None:
    table = class_table(CITY)
    table.loc[table.index[-1], "pixels"] = 0
    ax = presence_plot(table).axes[0]
    drawn = [np.asarray(group.get_offsets()) for group in ax.collections]  # one for each group of classes
    parts = [part for _, part in table[:-1].groupby("group", sort=False)]
    for points, part in zip(drawn, parts, strict=True):
        assert points == pytest.approx(part[["pixel_share", "image_share"]].to_numpy())
    # few classes: each of them finds a place for its name
    assert sorted(text.get_text() for text in ax.texts) == sorted(table["class"][:-1])
    assert len(presence_plot(class_table(load_statistics("ade20k"))).axes[0].texts) <= 6


def test_share_bars_have_the_rarest_class_below() -> None:
    table = class_table(CITY)
    pixels, images = share_bars(table).axes
    assert [label.get_text() for label in pixels.get_yticklabels()] == list(table["class"])[::-1]
    assert [bar.get_width() for bar in images.patches] == pytest.approx(100 * table["image_share"][::-1])
    assert [to_hex(bar.get_facecolor()) for bar in pixels.patches] == [
        GROUP_COLORS[group] for group in table["group"][::-1]
    ]


def test_heatmap_shows_percent() -> None:
    table = pd.DataFrame([[1, 0.25], [0.5, 1]], index=["a", "b"], columns=["a", "b"])
    ax = co_occurrence_heatmap(table).axes[0]
    assert [text.get_text() for text in ax.texts] == ["100", "25", "50", "100"]


@pytest.fixture
def results() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "class": ["road", "bus", "bike", "van"],
            "group": ["head", "middle", "tail", "tail"],
            "pixels": [900, 90, 9, 0],
            "images": [30, 20, 10, 0],
            "accuracy": [90.0, 60.0, 30.0, np.nan],
            "iou_change": [-1.0, 2.0, 4.0, np.nan],
            "accuracy_change": [1.0, 3.0, 5.0, 7.0],
        }
    )


def test_frequency_and_accuracy(results: pd.DataFrame) -> None:
    left, right = frequency_accuracy_plot(results).axes
    points = np.concatenate([np.asarray(c.get_offsets()) for c in left.collections])
    assert points.tolist() == [[900, 90], [90, 60], [9, 30]]
    assert left.get_title().endswith("with the logarithm 100.0%")
    assert right.get_title().startswith("correlation 100.0%")


def test_change_of_each_class_and_mean_of_each_group(results: pd.DataFrame) -> None:
    iou, accuracy = change_bars(results.iloc[::-1]).axes
    assert [bar.get_height() for bar in accuracy.patches] == [1, 3, 5, 7]
    means = [path.vertices[0, 1] for lines in accuracy.collections for path in lines.get_paths()]
    assert means == [1, 3, 6]
    assert iou.get_ylabel() == "IoU (points)"
    whiskers = change_bars(results.assign(iou_change_half=[0.5, np.nan, 0.5, 0.5])).axes[0].collections[0]
    heights = [np.ptp(segment[:, 1]) for segment in whiskers.get_segments() if len(segment)]
    assert heights == [1, 0, 1]  # the last class has no change
    tail = change_bars(results, {"iou_change": "IoU"}, groups=("tail",)).axes
    assert len(tail[0].patches) == 2


def test_heatmap_has_a_number_where_the_interval_is_clear(results: pd.DataFrame) -> None:
    """By most pixels: road is clear of zero, bus is not, van has no change."""
    table = results.assign(accuracy_change_half=[0.5, 4.0, 1.0, np.nan]).iloc[::-1]
    ax = change_heatmap({"a": table, "b": table.assign(accuracy_change=-2.0)}).axes[0]
    assert [text.get_text() for text in ax.texts] == ["+1", "", "+5", "", "-2", "", "-2", ""]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["road", "bus", "bike", "van"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]


def test_published_change() -> None:
    table = published_change()
    top, bottom = published_change_plot(table).axes
    assert len(top.patches) == 19
    drawn = np.concatenate([line.get_ydata() for line in bottom.lines[:3]])
    assert sorted(drawn) == pytest.approx(sorted(table["change"]))


def test_points_lie_on_their_curves() -> None:
    city = load_statistics("cityscapes")
    (ax,) = batch_size_curves({"Cityscapes": city}, 0.01).axes
    curve, point, alone = ax.lines
    size = minimum_batch_size(19, 0.01, float(city.image_share.min()))
    assert point.get_xydata().tolist() == [[pytest.approx(100 * city.image_share.min()), size]]
    x, y = curve.get_data()
    assert size - 1 < np.interp(point.get_xdata(), x, y)[0] < size + 1
    assert (alone.get_ydata() < y).all()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        f"Cityscapes, K = 19: {size}",
        "needed for one class alone",
    ]
