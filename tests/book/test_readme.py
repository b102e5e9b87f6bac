"""What README.md says about results is what the records say."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from aucseg.experiments import Results
from tests.repository import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def readme_result(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    return pytest.importorskip("readme_result")


def test_results_are_those_of_the_records(readme_result: ModuleType) -> None:
    assert readme_result.with_results(README) == README, "run: python book/readme_result.py --write"


def test_a_number_by_hand(readme_result: ModuleType) -> None:
    """The first cell, from the records alone: the mean over seeds of the difference of two runs."""
    results = Results("ablation_components", "streets", "laptop", compute="never")
    gains = []
    for seed in results.seeds:
        both = [results.record(arm, seed) for arm in ("auc", "baseline")]
        assert all(both)
        gains.append(100 * (both[0].metrics["mIoU_tail"] - both[1].metrics["mIoU_tail"]))
    (cell,) = re.findall(r"the AUC loss beside cross entropy \| (\S+) ±", README)
    assert float(cell) == pytest.approx(sum(gains) / len(gains), abs=0.005)


def test_a_readme_without_its_marks_is_named(readme_result: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"lacks the mark '<!-- end of results -->'"):
        readme_result.with_results(f"# x\n{readme_result.BEGIN}\n")
