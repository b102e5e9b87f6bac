"""What the papers print: their tables as files, and the effects that an experiment has there."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from aucseg import paths
from aucseg.errors import UserError
from aucseg.experiments.catalogue import Experiment

# split of a published table: metric of a record
_METRICS = {"overall": "mIoU"} | {group: f"mIoU_{group}" for group in ("head", "middle", "tail")}


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


def published_datasets(experiment: Experiment) -> tuple[str, ...]:
    """The data sets of the published table of an experiment, in the order in which it prints them.

    Args:
        experiment: the table.

    Returns:
        Their names as the paper writes them; none if nothing is published.
    """
    if experiment.paper is None or experiment.table is None:
        return ()
    return tuple(published_table(experiment.paper, experiment.table)["dataset"].unique())


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
    rows = _rows(experiment, dataset)
    arms = _arms_of_rows(experiment, rows)
    frame = pd.DataFrame({"arm": arms, "metric": rows["split"].map(_METRICS), "value": rows["value"]}).dropna(
        subset="arm"
    )
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
    rows = _rows(experiment, dataset)
    if "setting_numeric" not in rows:
        raise PublishedError(f"{experiment.table} of {experiment.paper} has no settings that are numbers")
    return pd.DataFrame(
        {
            "value": rows["setting_numeric"],
            "metric": rows["split"].map(_METRICS),
            "printed": rows["value"],
        }
    )


def _rows(experiment: Experiment, dataset: str | None) -> pd.DataFrame:
    """The rows that the published table of an experiment has for a data set, its first by default.

    Raises:
        PublishedError: if there is no such table or data set.
    """
    if experiment.paper is None or experiment.table is None:
        raise PublishedError(f"no table is published for {experiment.name!r}")
    table = published_table(experiment.paper, experiment.table)
    known = table["dataset"].unique()
    if dataset not in (None, *known):
        raise PublishedError(
            f"no numbers of {experiment.name!r} on {dataset!r}: {experiment.table} of {experiment.paper} "
            f"prints nothing for {dataset!r}; it has {', '.join(map(repr, known))}"
        )
    return table[table["dataset"] == (known[0] if dataset is None else dataset)]


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
