"""What the benchmarks share: medians of turns, label maps, the command line, a CSV report."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch
from timing import turns
from torch import Tensor

from aucseg import paths
from aucseg.data.files import read_rows, write_rows

Row = dict[str, Any]


def interleaved(
    candidates: dict[str, Callable[[], Any]], *, repetitions: int, device: str
) -> dict[str, float]:
    """Median seconds of each candidate. All take turns, so that a busy machine slows all of them alike."""
    times = turns(candidates, repetitions=repetitions, device=device)
    return {name: statistics.median(values) for name, values in times.items()}


def patches(
    batch: int,
    classes: int,
    height: int,
    width: int,
    *,
    seed: int,
    present: int | None = None,
    patch: int = 32,
    every: bool = False,
    void: int = 255,
) -> Tensor:
    """A target of square patches with a long tail of classes and 2% void, int64.

    Args:
        batch: number of images.
        classes: number of classes K.
        height: rows.
        width: columns.
        seed: seed of the labels.
        present: how many classes one image may hold; all by default.
        patch: side of a patch, pixels.
        every: an image holds all classes that it may hold, not only those that were drawn.
        void: label of void pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    share = 1 / torch.arange(1, classes + 1) ** 1.0
    rows, columns = -(-height // patch), -(-width // patch)
    targets = []
    for _ in range(batch):
        held = torch.multinomial(share, present or classes, generator=generator)
        drawn = torch.multinomial(share[held], rows * columns, replacement=True, generator=generator)
        if every:
            if len(held) > len(drawn):
                raise ValueError(f"{len(held)} classes do not fit {len(drawn)} patches; use a smaller patch")
            places = torch.randperm(len(drawn), generator=generator)[: len(held)]
            drawn[places] = torch.arange(len(held))
        target = held[drawn].view(rows, columns)
        target = target.repeat_interleave(patch, 0).repeat_interleave(patch, 1)[:height, :width].clone()
        target[torch.rand(height, width, generator=generator) < 0.02] = void
        targets.append(target)
    return torch.stack(targets)


def report(rows: Iterable[Row], path: Path | None, keys: Sequence[str] = ("device",)) -> None:
    """Print rows as they come and, if a path is given, write them to it with the machine in each of them.

    Rows of a device that was not measured now stay in the file: one machine has the processor, another the
    GPU.

    Args:
        rows: one for each measurement; the column ``device`` is ``"cpu"`` or ``"cuda"``.
        path: a CSV file, or None.
        keys: columns by which rows are told that are measured anew.
    """
    measured = []
    for row in rows:
        shown = {key: value for key, value in row.items() if value is not None}
        cells = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items())
        print("  ".join(cells), flush=True)
        measured.append(row)
    if path is None:
        return
    now = {tuple(row[key] for key in keys) for row in measured}
    kept: list[Row] = []
    if path.exists():
        kept = [dict(row) for row in read_rows(path, keys) if tuple(row[key] for key in keys) not in now]
    table = [*kept, *({**row, **machine(row["device"])} for row in measured)]
    columns = list(dict.fromkeys(key for row in reversed(table) for key in row))
    write_rows(path, columns, ({key: _cell(value) for key, value in row.items()} for row in table))
    print(f"written to {path}")


@cache
def machine(device: str) -> Row:
    """Hardware, versions, commit and date, as columns of a row."""
    from aucseg.training.record import environment  # imports Lightning, which a benchmark's children need not

    content = environment()
    hardware = content["hardware"]
    return {
        "hardware": f"{hardware['gpu']}, {hardware['cpu']}" if device == "cuda" else hardware["cpu"],
        "threads": hardware["threads"],
        "platform": hardware["platform"],
        "versions": " ".join(f"{name}={version}" for name, version in content["versions"].items()),
        "git_commit": content["git_commit"],
        "date": datetime.now(UTC).date().isoformat(),
    }


def run_on_devices(
    name: str,
    doc: str,
    measure: Callable[[str, int], Iterable[Row]],
    quick: Callable[[str, int], Iterable[Row]] | None = None,
    parts: Mapping[str, Callable[[str, int], Iterable[Row]]] | None = None,
) -> None:
    """The command line of a benchmark: measure on the CPU, and on CUDA where there is one, and report.

    Args:
        name: of the benchmark and of its file of results.
        doc: its docstring; the first line is the help.
        measure: takes a device and a number of repetitions, returns one row for each measurement.
        quick: the same for ``--quick``, with everything so small that it shows no more than that it runs.
        parts: pieces of ``measure``, by what they write into the column ``part``; ``--part`` measures one of
            them by itself, and rows of the others stay in the file.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    add_csv_option(parser, name)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--device", choices=devices(), help="only this one; all there are by default")
    if quick is not None:
        parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    if parts is not None:
        parser.add_argument("--part", choices=sorted(parts), help="only this one; all by default")
    options = parser.parse_args()
    keys: tuple[str, ...] = ("device",)
    if parts is not None and options.part is not None:
        measure, keys = parts[options.part], ("device", "part")
    elif quick is not None and options.quick:
        measure, options.repetitions = quick, min(options.repetitions, 2)
    chosen = [options.device] if options.device else devices()
    report((row for device in chosen for row in measure(device, options.repetitions)), options.csv, keys)


def add_csv_option(parser: argparse.ArgumentParser, name: str) -> None:
    """Give a command line the option that writes the results."""
    default = paths.benchmarks() / f"{name}.csv"
    where = f"write the figures here; without a path to data/benchmarks/{name}.csv"
    parser.add_argument("--csv", type=Path, nargs="?", const=default, help=where)


def devices() -> list[str]:
    """The CPU, and CUDA where there is one."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
