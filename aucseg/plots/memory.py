"""What a bank takes of a training step's memory (AUCSeg, Figure 8 and Table 14)."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aucseg.plots.style import ARM_COLORS

_STEP, _BANK = ARM_COLORS[0], ARM_COLORS[2]


def bank_memory_bars(table: pd.DataFrame, *, device: str = "cpu") -> Figure:
    """Peak memory of a training step over S_M, and how much of it the bank is (Figure 8).

    Args:
        table: results of the benchmark ``bank_memory``, see :func:`aucseg.experiments.benchmark_table`.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: if it was not measured on that device.
    """
    rows = _rows(table, "memory_size", device)
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
            color="black",
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
    rows = _rows(table, "batch_size", device)
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
            color="black",
            markerfacecolor="none",
            label=f"published: AUC{' and bank' if tmb else ', no bank'}",
        )
    ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
    ax.set(
        xlabel="images in a batch",
        ylabel=f"peak memory, cross entropy\nwith {auc['batch'].min()} images = 1",
        ylim=(0, None),
    )
    ax.legend(fontsize=9)
    return ax


def _rows(table: pd.DataFrame, part: str, device: str) -> pd.DataFrame:
    rows = table[(table["part"] == part) & (table["device"] == device) & table["peak_bytes"].notna()]
    if rows.empty:
        raise ValueError(
            f"no peak memory of part {part!r} on {device!r}; measure it with `make bench` on a machine that "
            f"has the device, there are {', '.join(sorted(set(table['device'])))}"
        )
    return rows
