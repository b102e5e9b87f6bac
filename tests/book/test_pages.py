"""Numbers of the prose pages: recomputed by other means, and all of them used."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from tests.repository import ROOT

PAGES = sorted((ROOT / "book").glob("*.md"))


@pytest.fixture
def page_facts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    return pytest.importorskip("page_facts")


def test_pages_use_known_facts_and_every_fact_is_used(page_facts: ModuleType) -> None:
    used = {
        name for page in PAGES for name in re.findall(r"\{\{ (\w+) \}\}", page.read_text(encoding="utf-8"))
    }
    assert used == set(page_facts.facts())


def test_remark_2(page_facts: ModuleType) -> None:
    facts = page_facts.facts()
    assert (facts["example_b_printed"], facts["example_b"], facts["example_needed"]) == ("759", "752", "459")
    assert int(facts["cityscapes_needed"]) <= int(facts["cityscapes_b_own"]) <= int(facts["cityscapes_b"])


def test_shares_are_those_of_the_statistics(page_facts: ModuleType) -> None:
    stats = pd.read_csv(ROOT / "data" / "class_stats" / "cityscapes_train.csv")
    tail = stats.loc[stats["aucseg_release_tail"] == 1]
    facts = page_facts.facts()
    assert facts["tail_percent"] == f"{tail['pixel_pct'].sum():.2f}"
    assert facts["tail_names"].split(", ") == list(tail["name"])
    assert facts["imbalance"] == f"{stats['pixels'].max() / stats['pixels'].min():.0f}"


def test_batch_table_against_the_counted_files(page_facts: ModuleType) -> None:
    """Proposition 1 by its formula, from the files under ``data/`` and not from the package's copies."""
    lines = page_facts.facts()["batch_table"].splitlines()[2:]
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


def test_figures_are_the_same_file_each_time(page_facts: ModuleType, tmp_path: Path) -> None:
    page_facts.draw(tmp_path / "a")
    page_facts.draw(tmp_path / "b")
    drawn = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert drawn == ["batch_size.svg", "long_tail.svg", "pairs.svg"]
    for name in drawn:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_book_has_no_colours_and_no_formulas_of_its_own() -> None:
    """What a page shows comes from the package: its glue chooses no colour, takes no logarithm."""
    for path in (ROOT / "book" / "_ext").glob("*.py"):
        code = path.read_text(encoding="utf-8")
        for foreign in (r"#[0-9a-fA-F]{6}\b", r"\blog1?p?\(", r"\bread_csv\b", r"\bimport (math|numpy)\b"):
            assert not re.search(foreign, code), f"{path.name}: {foreign}"


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
