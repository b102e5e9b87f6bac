"""``aucseg data list``, ``get`` and ``prepare``: which data sets there are, and how they get here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from aucseg import paths
from aucseg.data.get import SOURCES, instructions
from aucseg.data.get import get as get_source
from aucseg.data.layouts import Layout, find_layout, list_datasets, locate, named_layout
from aucseg.data.prepare import prepare as prepare_folder
from aucseg.data.spec import ClassSpec, load_spec
from aucseg.errors import DataError, did_you_mean, file_errors

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that read files.")]
As = Annotated[str | None, typer.Option("--as", help="The data set that PATH holds, if not found by itself.")]
Images = Annotated[str | None, typer.Option(help="Where images lie, for example imgs/{name}_img.jpg.")]
Masks = Annotated[str | None, typer.Option(help="Where masks lie, for example gts/{name}_gt.png.")]

_BY_HAND = 2


def resolve(target: str) -> tuple[Path, ClassSpec | None]:
    """The folder, and the label set it must have if a data set of the package was named.

    Args:
        target: a folder, or the name of a data set.

    Raises:
        DataError: if a named data set is nowhere.
    """
    if Path(target).exists() or target not in list_datasets() or target == "folder":
        return Path(target), None
    return locate(target), load_spec(target) if target == "camvid" else None


def resolve_layout(
    target: str, kind: str | None, images: str | None, masks: str | None
) -> tuple[Path, ClassSpec | None, Layout | None]:
    """The folder, its label set as `resolve` gives it, and its layout as far as the user named one.

    Args:
        target: a folder, or the name of a data set.
        kind: the data set that it holds, if the user says so.
        images: pattern of the images, if the user gives one.
        masks: pattern of the masks.

    Raises:
        DataError: if a named data set is nowhere, or the folder not in the layout.
        OptionError: for an unknown kind, or patterns that do not fit.
    """
    root, spec = resolve(target)
    if kind is None and images is None and masks is None:
        return root, spec, None
    layout, root = named_layout(kind or "folder", root, images, masks)
    return root, spec, layout


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A progress bar on standard error that leaves nothing behind, and is silent where nobody looks."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def list_command(as_json: AsJson = False) -> None:
    """Data sets by name, where they lie on this machine, and their terms."""
    rows = [_row(name) for name in list_datasets() if name != "folder"]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("data set", "what", "classes", "get", "found at")
    for row in rows:
        at = row["at"] or f"nowhere: aucseg data get {row['name']}"
        how = "automatic" if row["automatic"] else "by hand"
        table.add_row(row["name"], row["title"], str(row["classes"]), how, escape(at))
    Console().print(table)
    typer.echo("Any other folder of images and masks: give its path, see `aucseg data prepare --help`.")
    for row in rows:
        typer.echo(f"\n{row['terms']}")


def _row(name: str) -> dict[str, Any]:
    try:
        place: str | None = str(locate(name))
    except DataError:
        place = None
    if name == "camvid":
        title, classes, terms = "CamVid", load_spec(name).num_classes, SOURCES[name].terms
    else:
        layout = find_layout(name)
        title, classes, terms = layout.title, layout.spec.num_classes, layout.access.terms
    return {
        "name": name,
        "title": title,
        "classes": classes,
        "automatic": name in SOURCES,
        "at": place,
        "terms": terms,
    }


def get(
    name: Annotated[str, typer.Argument(help="Name of the data set, for example camvid.")],
    dest: Annotated[Path | None, typer.Option(help="Folder to make; data/NAME if not given.")] = None,
    url: Annotated[str | None, typer.Option(help="A mirror of the archive, or a local file.")] = None,
) -> None:
    """Fetch a data set and check it, or print how to get it by hand (exit code 2)."""
    known = [n for n in list_datasets() if n != "folder"]
    if name not in known:
        raise DataError(f"no data set {name!r} to get", remedy=did_you_mean(name, known))
    if name not in SOURCES:
        typer.echo(f"{name} is not downloaded automatically.")
        typer.echo(instructions(find_layout(name), dest or paths.dataset(name)))
        raise typer.Exit(_BY_HAND)
    typer.echo(SOURCES[name].terms)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with file_errors(dest or paths.dataset(name), "cannot be made"), progress_bar(*columns) as bar:
        task = bar.add_task(name, total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        place = get_source(name, dest, url=url, progress=show)
    typer.echo(f"{name} is complete and checked: {place}")


def prepare(
    name: Annotated[str, typer.Argument(help="Name of the data set; folder for one of your own.")],
    root: Annotated[Path | None, typer.Argument(help="Its folder; searched for if not given.")] = None,
    dest: Annotated[
        Path | None, typer.Option(help="Folder to make; data/NAME-prepared if not given.")
    ] = None,
    size: Annotated[tuple[int, int] | None, typer.Option(help="Height and width to resize to.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; may be repeated.")] = None,
    images: Images = None,
    masks: Masks = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out items with a problem.")] = False,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Turn a data set into 8-bit masks of train ids that training reads fast; exit code 1 on problems."""
    layout, place = named_layout(name, root, images, masks)
    target = dest or paths.dataset(f"{name}-prepared" if size is None else f"{name}-{size[0]}x{size[1]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with file_errors(target, "cannot be made"), progress_bar(*columns) as bar:
        tasks: dict[str, Any] = {}

        def show(its: str, done: int, total: int) -> None:
            if its not in tasks:
                tasks[its] = bar.add_task(its, total=total)
            bar.update(tasks[its], completed=done)

        report = prepare_folder(
            layout,
            place,
            target,
            splits=split or None,
            size=size,
            skip_bad=skip_bad,
            workers=workers,
            progress=show,
        )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        for its, written in report.written.items():
            typer.echo(f"{its}: {written} items written, {report.kept[its]} were there")
        for problem in report.problems:
            typer.echo(f"problem: {problem}", err=True)
        typer.echo(f"{report.target}: {len(report.problems) or 'no'} problems")
    if not report.ok:
        raise typer.Exit(1)
