from __future__ import annotations

import numpy as np
import pytest

from aucseg.experiments import FREQUENCIES, gains_without_labels, group_gaps, rarity_correlations
from aucseg.plots import correlation_figure, gain_figure, gap_figure


def test_every_network_is_a_point_of_every_panel():
    gaps = group_gaps("cityscapes")
    table = rarity_correlations("cityscapes").merge(gaps[["run", "mIoU"]], on="run")
    figure = correlation_figure({"Cityscapes": table, "again": table}, FREQUENCIES)
    for frequency, ax in zip(FREQUENCIES, figure.axes, strict=True):
        rows = table[table["frequency"] == frequency]
        first, second = (np.asarray(points.get_offsets()) for points in ax.collections)
        assert first.shape == second.shape == (41, 2)
        assert first[:, 1] == pytest.approx(rows["spearman"].to_numpy())
        assert first[:, 0] == pytest.approx(rows["mIoU"].to_numpy())


def test_groups_are_drawn_over_the_mean():
    gaps = group_gaps("cityscapes")
    (ax,) = gap_figure({"Cityscapes": gaps}).axes
    for group, points in zip(("head", "middle", "tail"), ax.collections, strict=True):
        assert np.asarray(points.get_offsets())[:, 1] == pytest.approx(gaps[group].to_numpy())


def test_every_gain_is_a_point_over_its_share():
    gains = gains_without_labels("cityscapes")
    (ax,) = gain_figure({"Cityscapes": gains}).axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1/16", "1/8", "1/4", "1/2"]
    for group, points in zip(("head", "middle", "tail"), ax.collections, strict=True):
        places = np.asarray(points.get_offsets())
        assert places[:, 1] == pytest.approx(gains[group].to_numpy())
        assert places[:, 0].round().tolist() == [
            ["1/16", "1/8", "1/4", "1/2"].index(x) for x in gains["labels"]
        ]
