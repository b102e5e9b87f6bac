"""The scripts of the page on adoption run as they stand."""

from __future__ import annotations

import re
import runpy
import warnings

import pytest
import torch

from tests.repository import ROOT

SCRIPTS = sorted((ROOT / "book" / "adoption").glob("*.py"))
NEEDS = {
    "smp": ["segmentation_models_pytorch"],
    "with_lightning": ["lightning"],
    "with_transformers": ["transformers", "accelerate"],
    "with_monai": ["monai"],
}


def test_the_page_shows_every_script():
    page = (ROOT / "book" / "adoption.md").read_text(encoding="utf-8")
    assert re.findall(r"literalinclude\} adoption/(\w+)\.py", page) == [
        *("plain", "smp", "with_lightning", "with_transformers", "with_monai")
    ]
    assert {script.stem for script in SCRIPTS} == {"plain", *NEEDS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_it_runs(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    with warnings.catch_warnings(action="ignore"):  # of other libraries, where they are imported
        for module in NEEDS.get(script.stem, []):
            pytest.importorskip(module)
        found = runpy.run_path(str(script))
    if "loss" in found:
        assert torch.as_tensor(found["loss"]).item() > 0
    if script.stem in ("plain", "smp", "with_monai"):  # trainers clear the gradients
        assert all(parameter.grad is not None for parameter in found["model"].parameters())
    if "module" in found:
        assert found["trainer"].global_step == 2
        assert found["module"].bank.stats()["stored"]
