"""What the benchmarks measured: their files, and the machine that a figure has to name."""

from __future__ import annotations

import pandas as pd

from aucseg import paths
from aucseg.errors import UserError, how_many


class BenchmarkError(UserError, ValueError):
    """Results of a benchmark that are not there; the message names the file and the remedy."""


def benchmark_table(name: str) -> pd.DataFrame:
    """The results of a benchmark, one row for each measurement.

    The columns are the benchmark's own, and for each row ``device`` (``"cpu"`` or ``"cuda"``), ``hardware``,
    ``threads``, ``platform``, ``versions``, ``git_commit`` and ``date``. Ratios are of candidates that took
    turns in one run; seconds of two runs are not for comparison.

    Args:
        name: of a file in ``data/benchmarks`` without its ending, for example ``"auc_loss"``.

    Raises:
        BenchmarkError: if there is no such file.
    """
    path = paths.benchmarks() / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.csv"))) or "none"
        raise BenchmarkError(
            f"no results {path} (there are: {known}); measure with `make bench`, run in a checkout of the "
            f"project or set AUCSEG_HOME to one"
        )
    return pd.read_csv(path)


def measured_on(table: pd.DataFrame, device: str = "cpu") -> str:
    """Where and when rows were measured, as a line below a figure.

    Args:
        table: as :func:`benchmark_table` returns it.
        device: of the rows that are meant.

    Returns:
        A line for each machine, PyTorch and commit, for example ``"EPYC, 2 threads, Linux, torch 2.15.0,
        2026-11-21, commit 36c1991"``; empty without such rows.
    """
    columns = ["hardware", "threads", "platform", "versions", "date", "git_commit"]
    lines = []
    for row in table.loc[table["device"] == device, columns].drop_duplicates().itertuples(index=False):
        torch = dict(part.split("=", 1) for part in row.versions.split())["torch"]
        changed = " with changes" if str(row.git_commit).endswith("+") else ""
        commit = f", commit {row.git_commit[:7]}{changed}" if isinstance(row.git_commit, str) else ""
        threads = how_many(int(row.threads), "thread")
        lines.append(f"{row.hardware}, {threads}, {row.platform}, torch {torch}, {row.date}{commit}")
    return "\n".join(lines)
