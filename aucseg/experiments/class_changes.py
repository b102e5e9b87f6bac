"""Accuracy and IoU of each class beside its frequency, and what changes between two runs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from aucseg.errors import OptionError
from aucseg.experiments.published import PublishedError, published_table
from aucseg.experiments.results import interval
from aucseg.longtail import Tally, load_statistics, pearson
from aucseg.training import Record


def class_results(record: Record) -> pd.DataFrame:
    """IoU and accuracy of each class of a record.

    Args:
        record: a finished run.

    Returns:
        Columns ``class``, ``group``, ``iou`` and ``accuracy`` in percent; nan where a class has none.
    """
    names = list(record.dataset["classes"])

    def percent(metric: str) -> list[float]:
        values = record.metrics[metric]
        return [np.nan if values[name] is None else 100 * float(values[name]) for name in names]

    return pd.DataFrame(
        {
            "class": names,
            "group": list(record.dataset["groups"]),
            "iou": percent("iou"),
            "accuracy": percent("accuracy"),
        }
    )


def frequency_results(statistics: Tally, record: Record) -> pd.DataFrame:
    """Frequency and result of each class, most pixels first: Figure 4 of Region Rebalance.

    Args:
        statistics: pixels and images of each class of the training set.
        record: a run on that data set.

    Returns:
        The columns of :func:`class_results`, with ``pixels`` and ``images``.

    Raises:
        ValueError: if the record has other classes.
    """
    results = class_results(record)
    known = pd.DataFrame(
        {"class": statistics.names, "pixels": statistics.pixels, "images": statistics.images}
    )
    unknown = sorted(set(results["class"]) ^ set(known["class"]))
    if unknown:
        raise ValueError(
            f"record {record.identity} and the statistics of {statistics.name!r} differ in classes such as "
            f"{unknown[0]!r}; use the statistics of the data set that it was trained on"
        )
    return (
        results.merge(known, on="class")
        .sort_values("pixels", ascending=False, kind="stable")
        .reset_index(drop=True)
    )


def frequency_correlation(statistics: Tally, record: Record) -> pd.DataFrame:
    """Pearson's correlation of frequency and result over the classes: Table 2 of Region Rebalance.

    Args:
        statistics: pixels and images of each class of the training set.
        record: a run on that data set.

    Returns:
        A row for each ``unit`` (``"pixel"``; ``"region"``, the images that hold the class, Eq. 7) and
        ``metric`` (``"accuracy"``, as in the paper, and ``"iou"``): ``pearson_percent`` of the frequency, and
        ``pearson_percent_log`` of its logarithm, over the classes that occur.

    Raises:
        ValueError: if the record has other classes.
    """
    table = frequency_results(statistics, record)
    rows = []
    for unit, column in (("pixel", "pixels"), ("region", "images")):
        frequency = table[column].to_numpy(float)
        logarithm = np.log(np.where(frequency > 0, frequency, np.nan))
        for metric in ("accuracy", "iou"):
            value = table[metric].to_numpy(float)
            rows.append((unit, metric, 100 * pearson(frequency, value), 100 * pearson(logarithm, value)))
    return pd.DataFrame(rows, columns=["unit", "metric", "pearson_percent", "pearson_percent_log"])


def class_change(statistics: Tally, before: Record, after: Record) -> pd.DataFrame:
    """Change of IoU and accuracy of each class between two runs, most pixels first.

    Region Rebalance Eqs. 4 and 5, Figures 3 and 6.

    Args:
        statistics: pixels and images of each class of the training set.
        before: the baseline.
        after: the run that is compared with it.

    Returns:
        Columns ``class``, ``group``, ``pixels``, ``images``, and ``iou_change`` and ``accuracy_change`` in
        percentage points; nan where one of the two has no value.

    Raises:
        ValueError: if a record has other classes.
    """
    first, second = (frequency_results(statistics, record) for record in (before, after))
    table = first[["class", "group", "pixels", "images"]].copy()
    for metric in ("iou", "accuracy"):
        table[f"{metric}_change"] = second[metric] - first[metric]
    return table


def mean_class_change(statistics: Tally, pairs: Iterable[tuple[Record, Record]]) -> pd.DataFrame:
    """Mean change of IoU and accuracy of each class over seeds, most pixels first.

    Args:
        statistics: pixels and images of each class of the training set.
        pairs: for each seed the baseline, and the run that is compared with it.

    Returns:
        The columns of :func:`class_change`, and ``iou_change_half`` and ``accuracy_change_half``, the half
        widths of Student's 95% intervals; nan for a single seed.

    Raises:
        ValueError: if there is no pair, or a record has other classes.
    """
    tables = [class_change(statistics, *pair) for pair in pairs]
    if not tables:
        raise OptionError("a mean change needs at least one pair of records, got none")
    table = tables[0].copy()
    for column in ("iou_change", "accuracy_change"):
        values = pd.concat([each.set_index("class")[column] for each in tables], axis=1)
        found = [interval(row.dropna()) for _, row in values.loc[table["class"]].iterrows()]
        table[column] = [mean for mean, _, _ in found]
        table[f"{column}_half"] = [half for _, half, _ in found]
    return table


def published_change(table: str = "table_3") -> pd.DataFrame:
    """Change of the IoU of each class by BLV, beside the pixels of the class: BLV Figure 3.

    Args:
        table: ``"table_3"`` (GTA5 to Cityscapes) or ``"table_4"`` (SYNTHIA to Cityscapes) of BLV.

    Returns:
        Columns ``method``, ``architecture``, ``class``, ``before``, ``after`` (percent), ``change`` (points),
        ``group`` and ``pixels`` of the class in the Cityscapes training set, most pixels first.

    Raises:
        PublishedError: if the table has no rows with and without BLV.
    """
    published = published_table("blv", table)
    if not {"method", "architecture", "class", "blv"} <= set(published):
        raise PublishedError(f"BLV's {table} has no classes with and without BLV; use table_3 or table_4")
    published = published[published["metric"] == "IoU"]
    wide = published.pivot_table(
        index=["method", "architecture", "class"], columns="blv", values="value", sort=False
    )
    changed = wide.dropna().rename(columns={0: "before", 1: "after"}).reset_index()
    changed.columns.name = None
    changed["change"] = changed["after"] - changed["before"]
    known = load_statistics("cityscapes")
    frequency = pd.DataFrame({"class": known.names, "group": known.groups, "pixels": known.pixels})
    joined = changed.merge(frequency, on="class")
    return joined.sort_values("pixels", ascending=False, kind="stable").reset_index(drop=True)
