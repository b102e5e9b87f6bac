"""Figures of the bank's memory show what the benchmark measured."""

from __future__ import annotations

import pandas as pd
import pytest

from aucseg import plots
from aucseg.experiments import published_table


def row(part, **values):
    row = {"device": "cpu", "part": part, "setting": "ade20k", "auc_loss": 1, "tmb": 1, "memory_size": 5}
    row |= {"batch": 4, "height": 512, "width": 512, "tail_classes": 124}
    row |= {"bank_bytes": 2**28, "bank_worst_bytes": 2**30, "bank_share_of_peak": 0.125}
    return row | values


@pytest.fixture
def table():
    return pd.DataFrame(
        [
            row("memory_size", memory_size=20, peak_bytes=2**31 + 2**28),
            row("memory_size", memory_size=1, peak_bytes=2**31, bank_share_of_peak=0.01),
            row("batch_size", auc_loss=0, tmb=0, peak_bytes=100),
            row("batch_size", tmb=0, batch=8, peak_bytes=260),
            row("batch_size", tmb=0, batch=4, peak_bytes=130),
            row("batch_size", batch=4, peak_bytes=140),
        ]
    )


def test_bars_are_stacked_to_the_peak_and_sorted(table):
    (ax,) = plots.bank_memory_bars(table).axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "20"]
    step, bank = ax.containers
    tops = [low.get_height() + high.get_height() for low, high in zip(step, bank, strict=True)]
    assert tops == pytest.approx([2.0, 2.25])
    assert [bar.get_height() for bar in bank] == pytest.approx([0.25, 0.25])
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([2.75, 3.0])  # whole images in its place
    assert [text.get_text() for text in ax.texts] == ["bank\n1.0%", "bank\n12.5%"]


def test_the_curve_is_in_parts_of_cross_entropy_beside_the_published_one(table):
    ax = plots.batch_memory_curve(table, published_table("aucseg", "table_14"))
    curve, bank, published, with_bank, _ = ax.lines
    assert curve.get_xydata().tolist() == [[4, 1.3], [8, 2.6]]
    assert bank.get_xydata().tolist() == [[4, 1.4]]
    assert published.get_xydata()[0].tolist() == pytest.approx([22, 72.90 / 13.29])
    assert with_bank.get_xydata()[0].tolist() == pytest.approx([4, 15.45 / 13.29])


def test_what_was_not_measured_is_said(table):
    with pytest.raises(ValueError, match=r"no peak memory.*'cuda'.*make bench.*cpu"):
        plots.bank_memory_bars(table, device="cuda")
