"""``aucseg data``: list, get, verify and count data sets; the odds of a batch, and the tail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from aucseg.cli.data_odds import odds, tail
from aucseg.cli.data_tables import print_report, print_stats, summarize
from aucseg.cli.errors import plain_errors
from aucseg.data import download
from aucseg.data.camvid import find_root
from aucseg.data.classes import read_classes
from aucseg.data.counts import LabelCounts, count_labels, write_stats
from aucseg.data.errors import DataError
from aucseg.data.folder import resolve_spec
from aucseg.data.layout import list_splits
from aucseg.data.spec import ClassSpec, load_spec
from aucseg.data.verify import verify as verify_folder

app = typer.Typer(help="List, fetch, verify and count data sets.", no_args_is_help=True)
app.command()(odds)
app.command()(tail)

Target = Annotated[str, typer.Argument(metavar="PATH", help="A folder, or the name of a known data set.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that read files.")]


def _resolve(target: str) -> tuple[Path, ClassSpec | None]:
    """The folder, and the label set it must have if a data set was named."""
    if not Path(target).exists() and target in download.SOURCES:
        return find_root(target), load_spec(target)
    return Path(target), None


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """Data sets that can be fetched, where they lie on this machine, and their terms."""
    rows = []
    for name, source in download.SOURCES.items():
        try:
            place: str | None = str(find_root(name))
        except DataError:
            place = None
        rows.append(
            {"name": name, "classes": load_spec(name).num_classes, "at": place, "terms": source.terms}
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("data set", "classes", "found at")
    for row in rows:
        at = row["at"] or f"nowhere: aucseg data get {row['name']}"
        table.add_row(str(row["name"]), str(row["classes"]), escape(str(at)))
    Console().print(table)
    for row in rows:
        typer.echo(f"\n{row['terms']}")


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="Name of the data set, for example camvid.")],
    dest: Annotated[Path | None, typer.Option(help="Folder to make; data/NAME if not given.")] = None,
    url: Annotated[str | None, typer.Option(help="A mirror of the archive, or a local file.")] = None,
) -> None:
    """Fetch a data set, check every file and lay it out; an interrupted download goes on."""
    with plain_errors(DataError, OSError):
        typer.echo(download.find_source(name).terms)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(name, total=None)

            def show(done: int, total: int | None) -> None:
                bar.update(task, completed=done, total=total)

            place = download.get(name, dest, url=url, progress=show)
        typer.echo(f"{name} is complete and checked: {place}")


@app.command()
def verify(
    path: Target,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; may be repeated.")] = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Open every file and print all problems; exit code 1 if there is one."""
    with plain_errors(DataError, OSError):
        root, spec = _resolve(path)
        report = verify_folder(root, split or None, spec=spec, workers=workers)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        print_report(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def stats(
    path: Target,
    split: Annotated[str, typer.Option(help="The split to count.")] = "train",
    workers: Workers = None,
    write: Annotated[bool, typer.Option(help="Write class_stats.csv for all splits.")] = False,
    as_json: AsJson = False,
) -> None:
    """The long tail in numbers: share of pixels and of images for each class and group."""
    with plain_errors(DataError, OSError):
        root, spec = _resolve(path)
        table = read_classes(root)
        if write:
            counts = {s: count_labels(root, s, table, workers=workers) for s in list_splits(root)}
            typer.echo(f"wrote {write_stats(root, table, counts)}", err=True)
        count = count_labels(root, split, table, workers=workers)
        _, spec = resolve_spec(root, spec)
    order = [[r.name for r in table.classes].index(name) for name in spec.names]
    count = LabelCounts(count.pixels[order], count.presence[:, order], count.void)
    result = summarize(root, split, spec, count)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    print_stats(result)
