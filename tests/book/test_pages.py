"""Numbers of the prose pages: recomputed by other means, and all of them used."""

from __future__ import annotations

import ast
import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from tests.chaos.fuzz import SUBJECTS
from tests.repository import ROOT

PAGES = sorted((ROOT / "book").glob("*.md"))


@pytest.fixture
def page_facts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    return pytest.importorskip("page_facts")


@pytest.fixture(scope="module")
def facts() -> dict[str, str]:
    """Every substitution of the pages, made once: they come from all records."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "book" / "_ext"))
        found: dict[str, str] = pytest.importorskip("page_facts").facts()
    return found


def test_pages_use_known_facts_and_every_fact_is_used(facts: dict[str, str]) -> None:
    used = {
        name for page in PAGES for name in re.findall(r"\{\{ (\w+) \}\}", page.read_text(encoding="utf-8"))
    }
    assert used == set(facts)


def test_remark_2(facts: dict[str, str]) -> None:
    assert (facts["example_b_printed"], facts["example_b"], facts["example_needed"]) == ("759", "752", "459")
    assert int(facts["cityscapes_needed"]) <= int(facts["cityscapes_b_own"]) <= int(facts["cityscapes_b"])


def test_shares_are_those_of_the_statistics(facts: dict[str, str]) -> None:
    stats = pd.read_csv(ROOT / "data" / "class_stats" / "cityscapes_train.csv")
    tail = stats.loc[stats["aucseg_release_tail"] == 1]
    assert facts["tail_percent"] == f"{tail['pixel_pct'].sum():.2f}"
    assert facts["tail_names"].split(", ") == list(tail["name"])
    assert facts["imbalance"] == f"{stats['pixels'].max() / stats['pixels'].min():.0f}"


def test_batch_table_against_the_counted_files(facts: dict[str, str]) -> None:
    """Proposition 1 by its formula, from the files under ``data/`` and not from the package's copies."""
    lines = facts["batch_table"].splitlines()[2:]
    files = {"cityscapes_train": 2_975, "ade20k_train": 20_210, "cocostuff164k_train": 118_287}
    for line, (name, images) in zip(lines, files.items(), strict=True):
        stats = pd.read_csv(ROOT / "data" / "class_stats" / f"{name}.csv")
        p = stats["images"].min() / images
        enough, needed = (math.ceil(math.log(0.01 / k) / math.log(1 - p)) for k in (len(stats), 1))
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1:3] == [str(len(stats)), f"{images:,}"]
        assert cells[4:] == [f"{p:.2%}", f"{enough:,}", f"{needed:,}"]
        rarest = stats.loc[stats["images"].idxmin()]
        assert cells[3] == f"{rarest['name'].strip()} ({rarest['images']})"


def test_figures_are_the_same_text_each_time(page_facts: ModuleType) -> None:
    first, second = page_facts.figures(), page_facts.figures()
    assert sorted(first) == ["figure_batch_size", "figure_landing", "figure_long_tail", "figure_pairs"]
    assert first == second


def test_the_book_has_no_colours_and_no_formulas_of_its_own() -> None:
    """What a page shows comes from the package: its glue chooses no colour, takes no logarithm."""
    for path in (ROOT / "book" / "_ext").glob("*.py"):
        code = path.read_text(encoding="utf-8")
        for foreign in (r"#[0-9a-fA-F]{6}\b", r"\blog1?p?\(", r"\bread_csv\b", r"\bimport (math|numpy)\b"):
            assert not re.search(foreign, code), f"{path.name}: {foreign}"


def test_every_test_that_a_promise_names_is_there() -> None:
    """`tests/a/test_b.py::test_c` in the page on promises is a function of that file."""
    page = (ROOT / "book" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 30
    assert len(re.findall(r"tests/", page)) == len(named)
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in found, f"{file} has no {name}"
    # each row of the tables has a test
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    assert all("::test_" in line for line in rows if not line.endswith(("| held by |",)))


def test_the_attack_on_the_page_is_that_of_the_file(facts: dict[str, str]) -> None:
    found = pd.read_csv(ROOT / "data" / "benchmarks" / "reliability.csv")
    assert set(found["driver"]) == {"kill", "disk", "flip", "concurrency", "fuzz"}
    inputs = facts["chaos_inputs"].splitlines()[2:]
    fuzzed = found[found["driver"] == "fuzz"]
    assert len(inputs) == len(fuzzed)
    assert set(fuzzed["subject"]) == set(SUBJECTS)
    for line, row in zip(inputs, fuzzed.itertuples(), strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[:2] == [f"`{row.subject}`", f"{row.cases:,}"]
    assert len(facts["chaos_runs"].splitlines()) == 2 + (found["driver"] != "fuzz").sum()
    assert found["failures"].sum() == 0


def test_the_style_hides_no_part_of_a_table() -> None:
    style = (ROOT / "book" / "_static" / "custom.css").read_text()
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", style)
    hidden = [selector.strip() for selector, body in rules if "display: none" in body]
    assert not [selector for selector in hidden if re.search(r"\b(t[hdr]|thead|tbody|caption)\b", selector)]


def test_the_page_names_every_chapter_that_trains_networks() -> None:
    """`reproduce` says which notebooks train a network beside the records that they read."""
    trains = {
        path.stem
        for path in (ROOT / "notebooks").glob("*.ipynb")
        if ".network(" in "".join(line for cell in code_cells(path) for line in cell["source"])
    }
    page = (ROOT / "book" / "reproduce.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"read records and nothing\s+else\*\*([^.]*)\.", page)
    assert set(re.findall(r"<notebooks/(\w+)>", sentence)) == trains


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_every_cited_work_is_in_the_bibliography() -> None:
    entries = re.findall(
        r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(set(entries)) == len(entries)
    sources = [*PAGES, *(ROOT / "notebooks").glob("*.ipynb")]
    cited = {
        key.strip()
        for path in sources
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", path.read_text(encoding="utf-8"))
        for key in keys.split(",")
    }
    assert cited <= set(entries), cited - set(entries)


def test_reading_time_is_that_of_the_prose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    aucseg_pages = pytest.importorskip("aucseg_pages")
    prose = "<h1>Title</h1>" + "<p>" + "word " * 999 + "</p>"
    rest = "<pre>" + "code " * 4000 + "</pre><table><tr><td>" + "1 " * 4000 + "</td></tr></table>"
    assert aucseg_pages.reading_minutes(prose) == 5
    assert aucseg_pages.reading_minutes(prose + rest) == 5
    assert aucseg_pages.reading_minutes("<h1>Title</h1>") == 1
    context = {"body": prose}
    aucseg_pages.add_reading_time(None, "problem", "page.html", context, None)
    assert context["body"].startswith(
        '<h1>Title</h1>\n<p class="aucseg-reading">Reading time: 5 minutes.</p>'
    )
    reference = {"body": prose}
    aucseg_pages.add_reading_time(None, "api/losses", "page.html", reference, None)
    assert reference["body"] == prose


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_each_chapter_begins_with_its_answer_and_the_scale_of_its_evidence(notebook: Path) -> None:
    """Before the first heading below its title."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    assert "?" in sources[0][1], "its question"
    heading = next(
        i for i, (kind, text) in enumerate(sources) if kind == "markdown" and text.startswith("## ")
    )
    told = [(kind, text) for kind, text in sources[:heading] if "**In short.**" in text]
    assert len(told) == 1
    ((kind, text),) = told
    assert "**Evidence.**" in text
    # what has numbers of records in it is made by a cell
    assert kind == "code" or not re.search(r"\d\.\d", text.partition("**In short.**")[2])
