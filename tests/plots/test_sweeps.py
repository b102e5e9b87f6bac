"""A parameter's published and measured curve."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aucseg import plots


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
