"""What the benchmarks share: interleaved timing, the machine they ran on, a JSON report."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aucseg.training.record import environment


def interleaved(
    candidates: dict[str, Callable[[], Any]], *, repetitions: int, device: str
) -> dict[str, float]:
    """Median seconds of each candidate. All take turns, so that a busy machine slows all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(repetitions + 1):
        for name, run in candidates.items():
            _wait(device)
            start = time.perf_counter()
            run()
            _wait(device)
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def patches(
    batch: int, classes: int, height: int, width: int, *, seed: int, present: int | None = None
) -> Tensor:
    """A target of 32x32 patches with a long tail of classes and 2% void, int64.

    Args:
        batch: number of images.
        classes: number of classes K.
        height: rows.
        width: columns.
        seed: seed of the labels.
        present: how many classes one image may hold; all by default.
    """
    generator = torch.Generator().manual_seed(seed)
    share = 1 / torch.arange(1, classes + 1) ** 1.0
    rows, columns = -(-height // 32), -(-width // 32)
    targets = []
    for _ in range(batch):
        held = torch.multinomial(share, present or classes, generator=generator)
        drawn = torch.multinomial(share[held], rows * columns, replacement=True, generator=generator)
        target = held[drawn].view(rows, columns).repeat_interleave(32, 0).repeat_interleave(32, 1)
        target = target[:height, :width].clone()
        target[torch.rand(height, width, generator=generator) < 0.02] = 255
        targets.append(target)
    return torch.stack(targets)


def report(name: str, device: str, rows: list[dict[str, Any]], path: Path | None) -> None:
    """Print the rows and, if a path is given, write them with the machine as JSON."""
    for row in rows:
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"benchmark": name, "device": device, **environment(), "rows": rows}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        print(f"written to {path}")


def run_on_devices(name: str, doc: str, measure: Callable[[str, int], list[dict[str, Any]]]) -> None:
    """The command line of a benchmark: measure on the CPU, and on CUDA where there is one, and report.

    Args:
        name: of the benchmark.
        doc: its docstring; the first line is the help.
        measure: takes a device and a number of repetitions, returns one row for each setting.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--repetitions", type=int, default=15)
    options = parser.parse_args()
    rows = [row for device in devices() for row in measure(device, options.repetitions)]
    report(name, devices()[-1], rows, options.json)


def devices() -> list[str]:
    """The CPU, and CUDA where there is one."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
