"""All records as a list that can be browsed: what each holds in a line, and which tables read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, get_args

from aucseg.errors import UserError
from aucseg.experiments.catalogue import EXPERIMENTS, Experiment
from aucseg.experiments.durations import training_seconds
from aucseg.experiments.profiles import Start
from aucseg.experiments.results import table_key
from aucseg.training import Record, RunConfig

_ANY_SEED = 0


def record_listing(
    records: Iterable[Record], experiments: Iterable[Experiment] = tuple(EXPERIMENTS.values())
) -> list[dict[str, Any]]:
    """One entry for each record, ready for JSON.

    Keys: ``identity``, ``profile``, ``dataset``, ``seed``, ``commit`` (seven digits), ``seconds``, ``mIoU``
    and ``tail`` in percent, and ``tables``: for each table of the catalogue that reads the record, a key as
    that of :class:`Provenance` and the name of the arm.

    Args:
        records: the records.
        experiments: whose tables are looked at.
    """
    records, experiments = list(records), list(experiments)
    places = {(record.config["data"]["name"], record.profile) for record in records}
    seeds = {_ANY_SEED, *(record.config["seed"] for record in records)}
    starts: tuple[Start | None, ...] = (None, *get_args(Start))
    tables: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for dataset, profile in sorted(places):
        for experiment in experiments:
            for start in starts:
                try:
                    runs = experiment.runs(dataset, profile, [_ANY_SEED], start=start)
                except UserError:  # a table that this data set, profile or start does not have
                    continue
                key = table_key(experiment, dataset, profile, start)
                if any(run.config.init_from for run in runs):  # a first stage has a seed of its own
                    runs = experiment.runs(dataset, profile, sorted(seeds), start=start)
                for run in runs:
                    tables[f"{profile}/{run.config.identity}"].append((key, run.arm.name))
    return [_entry(record, tables) for record in records]


def _entry(record: Record, tables: dict[str, list[tuple[str, str]]]) -> dict[str, Any]:
    seed = record.config["seed"] if record.config.get("init_from") else _ANY_SEED
    config = RunConfig.from_dict(record.config | {"seed": seed}, source=record.identity, recorded=True)
    tail = record.metrics.get("mIoU_tail")
    return {
        "identity": record.identity,
        "profile": record.profile,
        "dataset": record.config["data"]["name"],
        "seed": record.config["seed"],
        "commit": (record.git_commit or "")[:7],
        "seconds": round(training_seconds(record.timing, record.config), 1),
        "mIoU": round(100 * record.metrics["mIoU"], 2),
        "tail": None if tail is None else round(100 * tail, 2),
        "tables": tables.get(f"{record.profile}/{config.identity}", []),
    }
