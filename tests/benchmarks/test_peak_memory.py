from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository import ROOT

MIB = 2**20
# Blocks below glibc's threshold for its own mapping are kept by the process when they are freed.
KEPT = """
import torch
from peak_memory import extra_peak_bytes

extra_peak_bytes(lambda: torch.ones({wanted}, dtype=torch.uint8), "cpu")  # loads what is loaded once
kept = [torch.ones(100_000, dtype=torch.uint8) for _ in range({blocks})]
last = torch.ones(50_000, dtype=torch.uint8)  # at the top of the heap, so that nothing below is given back
del kept
print(extra_peak_bytes(lambda: [torch.ones(100_000, dtype=torch.uint8) for _ in range({blocks})], "cpu"))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is counted on Linux only")
def test_what_was_freed_before_hides_nothing():
    """640 blocks of 100 kB: 61 MiB, whether or not as much was there, freed, a moment before."""
    code = KEPT.format(wanted=4 * MIB, blocks=640)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "benchmarks", check=True, capture_output=True, text=True
    )
    assert int(done.stdout) == pytest.approx(64e6, rel=0.08)
