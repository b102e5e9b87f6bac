"""What the papers print, item by item: where each stands in the book, at which scale, and what is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from aucseg import paths
from aucseg.experiments.catalogue import get_experiment

COVERAGE_STATES = {
    "measured": "published beside measured, from records",
    "recomputed": "the printed numbers are checked against the data or against one another",
    "built": "the formula, method or picture is there, from code that is tested",
    "shown": "as published",
    "partly": "a part, or another scale; the note says which",
    "open": "not built",
    "not here": "cannot be done here; the note says why",
    "nothing to rebuild": "prose",
}


def coverage_table() -> pd.DataFrame:
    """One row for each table, figure, equation, theorem, setting, network and metric of the three papers.

    Columns: ``paper``, ``item``, ``what``, ``state`` (a key of :data:`COVERAGE_STATES`), ``pages`` and
    ``experiments`` (tuples of names), ``note``.
    """
    table = pd.read_csv(paths.published() / "coverage.csv", keep_default_na=False)
    for column in ("pages", "experiments"):
        table[column] = [tuple(cell.split()) for cell in table[column]]
    return table


def recorded_arms(listing: Iterable[Mapping[str, Any]], name: str) -> str:
    """How much of an experiment is recorded, in words: ``"blv_parts: 5 of 5 arms, 3 seeds (streets)"``.

    Seeds are those that every recorded arm of a data set has.

    Args:
        listing: of :func:`record_listing`.
        name: of the experiment.
    """
    seeds: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for entry in listing:
        for key, arm in entry["tables"]:
            experiment, dataset, *_ = key.split("/")
            if experiment == name:
                seeds[dataset][arm].add(entry["seed"])
    arms = len(get_experiment(name).arms)
    if not seeds:
        return f"{name}: not run"
    places = []
    for dataset, found in sorted(seeds.items(), key=lambda pair: -len(pair[1])):
        common = min(len(of_arm) for of_arm in found.values())
        places.append(f"{len(found)} of {arms} arms, {common} seed{'' if common == 1 else 's'} ({dataset})")
    return f"{name}: {'; '.join(places)}"
