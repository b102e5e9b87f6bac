"""The benchmark of the scan runs, and its drawn masks are what it says they are."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("AUCSEG_CAMVID", str(tmp_path / "no camvid here"))  # drawn masks are smaller
    return import_module("mask_statistics")


def test_masks_of_many_classes_have_the_shapes_of_few(script: ModuleType) -> None:
    few, many = (script.draw_mask(3, classes, (64, 96)) for classes in (19, 171))
    assert few[few < 255].max() < 19 <= many[many < 255].max() < 171
    # wherever the map of 19 classes has an edge, that of 171 has one too
    assert not ((few[:, 1:] != few[:, :-1]) & (many[:, 1:] == many[:, :-1])).any()
    assert np.array_equal(few, script.draw_mask(3, 19, (64, 96)))


def test_from_the_command_line_to_the_file(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "found.csv"
    monkeypatch.setattr(sys, "argv", ["mask_statistics.py", "--quick", "--device", "cpu", "--csv", str(path)])
    script.run_on_devices("mask_statistics", script.__doc__, script.measure, script.quick)
    table = pd.read_csv(path)
    throughput = 4 if find_spec("cv2") is None else 6
    parts = {"throughput": throughput, "classes": 4, "commands": 6, "growth": 2}
    assert table["part"].value_counts().to_dict() == parts
    assert (table.loc[table["candidate"] == "decode", "speed"] == 1).all()
    assert table["cpu_seconds"].gt(0).all()
    ratios = table[table["part"] == "commands"].set_index("candidate")
    both = ratios.loc["data verify", "cpu_seconds"] / ratios.loc["decode masks and images", "cpu_seconds"]
    assert ratios.loc["data verify", "cpu_ratio"] == pytest.approx(both, rel=1e-4)
