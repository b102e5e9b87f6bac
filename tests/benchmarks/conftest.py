"""The modules of benchmarks/ are scripts that find each other beside them."""

from __future__ import annotations

import pytest

from tests.repository import ROOT


@pytest.fixture(autouse=True)
def _beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
