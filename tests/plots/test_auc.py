from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn import metrics

from aucseg import plots
from aucseg.data import load_spec

SPEC = load_spec("cityscapes")


def test_roc_curve_is_scikit_learns_with_ties():
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(2, 9, 40) / 10, rng.integers(0, 7, 60) / 10
    false, true = plots.roc_curve(positive, negative)
    labels = np.repeat([1, 0], [40, 60])
    scores = np.concatenate((positive, negative))
    expected = metrics.roc_curve(labels, scores, drop_intermediate=False)
    assert np.allclose(false, expected[0])
    assert np.allclose(true, expected[1])
    assert np.trapezoid(true, false) == pytest.approx(metrics.roc_auc_score(labels, scores))


def test_roc_figure_writes_the_area():
    figure = plots.roc_figure([0.9, 0.4], [0.5, 0.1], names=("rider", "road"))
    left, right = figure.axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["rider", "road"]
    assert "0.750" in right.texts[0].get_text()


def test_class_order_goes_from_head_to_tail():
    order = plots.class_order(SPEC)
    assert sorted(order) == list(range(19))
    groups = [SPEC.groups[c] for c in order]
    assert groups == sorted(groups, key=("head", "middle", "tail").index)
    assert SPEC.names[order[0]] == "road"
    assert SPEC.names[order[-1]] == "motorcycle"


def test_class_shares_are_percent_in_the_order_of_the_classes():
    share = np.arange(1, 20) / 190
    share[SPEC.index("sky")] = 0
    ax = plots.class_shares({"a": share, "b": share / 2}, SPEC, ylabel="share (%)")
    heights = [patch.get_height() for patch in ax.containers[0]]
    order = [c for c in plots.class_order(SPEC) if share[c]]
    assert [h for h in heights if h > 0] == pytest.approx(list(100 * share[order]))
    assert ax.get_xticklabels()[0].get_text() == "road"
    assert to_hex(ax.get_xticklabels()[-1].get_color()) == plots.GROUP_COLORS["tail"]


def test_heatmaps_are_ordered_and_the_third_is_the_difference():
    first = np.arange(361.0).reshape(19, 19) / 361
    np.fill_diagonal(first, np.nan)
    second = first + 0.25
    figure = plots.pair_heatmaps({"x": first, "y": second}, SPEC)
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in panels] == ["x", "y", "y less x"]
    order = plots.class_order(SPEC)
    shown = np.ma.filled(panels[0].images[0].get_array(), np.nan)
    assert np.allclose(shown, first[np.ix_(order, order)], equal_nan=True)
    change = np.ma.filled(panels[2].images[0].get_array(), np.nan)
    assert np.allclose(change[~np.isnan(change)], 0.25)
    assert len(plots.pair_heatmaps({"x": first}, SPEC).axes) == 2  # a panel and its colour bar


def test_heatmap_of_another_label_set():
    with pytest.raises(ValueError, match=r"'x' must be \(19, 19\) for cityscapes, got \(3, 3\)"):
        plots.pair_heatmaps({"x": np.zeros((3, 3))}, SPEC)
    with pytest.raises(ValueError, match="compares two, got 3"):
        plots.pair_heatmaps(dict.fromkeys("xyz", np.zeros((19, 19))), SPEC)


def test_heatmaps_of_nothing_but_missing_pairs():
    nothing = np.full((19, 19), np.nan)
    assert plots.pair_heatmaps({"x": nothing, "y": nothing}, SPEC).axes


def test_class_sizes_share_their_scores():
    """The rare class has the shape of the common one; only its size differs."""
    figure = plots.class_size_figure(0.1)
    paths = [[area.get_paths()[0].vertices for area in ax.collections] for ax in figure.axes]
    (_, equal), (_, rare) = paths
    assert rare[:, 1] == pytest.approx(0.1 * equal[:, 1])
    assert figure.axes[1].get_title() == "1 pixel in 10"
    assert to_hex(figure.axes[1].collections[1].get_facecolor()[0][:3]) == plots.GROUP_COLORS["tail"]
