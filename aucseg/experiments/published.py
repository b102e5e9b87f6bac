"""What the papers print: their tables as files, and the effects that an experiment has there."""

from __future__ import annotations

import pandas as pd

from aucseg import paths
from aucseg.experiments.catalogue import Experiment


class PublishedError(ValueError):
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
    known = published_datasets(experiment)
    if experiment.paper is None or experiment.table is None:
        return pd.DataFrame({"arm": [], "metric": [], "value": [], "effect": []}, dtype=object)
    table = published_table(experiment.paper, experiment.table)
    dataset = known[0] if dataset is None else dataset
    if dataset not in known:
        raise PublishedError(
            f"{experiment.table} of {experiment.paper} prints nothing for {dataset!r}; it has "
            + ", ".join(map(repr, known))
        )
    names = {arm.published: arm.name for arm in experiment.arms if arm.published}
    # each table names its rows in a column of its own: model, surrogate, auc_calculation
    holders = [column for column in table if names.keys() <= set(table[column])]
    if not holders:
        raise PublishedError(
            f"no column of {experiment.table} of {experiment.paper} holds all of {', '.join(names)}; "
            f"mend the arms' published names in the catalogue"
        )
    split_to_metric = {"overall": "mIoU"} | {g: f"mIoU_{g}" for g in ("head", "middle", "tail")}
    table = table[(table["dataset"] == dataset) & table[holders[0]].isin(names)]
    frame = pd.DataFrame(
        {
            "arm": table[holders[0]].map(names),
            "metric": table["split"].map(split_to_metric),
            "value": table["value"],
        }
    )
    base = frame[frame["arm"] == experiment.baseline].set_index("metric")["value"]
    frame["effect"] = frame["value"] - frame["metric"].map(base)
    return frame.reset_index(drop=True)
