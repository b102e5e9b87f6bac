"""What the pages about the book itself show: runtimes, versions, machines, the changelog, how to cite."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import aucseg
from aucseg import paths
from aucseg.experiments import RecordStore, benchmark_table
from aucseg.training.record import environment

BOOK = Path(__file__).resolve().parents[1]
ROOT = paths.home()
DEVICES = {"cpu": "CPU", "cuda": "GPU"}
SHOWN = ("torchvision", "segmentation-models-pytorch", "timm", "pandas", "matplotlib", "papermill")
BUILT_BY = ("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme")
CITED = ("han2024aucseg", "wang2023blv", "cui2022region")


def facts(book: Path = BOOK) -> dict[str, str]:
    """The substitutions of these pages by their names; ``book`` is where the executed notebooks are."""
    here = environment()
    return {
        "status_version": aucseg.__version__,
        "status_commit": _commit(here["git_commit"]),
        "status_chapters": _chapters(book),
        "status_versions": _versions(here["versions"]),
        "status_records": _records(),
        "status_benchmarks": _benchmarks(),
        "cite_software": _software(),
        "cite_papers": _papers(),
        "licence": "```text\n" + (ROOT / "LICENSE").read_text(encoding="utf-8").strip() + "\n```",
    }


def _commit(commit: str | None) -> str:
    return "an unknown commit" if commit is None else f"commit `{commit[:7]}`"


def chapters(toc: Any) -> list[str]:
    """Names of all pages of a table of contents that are notebooks, in order."""
    if isinstance(toc, list):
        return [name for part in toc for name in chapters(part)]
    if isinstance(toc, dict):
        own = [toc["file"]] if str(toc.get("file", "")).startswith("notebooks/") else []
        return own + [name for value in toc.values() if isinstance(value, list) for name in chapters(value)]
    return []


def _chapters(book: Path) -> str:
    """What papermill noted when it executed each notebook."""
    lines = [
        "| chapter | profile | runs without a record | seconds | on |",
        "| --- | --- | --- | --: | --- |",
    ]
    total = 0.0
    for page in chapters(yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))):
        path = book / f"{page}.ipynb"
        found = json.loads(path.read_text(encoding="utf-8"))["metadata"] if path.is_file() else {}
        noted = found.get("papermill", {})
        if not noted.get("end_time"):
            lines.append(f"| {{doc}}`{page}` | | not executed | | |")
            continue
        given = noted.get("parameters", {})
        seconds = float(noted["duration"])
        total += seconds
        lines.append(
            f"| {{doc}}`{page}` | {given.get('profile', '')} | {given.get('compute', '')} | {seconds:.0f} "
            f"| {noted['end_time'][:10]} |"
        )
    return "\n".join([*lines, f"| all, one after the other | | | {total:.0f} | |"])


def _versions(versions: dict[str, str]) -> str:
    known = versions | {name: metadata.version(name) for name in (*SHOWN, *BUILT_BY)}
    return "\n".join(["| | version |", "| --- | --- |", *(f"| {name} | {known[name]} |" for name in known)])


def _records() -> str:
    """How many records there are of each data set and profile, and what they took to train."""
    counted: dict[tuple[str, str], list[float]] = {}
    for record in RecordStore():
        if record.profile == "smoke":  # its numbers mean nothing
            continue
        place = (record.config["data"]["name"], record.profile)
        counted.setdefault(place, []).append(record.timing["seconds_total"])
    lines = ["| data set | profile | records | hours to train them |", "| --- | --- | --: | --: |"]
    for (dataset, profile), seconds in sorted(counted.items()):
        lines.append(f"| {dataset} | {profile} | {len(seconds)} | {sum(seconds) / 3600:.1f} |")
    return "\n".join(lines)


def _benchmarks() -> str:
    """Which file of measured times and memory is of which device."""
    lines = [f"| benchmark | {' | '.join(DEVICES.values())} |", f"| --- |{' --- |' * len(DEVICES)}"]
    for path in sorted(paths.benchmarks().glob("*.csv")):
        table = benchmark_table(path.stem)
        cells = [measured_by(table[table["device"] == device]) for device in DEVICES]
        lines.append(f"| {path.stem.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def measured_by(rows: pd.DataFrame) -> str:
    """Machines and days of measurements, in words."""
    if rows.empty:
        return "not measured"
    days = sorted({str(day) for day in rows["date"]})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{'; '.join(sorted(set(rows['hardware'])))}, {when}"


def _software() -> str:
    """CITATION.cff as BibTeX."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    authors = " and ".join(f"{{{author['name']}}}" for author in cff["authors"])
    return (
        "```bibtex\n"
        f"@software{{aucseg,\n  title   = {{{cff['title']}}},\n  author  = {{{authors}}},\n"
        f"  version = {{{cff['version']}}},\n  license = {{{cff['license']}}}\n}}\n```"
    )


def _papers() -> str:
    """The entries of the three papers in the book's own bibliography."""
    library = (BOOK / "references.bib").read_text(encoding="utf-8")
    entries = [re.search(rf"^@\w+\{{{key},.*?^\}}", library, re.MULTILINE | re.DOTALL) for key in CITED]
    return "```bibtex\n" + "\n\n".join(entry[0] for entry in entries if entry) + "\n```"


def changelog() -> str:
    """The changelog as a page: dollars outside of code are no mathematics."""
    parts = re.split(r"(`[^`]*`)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    return "".join(part if part.startswith("`") else part.replace("$", r"\$") for part in parts)
