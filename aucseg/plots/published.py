"""One measured effect beside the effects that a paper prints for several data sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from aucseg.plots.results import METRIC_LABELS, NOT_RUN
from aucseg.plots.style import ARM_COLORS

_MARKERS = ("D", "s", "^", "v", "P")


def effects_by_dataset(
    tables: Mapping[str, pd.DataFrame],
    labels: Mapping[str, str],
    *,
    baseline: str,
    metrics: Sequence[str],
    caption: str = "",
) -> Styler:
    """Published values of several data sets beside the measured ones: a row for each metric and arm.

    A published cell is the value with its difference to the baseline in brackets, a dash where the paper
    prints nothing. The last column says for how many of the data sets the sign of the measured effect
    agrees; it is *open* where the interval of the measured effect holds zero.

    Args:
        tables: what :func:`aucseg.experiments.side_by_side` returns, by published data set.
        labels: label of each arm, in order.
        baseline: the arm that the others are compared with.
        metrics: the metrics shown, in order.
        caption: heading of the table.
    """
    body, index = [], []
    for metric in metrics:
        for arm, label in labels.items():
            rows = [_row(table, arm, metric) for table in tables.values()]
            measured = rows[0]
            index.append((METRIC_LABELS.get(metric, metric), label))
            body.append(
                [
                    *(_printed(row, arm == baseline) for row in rows),
                    NOT_RUN if measured is None else _number(measured["mean"], measured["half"], ".2f"),
                    ""
                    if measured is None or arm == baseline
                    else _number(measured["effect"], measured["effect_half"], "+.2f", missing="–"),
                    "" if arm == baseline else _signs([row for row in rows if row is not None]),
                ]
            )
    columns = [*tables, "measured", "effect", "sign"]
    frame = pd.DataFrame(body, index=pd.MultiIndex.from_tuples(index, names=["", ""]), columns=columns)
    style = frame.style.set_caption(caption).set_table_attributes('class="dataframe comparison"')
    return style.set_properties(**{"text-align": "right", "white-space": "nowrap"})


def effect_plot_by_dataset(
    tables: Mapping[str, pd.DataFrame],
    labels: Mapping[str, str],
    *,
    baseline: str,
    metrics: Sequence[str],
) -> Figure:
    """Measured effects with their intervals, and the published ones of several data sets around them.

    Args:
        tables: what :func:`aucseg.experiments.side_by_side` returns, by published data set.
        labels: label of each arm, in order.
        baseline: the arm that is the zero of every panel.
        metrics: the panels.
    """
    arms = [arm for arm in labels if arm != baseline]
    figure, axes = plt.subplots(
        1, len(metrics), figsize=(2.2 * len(metrics) + 1.8, 0.7 * len(arms) + 1.6), sharey=True, squeeze=False
    )
    printed = [name for name, table in tables.items() if table["published_effect"].notna().any()]
    for metric, ax in zip(metrics, axes[0], strict=True):
        for y, arm in enumerate(arms):
            color = ARM_COLORS[list(labels).index(arm) % len(ARM_COLORS)]
            for (name, table), marker in zip(tables.items(), _MARKERS, strict=False):
                row = _row(table, arm, metric)
                if row is not None and name in printed:
                    ax.plot(row["published_effect"], y + 0.2, markersize=6, **_hollow(marker))
            row = _row(next(iter(tables.values())), arm, metric)
            if row is not None and not math.isnan(row["effect"]):
                half = 0.0 if math.isnan(row["effect_half"]) else row["effect_half"]
                ax.errorbar(row["effect"], y - 0.12, xerr=half, fmt="o", color=color, capsize=3, markersize=6)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set(title=METRIC_LABELS.get(metric, metric), xlabel="change (points)")
        ax.set_yticks(range(len(arms)), labels=[labels[arm] for arm in arms])
        ax.set_ylim(len(arms) - 0.5, -0.5)
        ax.locator_params(axis="x", nbins=4)
    handles = [plt.Line2D([], [], marker="o", color="gray", label="measured, 95% interval")]
    for (name, _), marker in zip(tables.items(), _MARKERS, strict=False):
        if name in printed:
            handles.append(plt.Line2D([], [], label=f"published, {name}", **_hollow(marker)))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), len(metrics)))
    return figure


def _hollow(marker: str) -> dict[str, Any]:
    return {"marker": marker, "color": "black", "markerfacecolor": "none", "linestyle": ""}


def _row(table: pd.DataFrame, arm: str, metric: str) -> pd.Series | None:
    rows = table[(table["arm"] == arm) & (table["metric"] == metric)]
    return None if rows.empty else rows.iloc[0]


def _printed(row: pd.Series | None, baseline: bool) -> str:
    if row is None or math.isnan(row["published"]):
        return "–"
    return (
        f"{row['published']:.2f}" if baseline else f"{row['published']:.2f} ({row['published_effect']:+.2f})"
    )


def _number(mean: float, half: float, form: str, missing: str = NOT_RUN) -> str:
    if math.isnan(mean):
        return missing
    return f"{mean:{form}}" if math.isnan(half) else f"{mean:{form}} ± {half:.2f}"


def _signs(rows: Sequence[pd.Series]) -> str:
    """One word for the signs of an effect on several published data sets."""
    signs = [row["sign"] for row in rows if row["sign"]]
    if not signs or "open" in signs:
        return "open" if signs else ""
    agree = signs.count("agrees")
    if agree in (0, len(signs)):
        return "agrees" if agree else "disagrees"
    return f"agrees with {agree} of {len(signs)}"
