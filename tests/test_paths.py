"""Where the project is looked for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from aucseg import paths

CLONE = Path(__file__).resolve().parents[1]


def test_home_is_told_or_above_or_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUCSEG_HOME", raising=False)
    monkeypatch.chdir(CLONE / "notebooks")
    assert paths.home() == CLONE
    monkeypatch.chdir(tmp_path)
    assert paths.home() == tmp_path.resolve()
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path / "there"))
    assert paths.home() == (tmp_path / "there").resolve()


def test_a_line_has_a_path_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert paths.told(tmp_path / "runs" / "a") == str(Path("runs") / "a")
    assert paths.told("runs") == "runs"
    assert paths.told(tmp_path.parent / "b") == str(tmp_path.parent / "b")


def test_a_notebook_finds_its_clone_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUCSEG_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.chdir(tmp_path)
    assert paths.home() == CLONE
