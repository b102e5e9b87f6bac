"""The large attack: ``make chaos``. What it finds is written to ``data/benchmarks/reliability.csv``.

It takes an hour or two on two cores, and may be stopped: each piece that is done is kept in a file with the
commit that was attacked, and the same command at the same commit goes on with the next. ``--only`` chooses
drivers; without one it attacks nothing, and ``--csv`` writes down what was done so far. Rows of what was not
attacked at this commit stay as they are, with theirs. ``--jobs 2`` attacks in two processes, one subject in
each at a time; ``--subject`` chooses subjects.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from aucseg import paths
from tests.chaos.attack import DRIVERS, FUZZED, Attack, assault, rows
from tests.repository import ROOT


def main() -> int:
    """Attack, and write down what held."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=(__doc__ or "").splitlines()[0]
    )
    known = list(dict.fromkeys(subject for _, subjects in DRIVERS.values() for subject in subjects))
    parser.add_argument("--only", choices=DRIVERS, nargs="*", default=[*DRIVERS], help="these drivers")
    parser.add_argument("--subject", choices=known, nargs="+", default=[], help="these subjects of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes that attack at once (default: 1)")
    parser.add_argument(
        "--inputs", type=int, default=FUZZED, help=f"for each subject of the fuzzer (default: {FUZZED})"
    )
    parser.add_argument("--folder", type=Path, default=paths.home() / "build" / "chaos")
    parser.add_argument("--csv", action="store_true", help="write data/benchmarks/reliability.csv")
    options = parser.parse_args()
    for name in ("jobs", "inputs"):
        if (value := getattr(options, name)) < 1:
            parser.error(f"--{name} must be at least 1, got {value}")
    torch.set_num_threads(1)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from measure import machine, report

    commit = machine("cpu")["git_commit"]
    assault(
        options.folder,
        commit,
        only=options.only,
        subjects=options.subject,
        jobs=options.jobs,
        inputs=options.inputs,
    )
    pieces = Attack(options.folder, commit).pieces()
    if options.csv:
        report(rows(pieces), paths.benchmarks() / "reliability.csv", ("driver", "subject"))
    failures = [p for p in pieces if p["failures"]]
    for piece in failures:
        print(f"{piece['driver']} {piece['subject']} {piece['number']}: {piece['said']}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
