"""Sentences about measured numbers: computed ones are right, and typed ones do not judge."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aucseg.experiments import Results, published_effects
from tests.repository import ROOT

pytest.importorskip("IPython", reason="needs the extra aucseg[book]")

COUNTED = r"(\d+(\.\d+)?|half a|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"


def ending(notebook: str, heading: str) -> list[dict[str, object]]:
    """The cells from a heading to the end."""
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    start = next(i for i, cell in enumerate(cells) if "".join(cell["source"]).startswith(heading))
    return [cell | {"source": "".join(cell["source"])} for cell in cells[start:]]


def test_what_the_chapter_on_networks_adds_up_to() -> None:
    cells = ending("networks", "## What it adds up to")
    said: list[str] = []
    space: dict[str, object] = {
        "Results": Results,
        "published_effects": published_effects,
        "say": said.append,
    }
    exec("import pandas as pd", space)
    for cell in cells:
        if cell["cell_type"] == "markdown":
            assert not re.search(rf"\b{COUNTED}( and a half)? points?\b", str(cell["source"]))
        else:
            exec(str(cell["source"]), space)
    text, limits = said
    assert limits.startswith(
        f"**Limits.** {Results('backbones', 'streets', 'laptop', None, 'never').setting}"
    )
    # by hand, from the runs alone: the mean over seeds of the difference of two arms
    gains = {}
    for name in ("backbones", "segnext_sizes"):
        results = Results(name, "streets", "laptop", None, "never")
        runs = results.tidy.query("metric == 'mIoU_tail'").pivot_table(
            index="seed", columns="arm", values="value"
        )
        for arm, baseline in results.experiment.comparisons.items():
            gains[results.labels[baseline]] = float((runs[arm] - runs[baseline]).mean())
    assert len(gains) == 8
    least, most = min(gains, key=gains.__getitem__), max(gains, key=gains.__getitem__)
    assert (least, f"{gains[least]:.1f}") == ("OCRNet", "2.5")
    assert f"from {gains[least]:.1f} points for {least} to {gains[most]:.1f} for {most};" in text
    assert "the smallest is that of OCRNet" in text
    # verdicts are those of the intervals, by Student's table for three seeds
    sure = {"rise": 0, "fall": 0}
    for name in ("backbones", "segnext_sizes"):
        results = Results(name, "streets", "laptop", None, "never")
        runs = results.tidy.query("metric == 'mIoU_tail'").pivot_table(
            index="seed", columns="arm", values="value"
        )
        for arm, baseline in results.experiment.comparisons.items():
            change = (runs[arm] - runs[baseline]).dropna()
            assert len(change) == 3
            half = 4.302653 * change.std(ddof=1) / 3**0.5
            sure["rise"] += change.mean() > half
            sure["fall"] += -change.mean() > half
    open_ = 8 - sure["rise"] - sure["fall"]
    assert (
        f"by their intervals {sure['rise']} rise, {sure['fall']} fall and {open_} are undecided. The means"
        in text
    )


# Words that judge, and typed amounts. A typed sentence with one of them must be about what is printed, ask,
# or be in the list of those that were looked at: definitions, theory, and what the words of tables mean.
JUDGES = re.compile(
    r"\b(ahead|helps?|hurts?|lifts?|beats?|wins?|better|worse|best|gains?|improves?|outperforms?|pays"
    r"|cheaper|faster|slower|costs? (?:the|more|less|a|no)|no more than|half the|twice|times as)\b"
    r"|\b\d+(?:\.\d+)? points?\b|\d ?± ?\d"
)
OF_PRINT = re.compile(
    r"paper|print|publish|table|theorem|supplement|release|claims|appendix|\?", re.IGNORECASE
)
LOOKED_AT = Path(__file__).with_name("looked_at.txt")


def typed_texts() -> Iterator[tuple[str, str]]:
    """What is typed in the chapters and pages, by the name of the file."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                yield path.stem, "".join(cell["source"])
    for path in sorted((ROOT / "book").glob("*.md")):
        yield path.stem, path.read_text(encoding="utf-8")


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text without its code and displayed formulas; a row of a table is one."""
    text = re.sub(r"```.*?```|\$\$.*?\$\$", " ", text, flags=re.DOTALL)
    for paragraph in re.split(r"\n\s*\n|\n(?=[-|#*])", text):
        yield from re.split(r"(?<=[.!?:])\s+(?=[A-Z*`{$])", " ".join(paragraph.split()))


def test_typed_sentences_that_judge_were_looked_at() -> None:
    """No verdict on a measured number is typed: records come, and the sentence would stay.

    A new sentence of this kind is either computed by a cell, or one of what cannot change with a record;
    such a one goes into the list, and what is gone leaves it.
    """
    judging = {
        f"{name}: {sentence}"
        for name, text in typed_texts()
        for sentence in sentences(text)
        if JUDGES.search(sentence) and not OF_PRINT.search(sentence)
    }
    known = set(LOOKED_AT.read_text(encoding="utf-8").splitlines())
    assert judging - known == set()
    assert known - judging == set()


def test_sentences_that_judge_are_found() -> None:
    text = (
        "The bank helps the tail. In print it does better.\n\n| AUC | 2.5 points |\n\nDoes it help?\n\n$$x$$"
    )
    found = [one for one in sentences(text) if JUDGES.search(one) and not OF_PRINT.search(one)]
    assert found == ["The bank helps the tail.", "| AUC | 2.5 points |"]
