"""Published networks at full scale: how far rarity goes along with failure, and head and tail."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from aucseg.plots.style import ARM_COLORS, ARM_MARKERS, GROUP_COLORS, GROUP_MARKERS, INK

_LOOKS = tuple(zip(ARM_COLORS[1:], ARM_MARKERS, strict=False))


def correlation_figure(
    correlations: Mapping[str, pd.DataFrame], frequencies: Mapping[str, str], *, measure: str = "spearman"
) -> Figure:
    """The correlation of frequency and IoU over the mIoU of each network, a panel for each kind of frequency.

    Args:
        correlations: by data set, columns ``frequency``, ``mIoU`` and the measure, a row for each network.
        frequencies: label of each kind of frequency.
        measure: the column that is drawn, in percent.
    """
    figure, axes = plt.subplots(1, len(frequencies), figsize=(3.5 * len(frequencies), 3.6), sharey=True)
    for (frequency, label), ax in zip(frequencies.items(), axes, strict=True):
        for (name, table), (color, marker) in zip(correlations.items(), _LOOKS, strict=False):
            rows = table[table["frequency"] == frequency]
            ax.scatter(
                rows["mIoU"],
                rows[measure],
                s=20,
                marker=marker,
                color=color,
                alpha=0.7,
                linewidth=0,
                label=name,
            )
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set(title=label, xlabel="mIoU of the network (%)")
    axes[0].set_ylabel("rank correlation with the IoU (%)" if measure == "spearman" else f"{measure} (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def gap_figure(gaps: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean IoU of head, middle and tail over the mIoU of each network, a panel for each data set.

    Args:
        gaps: what :func:`aucseg.experiments.group_gaps` returns, by data set.
    """
    figure, axes = plt.subplots(1, len(gaps), figsize=(4.6 * len(gaps), 3.6), sharey=True, squeeze=False)
    for (name, table), ax in zip(gaps.items(), axes[0], strict=True):
        for group, color in GROUP_COLORS.items():
            marker = GROUP_MARKERS[group]
            ax.scatter(
                table["mIoU"], table[group], s=20, marker=marker, color=color, linewidth=0, label=group
            )
        ends = [table["mIoU"].min(), table["mIoU"].max()]
        ax.plot(ends, ends, color=INK, linewidth=1, linestyle=":", label="mIoU")
        ax.set(title=name, xlabel="mIoU of the network (%)")
    axes[0, 0].set_ylabel("mean IoU of the group (%)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def gain_figure(gains: Mapping[str, pd.DataFrame]) -> Figure:
    """What images without labels add to head, middle and tail, over the share of labels; a panel a data set.

    Args:
        gains: what :func:`aucseg.experiments.gains_without_labels` returns, by data set.
    """
    figure, axes = plt.subplots(1, len(gains), figsize=(4.2 * len(gains), 3.5), sharey=True, squeeze=False)
    for (name, table), ax in zip(gains.items(), axes[0], strict=True):
        shares = list(dict.fromkeys(table["labels"]))
        for offset, ((group, color), marker) in zip(
            (-0.22, 0.0, 0.22), zip(GROUP_COLORS.items(), ("^", "s", "o"), strict=True), strict=True
        ):
            x = table["labels"].map(shares.index) + offset
            ax.scatter(x, table[group], s=20, marker=marker, color=color, alpha=0.7, linewidth=0, label=group)
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set_xticks(range(len(shares)), labels=shares)
        ax.set(title=name, xlabel="share of the labels")
        ax.grid(visible=False, axis="x")
    axes[0, 0].set_ylabel("gain in mean IoU (points)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
