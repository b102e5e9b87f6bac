"""Every item of the three papers has a row that leads somewhere."""

from __future__ import annotations

import json

import pytest

from aucseg import paths
from aucseg.experiments import COVERAGE_STATES, EXPERIMENTS, coverage_table, recorded_arms
from aucseg.experiments.catalogue import get_experiment
from tests.repository import ROOT

TABLE = coverage_table()
FILES = {"aucseg": "AUCSeg", "blv": "BLV", "rr": "Region Rebalance"}


def test_each_printed_table_and_figure_that_is_kept_has_a_row() -> None:
    items = {(row.paper, row.item) for row in TABLE.itertuples()}
    for folder, paper in FILES.items():
        for file in (paths.published() / folder).glob("*table_*.csv"):
            words = (
                file.stem.replace("supp_", "Supp. ").replace("table_0", "table_").replace("table_", "Table ")
            )
            assert (paper, words) in items, file


def test_rows_lead_to_pages_and_experiments_that_exist() -> None:
    assert not TABLE.duplicated(["paper", "item"]).any()
    assert set(TABLE["paper"]) == set(FILES.values())
    for row in TABLE.itertuples():
        assert row.state in COVERAGE_STATES
        assert row.pages or row.state in ("open", "not here", "nothing to rebuild"), row.item
        assert row.note or row.state not in ("partly", "open", "not here"), row.item
        for page in row.pages:
            places = (ROOT / "book" / f"{page}.md", ROOT / "notebooks" / f"{page}.ipynb")
            assert any(place.is_file() for place in places), (row.item, page)
        assert set(row.experiments) <= set(EXPERIMENTS), row.item
        if row.state == "measured":
            assert row.experiments or row.pages, row.item


def test_each_experiment_of_a_paper_is_named_by_a_row_of_it() -> None:
    named = {(row.paper, name) for row in TABLE.itertuples() for name in row.experiments}
    for name, experiment in EXPERIMENTS.items():
        if experiment.paper is not None:
            assert (FILES[experiment.paper], name) in named, name


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        ([], "blv_parts: not run"),
        ([("streets", 0, 0), ("streets", 0, 1), ("streets", 1, 0)], "2 of 5 arms, 1 seed (streets)"),
        (
            [("streets", 0, 0), ("camvid", 0, 1), ("streets", 1, 0)],
            "2 of 5 arms, 1 seed (streets); 1 of 5 arms, 1 seed (camvid)",
        ),
    ],
)
def test_recorded_arms(seeds: list[tuple[str, int, int]], told: str) -> None:
    arms = [arm.name for arm in get_experiment("blv_parts").arms]
    assert len(arms) == 5
    listing = [
        {"seed": seed, "tables": [[f"blv_parts/{place}/laptop", arms[number]], ["other/x/laptop", "y"]]}
        for place, number, seed in seeds
    ]
    assert recorded_arms(json.loads(json.dumps(listing)), "blv_parts").endswith(told)
