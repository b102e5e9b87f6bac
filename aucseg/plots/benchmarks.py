"""Figures of the benchmarks: cost of the AUC loss beside cross entropy, memory of the bank in a step."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from aucseg.plots.style import ARM_COLORS, ARM_MARKERS, INK, PAPER

BASELINE, COPY = "cross entropy", "copy of the logits"
VALUE_LABELS = {
    "per_cross_entropy": "time of forward + backward, cross entropy = 1",
    "per_floor": "time of forward + backward, read, read and write = 1",
    "extra_memory": "peak memory beyond the logits, logits = 1",
}
# a step without the bank, and what the bank adds
_STEP, _BANK = ARM_COLORS[0], ARM_COLORS[2]
_SIZE = ["num_classes", "batch", "height", "width"]


def ratio_plot(
    table: pd.DataFrame, *, part: str = "shapes", value: str = "per_cross_entropy", device: str = "cpu"
) -> Figure:
    """Ratios as dots on logarithmic axes, one panel for each size of logits, with a line at 1.

    Filled dots are label maps with some of the classes in an image, hollow diamonds those with all of them;
    bars span the middle half of the turns.

    Args:
        table: results of the benchmark ``auc_loss``, see :func:`aucseg.experiments.benchmark_table`.
        part: which of its parts: ``"shapes"``, ``"alternatives"``, ``"surrogates"`` or ``"memory"``.
        value: column to draw: ``"per_cross_entropy"``, ``"per_floor"`` or, of ``"memory"``,
            ``"extra_memory"``.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: if nothing of that part was measured on that device.
    """
    rows = _rows(table, part, value, device)
    shown = rows[(rows["candidate"] != BASELINE) | (value != "per_cross_entropy")]
    colors, names = _colors(table), list(shown["candidate"].unique())
    panels = list(shown.groupby(_SIZE, sort=False))
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(5.4 * max(columns, 2) + 1, lines * (0.42 * len(names) + 0.9) + 0.5),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ((k, batch, height, width), group), ax in zip(panels, axes.flat, strict=False):
        apart = 0.18 if len(set(group["held"])) > 1 else 0.0
        for row in group.itertuples():
            y = names.index(row.candidate) + (apart if _whole(row) else -apart)
            _dot(ax, row, value, y, colors[row.candidate])
        for name in set(names) - set(group["candidate"]):
            ax.text(1, names.index(name), " not run at this size", color="gray", va="center", fontsize=8)
        ax.axvline(1, color=INK, linewidth=0.8)
        ax.set(title=f"{batch} × {k} × {height} × {width}", xscale="log")
        ax.set_yticks(range(len(names)), labels=names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.margins(x=0.14)
        _plain_ticks(ax, shown[value].max() / shown[value].min() > 20)
    figure.supxlabel(VALUE_LABELS.get(value, value), fontsize=10)
    figure.legend(handles=_markers(shown), loc="outside upper right", ncols=2, fontsize=9)
    return figure


def cost_curves(table: pd.DataFrame, *, device: str = "cpu") -> Figure:
    """Time over pixels and over classes, one line for each candidate; dotted what grows in proportion.

    Args:
        table: results of the benchmark ``auc_loss``, see :func:`aucseg.experiments.benchmark_table`.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: if the growth was not measured on that device.
    """
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4))
    colors = _colors(table)
    for ax, part in zip(axes, ("pixels", "classes"), strict=True):
        rows = _rows(table, part, "seconds", device)
        rows = rows.assign(pixels=rows["batch"] * rows["height"] * rows["width"], classes=rows["num_classes"])
        for name, group in rows.groupby("candidate", sort=False):
            group = group.sort_values(part)
            look: dict[str, Any] = {
                "marker": ARM_MARKERS[[*colors].index(str(name)) % len(ARM_MARKERS)],
                "markersize": 5,
            }
            ax.plot(group[part], 1e3 * group["seconds"], color=colors[name], label=name, **look)
        base = rows[rows["candidate"] == BASELINE].sort_values(part)
        x = base[part].to_numpy(float)
        ax.plot(x, 1e3 * base["seconds"].iloc[-1] * x / x[-1], ":", color=INK, linewidth=1, zorder=0)
        fixed = (
            f"{rows[_SIZE[0]].iloc[0]} classes" if part == "pixels" else f"{rows['pixels'].iloc[0]} pixels"
        )
        ax.set(xscale="log", yscale="log", xlabel=part, title=f"growth with {part}, {fixed}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        for axis in (ax.yaxis, ax.xaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes[0].set_ylabel("forward + backward (ms)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    return figure


def bank_memory_bars(table: pd.DataFrame, *, device: str = "cpu") -> Figure:
    """Peak memory of a training step over S_M, and how much of it the bank is (Figure 8).

    Args:
        table: results of the benchmark ``bank_memory``, see :func:`aucseg.experiments.benchmark_table`.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: if it was not measured on that device.
    """
    rows = _memory_rows(table, "memory_size", device)
    settings = rows["setting"].unique()
    figure, axes = plt.subplots(1, len(settings), figsize=(5.2 * len(settings), 3.8), squeeze=False)
    for name, ax in zip(settings, axes[0], strict=True):
        group = rows[rows["setting"] == name].sort_values("memory_size")
        peak, bank, worst = (
            group[column] / 2**30 for column in ("peak_bytes", "bank_bytes", "bank_worst_bytes")
        )
        x = range(len(group))
        ax.bar(x, peak - bank, color=_STEP, width=0.65, label="training step")
        ax.bar(x, bank, bottom=peak - bank, color=_BANK, width=0.65, label="bank: tight boxes")
        ax.plot(
            x,
            peak - bank + worst,
            "_",
            color=INK,
            markersize=16,
            label="if whole images were stored",
        )
        for at, share in enumerate(group["bank_share_of_peak"]):  # at the foot: tops and dashes meet
            ax.annotate(
                f"bank\n{share:.1%}",
                (at, 0),
                (0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color="white",
            )
        first = group.iloc[0]
        ax.set_xticks(list(x), labels=group["memory_size"])
        ax.set(
            xlabel="S_M",
            ylabel="peak memory (GiB)",
            title=f"{name}: {first['batch']} × {first['height']} × {first['width']}, "
            f"{first['tail_classes']} tail classes",
        )
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def batch_memory_curve(table: pd.DataFrame, published: pd.DataFrame, *, device: str = "cpu") -> Axes:
    """Peak memory over the batch size, with and without a bank, beside Table 14.

    In parts of what cross entropy takes at the smallest batch, as the two are of other networks and images.

    Args:
        table: results of the benchmark ``bank_memory``.
        published: Table 14, columns ``auc_loss``, ``tmb``, ``quantity``, ``value``.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: if it was not measured on that device.
    """
    rows = _memory_rows(table, "batch_size", device)
    base = rows[rows["auc_loss"] == 0]["peak_bytes"].item()
    _, ax = plt.subplots(figsize=(6.5, 4.0))
    auc = rows[(rows["auc_loss"] == 1) & (rows["tmb"] == 0)].sort_values("batch")
    ax.plot(auc["batch"], auc["peak_bytes"] / base, "o-", color=_STEP, label="measured: AUC, no bank")
    bank = rows[rows["tmb"] == 1]
    ax.plot(bank["batch"], bank["peak_bytes"] / base, "o", color=_BANK, label="measured: AUC and bank")
    wide = published.pivot_table(index=["auc_loss", "tmb"], columns="quantity", values="value")
    unit = wide.loc[(0, 0), "gpu_memory"]
    for tmb, marker in ((0, "D"), (1, "s")):
        row = wide.loc[(1, tmb)]
        ax.plot(
            row["batch_size"],
            row["gpu_memory"] / unit,
            marker,
            color=INK,
            markerfacecolor="none",
            label=f"published: AUC{' and bank' if tmb else ', no bank'}",
        )
    ax.axhline(1, color=INK, linewidth=0.8, linestyle=":")
    ax.set(
        xlabel="images in a batch",
        ylabel=f"peak memory, cross entropy\nwith {auc['batch'].min()} images = 1",
        ylim=(0, None),
    )
    ax.legend(fontsize=9)
    return ax


def _memory_rows(table: pd.DataFrame, part: str, device: str) -> pd.DataFrame:
    rows = table[(table["part"] == part) & (table["device"] == device) & table["peak_bytes"].notna()]
    if rows.empty:
        raise ValueError(
            f"no peak memory of part {part!r} on {device!r}; measure it with `make bench` on a machine that "
            f"has the device, there are {', '.join(sorted(set(table['device'])))}"
        )
    return rows


def _rows(table: pd.DataFrame, part: str, value: str, device: str) -> pd.DataFrame:
    rows = table[(table["part"] == part) & (table["device"] == device) & (table["candidate"] != COPY)]
    rows = rows[rows[value].notna()]
    if rows.empty:
        there = sorted({f"{row.part} on {row.device}" for row in table.itertuples()})
        raise ValueError(
            f"no {value} for part {part!r} on {device!r}; there are: {', '.join(there)}. Measure it with "
            f"`make bench` on a machine that has the device"
        )
    return rows


def _colors(table: pd.DataFrame) -> dict[str, str]:
    """The same for a candidate in all figures of a table; the baseline, the first, is grey."""
    names = [name for name in table["candidate"].unique() if name != COPY]
    return dict(zip(names, cycle(ARM_COLORS), strict=False))


def _dot(ax: Axes, row: Any, value: str, y: float, color: str) -> None:
    ratio = getattr(row, value)
    bounds = [getattr(row, f"{value}_{side}", ratio) for side in ("low", "high")]
    if not np.isnan(bounds).any():
        ax.plot(bounds, [y, y], color=color, linewidth=1.2)
    ax.plot(
        ratio, y, "D" if _whole(row) else "o", color=color, markerfacecolor=PAPER if _whole(row) else color
    )
    ax.annotate(
        f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}",
        (np.nanmax([ratio, *bounds]), y),
        (7, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        path_effects=[Stroke(linewidth=3, foreground=PAPER), Normal()],
    )


def _whole(row: Any) -> bool:
    return bool(row.held == row.num_classes)


def _markers(rows: pd.DataFrame) -> list[plt.Line2D]:
    """Legend of the two kinds of label maps, those of them that there are."""
    whole = rows["held"] == rows["num_classes"]
    handles = []
    if not whole.all():
        number = rows.loc[~whole, "held"].iloc[0]
        label = f"{number} classes in an image"
        handles.append(plt.Line2D([], [], marker="o", color="gray", linestyle="", label=label))
    if whole.any():
        label = "all classes in each image"
        handles.append(
            plt.Line2D([], [], marker="D", color="gray", markerfacecolor=PAPER, linestyle="", label=label)
        )
    return handles


def _plain_ticks(ax: Axes, wide: bool) -> None:
    ax.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 1.5, 2, 3, 5, 7)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
