"""The repository keeps its own rules: no machine of ours in it, clean notebooks, a short README."""

from __future__ import annotations

import json
import os
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

import aucseg
from aucseg.cli.commands import commands
from tests.conftest import SLOW, spread
from tests.repository import PUBLIC, ROOT, project_files

TEXT = {
    ".py",
    ".md",
    ".toml",
    ".yml",
    ".yaml",
    ".txt",
    ".cfg",
    ".cff",
    ".ipynb",
    ".json",
    ".bib",
    ".css",
    ".csv",
}
# Written in pieces, so that this file does not find itself.
FOREIGN = re.compile(
    "|".join(
        [
            r"(?<![\w.:/])/(?:wo" + r"rk|ho" + r"me|ro" + r"ot|Us" + r"ers|op" + r"t/pypi)/[\w.]",
            r"/t" + r"mp/w\b",
            r"files\.pythonho" + r"sted\.org",
            r"download\.pyto" + r"rch\.org",
            r"pypi\.o" + r"rg/simple",
        ]
    )
)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def _text_files() -> list[Path]:
    return [path for path in project_files() if path.suffix in TEXT or path.name in ("Makefile", "run")]


def test_no_file_names_the_machine_it_was_written_on() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in _text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FOREIGN.search(line)
    ]
    assert not found, found


def test_foreign_pattern_knows_what_it_looks_for() -> None:
    assert FOREIGN.search("see /ho" + "me/somebody/data")
    assert not FOREIGN.search("https://example.org/ho" + "me/page and ../wo" + "rk/x")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_clean_and_parameterised(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code), "run: make format"
    tagged = [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    source = "".join(tagged[0]["source"])
    assert re.search(r"^profile = ", source, re.MULTILINE)
    assert re.search(r"^compute = ", source, re.MULTILINE)
    assert "papermill" not in notebook["metadata"]


def test_pages_and_notebooks_are_those_of_the_table_of_contents() -> None:
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    chapters += [section for chapter in chapters for section in chapter.get("sections", [])]
    listed = {chapter["file"] for chapter in chapters} | {toc["root"]}
    book = ROOT / "book"
    pages = {
        page.relative_to(book).with_suffix("").as_posix()
        for page in [*book.glob("*.md"), *book.glob("api/*.md")]
    }
    assert listed == pages | {f"notebooks/{path.stem}" for path in NOTEBOOKS}


def test_each_public_module_has_a_page_of_the_reference() -> None:
    documented = {
        name
        for page in (ROOT / "book" / "api").glob("*.md")
        for name in re.findall(r"automodule:: aucseg\.([\w.]+)", page.read_text(encoding="utf-8"))
    }
    assert set(PUBLIC) <= documented


def test_readme_is_short_and_its_links_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) < 120
    links = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in link]
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing, missing


def test_commands_in_the_prose_exist() -> None:
    tree = get_command(commands)
    prose = [ROOT / "README.md", *(ROOT / "book").glob("*.md")]
    for path in prose:
        for line in re.findall(
            r"(?:^|`)aucseg ([a-z].*?)(?:`|$)", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            words = line.split()
            command = tree.commands.get(words[0])  # type: ignore[attr-defined]
            assert command is not None, f"{path.name}: no command `aucseg {words[0]}`"
            if hasattr(command, "commands"):
                # a sweep is of an experiment by its name, beside the commands that are about sweeps
                inner = command.commands.get(words[1]) or command.commands.get("run")
                assert inner is not None, f"{path.name}: no command `aucseg {words[0]} {words[1]}`"
                command = inner
            known = {
                option
                for parameter in command.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            unknown = [word for word in words if word.startswith("--") and word not in known]
            assert not unknown, f"{path.name}: `aucseg {line}` has no {unknown}"


def test_targets_in_the_prose_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for path in [ROOT / "README.md", *(ROOT / "book").glob("*.md")]:
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, f"{path.name}: {named - targets}"


def test_make_bench_measures_what_is_committed() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    measured = re.search(r"^BENCHMARKS := (.+)$", makefile, re.MULTILINE)
    assert measured is not None
    files = {path.stem for path in (ROOT / "data" / "benchmarks").glob("*.csv")}
    attacked = {"reliability"} & files  # by `make chaos`
    assert files == set(measured[1].split()) | attacked
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in files - attacked)


def test_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert aucseg.__version__ == project["version"] == citation["version"]
    assert citation["license"] == project["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "make test"]


def test_every_published_table_is_indexed() -> None:
    published = ROOT / "data" / "published"
    lines = (published / "index.csv").read_text(encoding="utf-8").splitlines()[1:]
    listed = {name for line in lines for name in re.findall(r"[\w/]+\.csv", line)}
    assert listed == {str(path.relative_to(published)) for path in published.rglob("*.csv")} - {"index.csv"}


@pytest.mark.parametrize("place", SLOW)
def test_what_takes_long_is_there(place: str) -> None:
    assert (ROOT / "tests" / place).exists(), "SLOW in tests/conftest.py names what `make quick` leaves out"


@pytest.mark.parametrize("workers", [2, 3])
def test_each_worker_begins_with_its_part_of_what_is_slow(workers: int) -> None:
    """xdist gives each worker an equal stretch of the order, and whole groups stay together."""
    long, short = [["a1", "a2", "a3"], ["b1"], ["c1", "c2"], ["d1"]], [f"{i}" for i in range(20)]
    order = spread(long, short, workers)
    assert sorted(order) == sorted([*short, *chain.from_iterable(long)])
    starts = [len(order) * worker // workers for worker in range(workers)]
    for worker, start in enumerate(starts):
        mine = [name for group in long[worker::workers] for name in group]
        assert order[start : start + len(mine)] == mine
    # more of them than a part holds, or nothing else: none is lost
    assert sorted(spread(long, [], workers)) == sorted(chain.from_iterable(long))
