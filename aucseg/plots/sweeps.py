"""One number of the configuration varied: the published curve beside the measured one (AUCSeg, Figure 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aucseg.plots.results import METRIC_LABELS
from aucseg.plots.style import ARM_COLORS


def parameter_curves(
    table: pd.DataFrame,
    published: pd.DataFrame,
    values: Mapping[str, float],
    *,
    metrics: Sequence[str] = ("mIoU", "mIoU_tail"),
    name: str,
    where: str,
    reference: Mapping[str, float] | None = None,
) -> Figure:
    """A row of panels: above what the paper prints, below what was measured, over one parameter.

    Data sets differ, so each has its own axis; what can be compared is the shape.

    Args:
        table: as :func:`aucseg.experiments.summarise` returns it.
        published: columns ``value``, ``metric`` and ``printed``, what the paper has for the parameter.
        values: the parameter's value in each arm.
        metrics: the columns.
        name: the parameter, for the axis.
        where: data set of the published numbers.
        reference: by metric a mean to draw as a line in the measured panels, for example without a bank.
    """
    figure, axes = plt.subplots(
        2, len(metrics), figsize=(4.0 * len(metrics), 5.0), squeeze=False, sharex="row"
    )
    for metric, (above, below) in zip(metrics, axes.T, strict=True):
        rows = published[published["metric"] == metric].sort_values("value")
        above.plot(rows["value"], rows["printed"], "D--", color="black", markerfacecolor="none", linewidth=1)
        above.set(title=f"{METRIC_LABELS.get(metric, metric)}: published, {where}", ylabel="mIoU (%)")
        _measured(below, table, values, metric)
        if reference and metric in reference:
            below.axhline(reference[metric], color="gray", linewidth=1, linestyle=":")
        below.set(title=f"{METRIC_LABELS.get(metric, metric)}: measured", ylabel="mIoU (%)", xlabel=name)
    return figure


def _measured(ax: Axes, table: pd.DataFrame, values: Mapping[str, float], metric: str) -> None:
    rows = table[(table["metric"] == metric) & table["arm"].isin(list(values))]
    rows = rows.assign(at=rows["arm"].map(dict(values))).sort_values("at")
    ax.errorbar(
        rows["at"], rows["mean"], yerr=rows["half"].fillna(0), fmt="o-", color=ARM_COLORS[2], capsize=3
    )
