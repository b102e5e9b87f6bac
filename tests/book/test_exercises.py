"""Exercises of the chapters: each has a solution that is folded, stands alone, and asserts its answer."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from tests.repository import ROOT

CHAPTERS = ("auc_loss", "memory_bank", "sampling_bound", "long_tail", "blv", "region_rebalance")


def exercises(chapter: str) -> list[tuple[str, dict[str, Any]]]:
    """The text of each exercise and the cell below it."""
    cells = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    start = next(i for i, text in enumerate(texts) if text.startswith("## Exercises"))
    return [
        (text, cells[i + 1])
        for i, text in enumerate(texts)
        if i >= start and cells[i]["cell_type"] == "markdown"
    ]


SOLUTIONS = [
    pytest.param("".join(cell["source"]), id=f"{chapter}-{number}")
    for chapter in CHAPTERS
    for number, (_, cell) in enumerate(exercises(chapter), 1)
]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_of_a_method_has_exercises_with_a_folded_solution(chapter: str) -> None:
    found = exercises(chapter)
    assert len(found) >= 2
    for number, (text, cell) in enumerate(found, 1):
        assert f"**{number}. " in text
        assert "?" in text
        assert cell["cell_type"] == "code"
        assert cell["metadata"]["tags"] == ["hide-cell"]
        source = "".join(cell["source"])
        assert source.startswith("# ")  # the answer in words
        assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("source", SOLUTIONS)
def test_a_solution_holds_by_itself(source: str) -> None:
    exec(compile(source, "solution", "exec"), {"__name__": "solution"})
