"""Pictures of pseudo-labels show the numbers that they were given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb as color

from aucseg.data import load_spec
from aucseg.plots import GROUP_COLORS, faded, group_curves, share_error_heatmap, silenced_figure


@pytest.fixture
def shares() -> pd.DataFrame:
    rows = [
        (1, "road", "head", 70, 80, 90, 60, 90, 80),
        (1, "car", "middle", 25, 20, 10, 30, 70, 40),
        (1, "rider", "tail", 5, 0, 0, 10, np.nan, 0),
        (2, "road", "head", 70, 76, 80, 80, 95, 85),
        (2, "car", "middle", 25, 22, 20, 50, 80, 60),
        (2, "rider", "tail", 5, 2, 0, 20, np.nan, 10),
    ]
    columns = ["step", "class", "group", "truth", "predicted", "counted", "kept", "precision", "recall"]
    return pd.DataFrame(rows, columns=columns)


def test_a_class_without_a_pixel_has_no_mark(shares):
    figure = silenced_figure(shares[shares["step"] == 2].iloc[::-1])
    above, below = figure.axes
    drawn = {line.get_label(): np.asarray(line.get_ydata(), float) for line in above.lines}
    assert drawn["true"].tolist() == [70, 25, 5]
    assert drawn["predicted"].tolist() == [76, 22, 2]
    np.testing.assert_array_equal(drawn["predicted, and counts"], [80, 20, np.nan])
    assert [bar.get_height() for bar in below.patches] == [80, 50, 20]
    colors = [bar.get_facecolor()[:3] for bar in below.patches]
    assert colors == [color(GROUP_COLORS[g]) for g in ("head", "middle", "tail")]
    assert [tick.get_text() for tick in below.get_xticklabels()] == ["road", "car", "rider"]


def test_a_curve_is_the_mean_over_the_classes_of_a_group(shares):
    more = shares.assign(**{"class": "bus"})[shares["group"] == "head"].assign(group="tail")
    figure = group_curves(pd.concat([shares, more]), {"recall": "found", "kept": "counts"})
    found, counts = figure.axes
    lines = {line.get_label(): list(line.get_ydata()) for line in found.lines}
    assert lines == {"head": [80, 85], "middle": [40, 60], "tail": [40, 47.5]}
    assert [list(line.get_ydata()) for line in counts.lines][2] == [35, 50]


def test_an_estimate_is_drawn_in_doublings():
    rows = [
        (step, name, group, estimated, truth, labelled)
        for step, values in ((10, (80, 15, 5)), (20, (60, 30, 10)))
        for (name, group, truth, labelled), estimated in zip(
            (("road", "head", 60, 30), ("car", "middle", 30, 70), ("rider", "tail", 10, 0)),
            values,
            strict=True,
        )
    ]
    table = pd.DataFrame(rows, columns=["step", "class", "group", "estimated", "truth", "labelled"])
    ax = share_error_heatmap(table).axes[0]
    drawn = ax.collections[0].get_array().reshape(3, 3)
    expected = np.log2([[30 / 60, 80 / 60, 1], [70 / 30, 15 / 30, 1], [15 / 10, 5 / 10, 1]])
    np.testing.assert_allclose(drawn, expected)  # a class without labels stands at half of the least
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["road", "car", "rider"]


def test_what_does_not_count_is_pale():
    spec = load_spec("cityscapes")
    labels, counted = np.array([[0, 13]]), np.array([[True, False]])
    picture = faded(labels, counted, spec)
    assert tuple(picture[0, 0]) == tuple(spec.palette[0])
    assert tuple(picture[0, 1]) == tuple(round(0.25 * int(c) + 0.75 * 255) for c in spec.palette[13])
