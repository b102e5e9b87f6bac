"""What the papers print: their tables as files, and the effects that an experiment has there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pandas as pd

from aucseg import paths
from aucseg.errors import UserError, did_you_mean
from aucseg.experiments.catalogue import Experiment

_OVERALL = {"overall": "mIoU"}
_GROUPS = {group: f"mIoU_{group}" for group in ("head", "middle", "tail")}


@dataclass(frozen=True)
class Columns:
    """Which columns of a published table say what.

    Attributes:
        dataset: the data set, or the setting that takes its place: a pair of domains, a share of labels.
        metric: what a row measures.
        metrics: a record's metric for each value of that column; other rows are about something else.
        number: the number that the table varies, where it varies one.
    """

    dataset: str = "dataset"
    metric: str = "split"
    metrics: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(_OVERALL | _GROUPS))
    number: str | None = None


# BLV's tail are nine classes of Cityscapes: the preset "cityscapes_blv" of `choose_tail`.
_NINE = MappingProxyType(_OVERALL | {"tail9": "mIoU_tail"})
_MEAN = MappingProxyType({"mIoU": "mIoU"})
_SINGLE_SCALE = MappingProxyType({"single_scale": "mIoU"})
_SINGLE_SCALE_METRIC = MappingProxyType({"mIoU_single_scale": "mIoU"})
_SWEEP = Columns(number="setting_numeric")
_ADAPTATION = Columns("setting", "metric", _MEAN)
# From SYNTHIA there are two means, of sixteen classes and of thirteen of them.
_SIXTEEN = Columns("setting", "class", MappingProxyType({"mean_16": "mIoU"}))

# Every published table whose numbers a run can measure; any other has columns of its own.
COLUMNS: dict[tuple[str, str], Columns] = {
    **{("aucseg", f"table_{n:02d}"): Columns() for n in (1, 2, 3, 12, 15, 16, 18, 19)},
    **{("aucseg", f"table_{n:02d}"): _SWEEP for n in (20, 21, 22, 23)},
    ("aucseg", "table_24"): Columns(number="batch_size"),
    ("blv", "table_1"): Columns(metrics=_NINE),
    ("blv", "table_2"): Columns("partition", metrics=_NINE),
    ("blv", "table_3"): _ADAPTATION,
    ("blv", "table_4"): _SIXTEEN,
    ("blv", "table_5"): Columns("supervision", metrics=_NINE),
    ("blv", "table_6"): _ADAPTATION,
    ("blv", "table_7"): Columns("setting", "metric", _MEAN, number="sigma"),
    ("blv", "table_8"): _ADAPTATION,
    ("blv", "supp_table_1"): _ADAPTATION,
    ("blv", "supp_table_2"): _ADAPTATION,
    ("blv", "supp_table_3"): _SIXTEEN,
    ("blv", "supp_table_5"): Columns("partition", "metric", _MEAN),
    ("rr", "table_1"): Columns(metric="metric", metrics=_SINGLE_SCALE_METRIC),
    **{("rr", f"table_{n}"): Columns(metric="inference", metrics=_SINGLE_SCALE) for n in (3, 4, 7)},
    ("rr", "table_5"): Columns(metric="metric", metrics=_SINGLE_SCALE_METRIC, number="lambda"),
    ("rr", "table_6"): Columns(metric="metric", metrics=_SINGLE_SCALE_METRIC),
}


class PublishedError(UserError, ValueError):
    """A published table that cannot be read; the message names the file and the remedy."""


def published_table(paper: str, table: str) -> pd.DataFrame:
    """A table as printed in a paper, one row for each number.

    Args:
        paper: ``"aucseg"``, ``"blv"`` or ``"rr"``.
        table: file name without its ending, for example ``"table_03"``.

    Raises:
        PublishedError: if there is no such table.
    """
    path = paths.published() / paper / f"{table}.csv"
    if not path.is_file():
        raise PublishedError(
            f"no published table {path}; run inside a checkout of the project or set AUCSEG_HOME to one"
        )
    return pd.read_csv(path, dtype={"setting_printed": str})  # "1" names an arm, 1.0 does not


def stated(paper: str, quantity: str) -> float:
    """A number that stands in the running text of a paper.

    Args:
        paper: ``"aucseg"``, ``"blv"`` or ``"rr"``.
        quantity: what it is, as ``prose_facts.csv`` calls it.

    Raises:
        PublishedError: if the list has no such number, or several.

    Example:
        >>> stated("aucseg", "Remark 2 example: stated batch size B")
        759.0
    """
    facts = published_table(".", "prose_facts")
    facts = facts[facts["paper"] == paper]
    values = facts.loc[facts["quantity"] == quantity, "value"]
    if len(values) != 1:
        raise PublishedError(
            f"{len(values)} numbers of {paper!r} are called {quantity!r}",
            file=paths.published() / "prose_facts.csv",
            remedy="take them from the table" if len(values) else did_you_mean(quantity, facts["quantity"]),
        )
    return float(values.item())


def published_datasets(experiment: Experiment) -> tuple[str, ...]:
    """The data sets of the published table of an experiment, in the order in which it prints them.

    Args:
        experiment: the table.

    Returns:
        Their names as the paper writes them; none if nothing is published.
    """
    if experiment.paper is None or experiment.table is None:
        return ()
    table, columns = _table(experiment)
    return tuple(table[columns.dataset].unique())


def published_effects(experiment: Experiment, dataset: str | None = None) -> pd.DataFrame:
    """What the paper prints for the arms of an experiment: ``arm``, ``metric``, ``value``, ``effect``.

    ``effect`` is the difference to the baseline's printed value, in percentage points.

    Args:
        experiment: the table.
        dataset: which of the :func:`published_datasets`; ``None`` for the first.

    Raises:
        PublishedError: if the table has no such data set, or no column that names the arms.
    """
    if experiment.paper is None or experiment.table is None:
        return pd.DataFrame({"arm": [], "metric": [], "value": [], "effect": []}, dtype=object)
    rows, _ = _rows(experiment, dataset)
    arms = _arms_of_rows(experiment, rows)
    frame = pd.DataFrame({"arm": arms, "metric": rows["measures"], "value": rows["value"]})
    frame = frame.dropna(subset="arm")
    values = frame.set_index(["arm", "metric"])["value"]
    against = [(experiment.comparisons.get(arm, arm), metric) for arm, metric in values.index]
    frame["effect"] = frame["value"].to_numpy() - values.reindex(against).to_numpy()
    return frame.reset_index(drop=True)


def published_curve(experiment: Experiment, dataset: str) -> pd.DataFrame:
    """What the paper prints over the number that an experiment changes: ``value``, ``metric``, ``printed``.

    Args:
        experiment: the table.
        dataset: which of the :func:`published_datasets`.

    Raises:
        PublishedError: if there is no such table or data set, or it is not one over a number.
    """
    rows, columns = _rows(experiment, dataset)
    if columns.number is None:
        raise PublishedError(f"{experiment.table} of {experiment.paper} has no settings that are numbers")
    value = pd.to_numeric(rows[columns.number], errors="coerce")  # a baseline beside them has none
    frame = pd.DataFrame({"value": value, "metric": rows["measures"], "printed": rows["value"]})
    return frame.dropna(subset="value")


def _table(experiment: Experiment) -> tuple[pd.DataFrame, Columns]:
    """The published table of an experiment, and which of its columns say what.

    Raises:
        PublishedError: if there is none, or it holds nothing that a run measures.
    """
    if experiment.paper is None or experiment.table is None:
        raise PublishedError(f"no table is published for {experiment.name!r}")
    columns = COLUMNS.get((experiment.paper, experiment.table))
    if columns is None:
        raise PublishedError(
            f"{experiment.table} of {experiment.paper} holds nothing that a run measures; if it does, say in "
            "aucseg.experiments.published.COLUMNS which of its columns name data set and metric"
        )
    return published_table(experiment.paper, experiment.table), columns


def _rows(experiment: Experiment, dataset: str | None) -> tuple[pd.DataFrame, Columns]:
    """What a published table has for a data set, its first by default; ``measures`` is a record's metric.

    Raises:
        PublishedError: if there is no such table or data set.
    """
    table, columns = _table(experiment)
    known = table[columns.dataset].unique()
    if dataset not in (None, *known):
        raise PublishedError(
            f"no numbers of {experiment.name!r} on {dataset!r}: {experiment.table} of {experiment.paper} "
            f"prints nothing for {dataset!r}; it has {', '.join(map(repr, known))}"
        )
    rows = table[table[columns.dataset] == (known[0] if dataset is None else dataset)]
    rows = rows.assign(measures=rows[columns.metric].map(columns.metrics))
    return rows.dropna(subset="measures"), columns


def _arms_of_rows(experiment: Experiment, rows: pd.DataFrame) -> pd.Series:
    """The arm that each row of a published table is about, missing where it is about none.

    Raises:
        PublishedError: if an arm says that the table has it, and it has not.
    """
    named = {arm.published: arm.name for arm in experiment.arms if isinstance(arm.published, str)}
    # each table names its rows in a column of its own: model, surrogate, auc_calculation
    holders = [column for column in rows if named.keys() <= set(rows[column])]
    if not holders:
        raise PublishedError(
            f"no column of {experiment.table} of {experiment.paper} holds all of {', '.join(named)}; "
            f"mend the arms' published names in the catalogue"
        )
    found = rows[holders[0]].map(named).astype(object)
    for arm in experiment.arms:
        if isinstance(arm.published, Mapping):
            its = pd.Series(arm.published.keys() <= set(rows), index=rows.index)
            for column, value in arm.published.items():
                its &= column in rows and rows[column] == value
            if not its.any():
                raise PublishedError(
                    f"{experiment.table} of {experiment.paper} has no row with {dict(arm.published)}; "
                    f"mend arm {arm.name!r} in the catalogue"
                )
            found[its] = arm.name
    return found
