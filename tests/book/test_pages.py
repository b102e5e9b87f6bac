"""Numbers of the prose pages: recomputed by other means, and all of them used."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
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


@pytest.mark.parametrize(("k", "p"), [(19, 0.01), (19, 142 / 2975), (150, 41 / 20210), (2, 0.5)])
def test_sufficient_batch_is_the_smallest_that_the_union_bound_allows(
    page_facts: ModuleType, k: int, p: float
) -> None:
    batch = page_facts.sufficient_batch(k, p)
    assert k * (1 - p) ** batch <= 0.01 < k * (1 - p) ** (batch - 1)
    needed = page_facts.necessary_batch(p)
    assert (1 - p) ** needed <= 0.01 < (1 - p) ** (needed - 1)


def test_remark_2(page_facts: ModuleType) -> None:
    facts = page_facts.facts()
    assert (facts["example_b_printed"], facts["example_b"], facts["example_needed"]) == ("759", "752", "459")
    assert int(facts["cityscapes_needed"]) <= int(facts["cityscapes_b_own"]) <= int(facts["cityscapes_b"])


def test_sufficient_batch_suffices_in_a_simulation(page_facts: ModuleType) -> None:
    rng, k, p = np.random.default_rng(0), 5, 0.2
    batch = page_facts.sufficient_batch(k, p, delta=0.1)
    held = rng.random((4_000, batch, k)) < p
    failure = 1 - held.any(axis=1).all(axis=1).mean()
    assert failure <= 0.1
    assert failure > 0.02  # a bound, but not a loose one


def test_shares_are_those_of_the_statistics(page_facts: ModuleType) -> None:
    stats = pd.read_csv(ROOT / "data" / "class_stats" / "cityscapes_train.csv")
    tail = stats.loc[stats["aucseg_release_tail"] == 1]
    facts = page_facts.facts()
    assert facts["tail_percent"] == f"{tail['pixel_pct'].sum():.2f}"
    assert facts["tail_names"].split(", ") == list(tail["name"])
    assert facts["imbalance"] == f"{stats['pixels'].max() / stats['pixels'].min():.0f}"


def test_figures_are_the_same_file_each_time(page_facts: ModuleType, tmp_path: Path) -> None:
    import page_figures

    page_figures.draw(tmp_path / "a")
    page_figures.draw(tmp_path / "b")
    drawn = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert drawn == ["batch_size.svg", "long_tail.svg", "pairs.svg"]
    for name in drawn:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


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
