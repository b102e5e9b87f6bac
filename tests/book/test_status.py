"""The pages about the book itself: what they show is what the files say."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml

import aucseg
from tests.repository import ROOT


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    return pytest.importorskip("status_facts")


def executed(path: Path, papermill: dict[str, object]) -> None:
    path.write_text(json.dumps({"cells": [], "metadata": {"papermill": papermill}}))


def test_runtimes_are_those_that_papermill_noted(status: ModuleType, tmp_path: Path) -> None:
    toc = {
        "root": "intro",
        "parts": [
            {"chapters": [{"file": "prose", "sections": [{"file": "notebooks/b"}]}, {"file": "notebooks/a"}]},
            {"chapters": [{"file": "notebooks/c"}, {"file": "notebooks/d"}]},
        ],
    }
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    (tmp_path / "notebooks").mkdir()
    noted = {"parameters": {"profile": "laptop", "compute": "never"}, "end_time": "2026-11-30T17:49:58.1"}
    executed(tmp_path / "notebooks" / "a.ipynb", noted | {"duration": 12.4})
    executed(tmp_path / "notebooks" / "b.ipynb", noted | {"duration": 7.9})
    executed(tmp_path / "notebooks" / "c.ipynb", {})  # as it lies in the repository
    told = status.facts(tmp_path)["status_chapters"]  # of a book that is built elsewhere
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines()]
    assert rows[2:] == [
        ["{doc}`notebooks/b`", "laptop", "never", "8", "2026-11-30"],
        ["{doc}`notebooks/a`", "laptop", "never", "12", "2026-11-30"],
        ["{doc}`notebooks/c`", "", "not executed", "", ""],
        ["{doc}`notebooks/d`", "", "not executed", "", ""],
        ["all, one after the other", "", "", "20", ""],
    ]


def test_every_chapter_is_on_the_page(status: ModuleType) -> None:
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    there = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(status.chapters(toc)) == there
    assert len(status.chapters(toc)) == len(there)


def test_a_device_that_was_not_measured_is_said_once(status: ModuleType) -> None:
    rows = pd.DataFrame({"hardware": ["B", "A", "A"], "date": ["2026-11-03", "2026-11-01", "2026-11-02"]})
    assert status.measured_by(rows) == "A; B, 2026-11-01 to 2026-11-03"
    assert status.measured_by(rows[:0]) == "not measured"
    lines = status._benchmarks().splitlines()[2:]
    assert len(lines) == len(list((ROOT / "data" / "benchmarks").glob("*.csv")))
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert not re.search(r"(PU|\(\)\}): not measured", path.read_text(encoding="utf-8")), path.name


def test_records_are_counted(status: ModuleType) -> None:
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in status._records().splitlines()[2:]]
    laptop = list((ROOT / "data" / "records" / "laptop").glob("*.json"))
    assert sum(int(number) for _, profile, number, _ in rows if profile == "laptop") == len(laptop)
    hours = sum(json.loads(path.read_text())["timing"]["seconds_total"] for path in laptop) / 3600
    told = sum(float(number) for _, profile, _, number in rows if profile == "laptop")
    assert told == pytest.approx(hours, abs=0.05 * len(rows))


def test_what_is_to_be_cited_has_the_version_of_the_package(status: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cff["version"] == project["version"] == aucseg.__version__
    assert cff["license"] == project["license"]
    assert f"version = {{{project['version']}}}" in status._software()
    papers = status._papers()
    assert papers.count("\n@") == 3
    titles = [reference["title"] for reference in cff["references"]]
    plain = papers.replace("{", "").replace("}", "")
    assert all(title in plain for title in titles)


def test_dollars_of_the_changelog_are_no_mathematics(
    status: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n- costs $1 or $2; `$NAME` stays, `a` and $3\n")
    monkeypatch.setattr(status, "ROOT", tmp_path)
    assert status.changelog() == "# Changelog\n\n- costs \\$1 or \\$2; `$NAME` stays, `a` and \\$3\n"
