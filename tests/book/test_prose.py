"""Sentences that a chapter ends with: their numbers come out of records, and are these."""

from __future__ import annotations

import json
import re

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
    (text,) = said
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
    assert "lifts the tail of 8 of the 8 networks" in text
    assert "OCRNet gains least" in text
