from __future__ import annotations

import pandas as pd
import pytest

from aucseg import plots
from aucseg.experiments import published_table

CE, AUC, LOOP, COPY = "cross entropy", "AUC", "one-hot class loop", "copy of the logits"


@pytest.fixture
def table():
    columns = ["part", "candidate", "num_classes", "height", "held", "seconds", "per_cross_entropy"]
    rows = [
        ("shapes", CE, 19, 8, 15, 0.1, 1.0),
        ("shapes", AUC, 19, 8, 15, 0.2, 2.0),
        ("shapes", AUC, 19, 8, 19, 0.3, 3.0),
        ("shapes", LOOP, 19, 8, 15, 2.0, 20.0),
        ("shapes", COPY, 19, 8, 15, 0.01, 0.1),
        ("shapes", AUC, 150, 8, 15, 0.1, 0.5),
        *(
            (part, name, k, side, k, seconds * k * side**2, seconds / 1e-6)
            for part, sizes in (("pixels", [(19, 64), (19, 8)]), ("classes", [(2, 8), (50, 8)]))
            for name, seconds in ((CE, 1e-6), (AUC, 2e-6))
            for k, side in sizes
        ),
    ]
    table = pd.DataFrame(rows, columns=columns).assign(device="cpu", batch=1, extra_memory=float("nan"))
    ratio = table["per_cross_entropy"]
    return table.assign(
        width=table["height"], per_cross_entropy_low=ratio * 0.9, per_cross_entropy_high=ratio * 1.1
    )


def test_ratio_plot_has_a_panel_for_each_size(table):
    first, second = plots.ratio_plot(table).axes
    assert (first.get_title(), second.get_title()) == ("1 × 19 × 8 × 8", "1 × 150 × 8 × 8")
    assert [tick.get_text() for tick in first.get_yticklabels()] == [AUC, LOOP]  # 1 is the line, not a dot
    dots = [tuple(map(float, line.get_xydata()[0])) for line in first.lines if len(line.get_xdata()) == 1]
    assert [x for x, _ in dots] == [2, 3, 20]
    assert [y for _, y in dots] == pytest.approx([-0.18, 0.18, 0.82])
    assert [text.get_text() for text in first.texts] == ["2.00", "3.00", "20"]
    assert [text.get_text() for text in second.texts] == ["0.50", " not run at this size"]


def test_ratio_plot_of_memory(table):
    table.loc[[0, 1], ["part", "extra_memory"]] = [["memory", 3.0], ["memory", 1.1]]
    (ax,) = plots.ratio_plot(table, part="memory", value="extra_memory").axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [CE, AUC]


def test_cost_curves_are_sorted_and_in_milliseconds(table):
    pixels, classes = plots.cost_curves(table).axes
    curve = pixels.lines[1]
    assert curve.get_label() == AUC
    assert curve.get_xdata().tolist() == [64, 4096]
    assert curve.get_ydata() == pytest.approx([2.432, 155.648])
    dotted = classes.lines[-1]  # cross entropy here grows in proportion
    assert dotted.get_ydata() == pytest.approx(classes.lines[0].get_ydata())


def test_nothing_measured_names_what_there_is(table):
    with pytest.raises(ValueError, match="no seconds for part 'pixels' on 'cuda'; there are: classes on cpu"):
        plots.cost_curves(table, device="cuda")


def memory_row(part, **values):
    row = {"device": "cpu", "part": part, "setting": "ade20k", "auc_loss": 1, "tmb": 1, "memory_size": 5}
    row |= {"batch": 4, "height": 512, "width": 512, "tail_classes": 124}
    row |= {"bank_bytes": 2**28, "bank_worst_bytes": 2**30, "bank_share_of_peak": 0.125}
    return row | values


@pytest.fixture
def memory_table():
    return pd.DataFrame(
        [
            memory_row("memory_size", memory_size=20, peak_bytes=2**31 + 2**28),
            memory_row("memory_size", memory_size=1, peak_bytes=2**31, bank_share_of_peak=0.01),
            memory_row("batch_size", auc_loss=0, tmb=0, peak_bytes=100),
            memory_row("batch_size", tmb=0, batch=8, peak_bytes=260),
            memory_row("batch_size", tmb=0, batch=4, peak_bytes=130),
            memory_row("batch_size", batch=4, peak_bytes=140),
        ]
    )


def test_bars_are_stacked_to_the_peak_and_sorted(memory_table):
    (ax,) = plots.bank_memory_bars(memory_table).axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "20"]
    step, bank = ax.containers
    tops = [low.get_height() + high.get_height() for low, high in zip(step, bank, strict=True)]
    assert tops == pytest.approx([2.0, 2.25])
    assert [bar.get_height() for bar in bank] == pytest.approx([0.25, 0.25])
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([2.75, 3.0])  # whole images in its place
    assert [text.get_text() for text in ax.texts] == ["bank\n1.0%", "bank\n12.5%"]


def test_the_curve_is_in_parts_of_cross_entropy_beside_the_published_one(memory_table):
    ax = plots.batch_memory_curve(memory_table, published_table("aucseg", "table_14"))
    curve, bank, published, with_bank, _ = ax.lines
    assert curve.get_xydata().tolist() == [[4, 1.3], [8, 2.6]]
    assert bank.get_xydata().tolist() == [[4, 1.4]]
    assert published.get_xydata()[0].tolist() == pytest.approx([22, 72.90 / 13.29])
    assert with_bank.get_xydata()[0].tolist() == pytest.approx([4, 15.45 / 13.29])


def test_what_was_not_measured_is_said(memory_table):
    with pytest.raises(ValueError, match=r"no peak memory.*'cuda'.*make bench.*cpu"):
        plots.bank_memory_bars(memory_table, device="cuda")
