"""``aucseg data init``: make a data set of a folder of images and masks."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from aucseg.catalog import init_folder
from aucseg.cli.options import MOST_PIXELS, MaxPixels
from aucseg.cli.printing import print_wide
from aucseg.data.init import InitReport
from aucseg.data.reading import allow_pixels
from aucseg.errors import how_many

_SHOWN = 40
_PLAIN = {"markup": False, "soft_wrap": True, "highlight": False}


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of images and masks.")],
    images: Annotated[
        str | None,
        typer.Option(help="Where images lie, for example imgs/{name}.jpg, if not found by itself."),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            help="Where masks lie: gts/{name}.png, masks/{class}/{name}.png, {name}.json, coco.json."
        ),
    ] = None,
    val: Annotated[
        float | None, typer.Option(help="Share of images for validation; 0.1 if not given.")
    ] = None,
    test: Annotated[float | None, typer.Option(help="Share of images for testing; 0.2 if not given.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the cut; 0 if not given.")] = None,
    names: Annotated[
        str | None, typer.Option(help="Names of the classes by their values: sky,road,car, or a file.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write files anew that are there.")] = False,
    only_print: Annotated[bool, typer.Option("--print", help="Print the files and write nothing.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that read files.")] = None,
    max_pixels: MaxPixels = MOST_PIXELS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at a folder of images and masks, say what is there, and write its class table and splits.

    Afterwards `aucseg data verify FOLDER`, `aucseg data stats FOLDER` and training take it. Nothing that is
    there is changed without --overwrite.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with allow_pixels(max_pixels), bar:
        task = bar.add_task("masks", total=None)
        report = init_folder(
            folder,
            images=images,
            masks=masks,
            val=val,
            test=test,
            seed=seed,
            names=names,
            overwrite=overwrite,
            write=not only_print,
            workers=workers,
            progress=lambda what, done, total: bar.update(
                task, description=what, completed=done, total=total
            ),
        )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        print_init(report, folder)


def print_init(report: InitReport, folder: Path) -> None:
    """Print what a folder was taken for, and what was written.

    Args:
        report: what `init_folder` gave.
        folder: the folder, as its user named it.
    """
    console = Console()
    say = Text.assemble  # names of files and classes are data, never markup
    number = sum(report.images.values())
    endings = ", ".join(f"{n} {kind}" for kind, n in report.images.most_common())
    stored = ", ".join(f"{n} {mode}" for mode, n in report.modes.most_common())
    pairs = how_many(number, "image with a mask", "images with masks")
    console.print(say((str(report.root), "bold"), f": {report.title}, {pairs}"), soft_wrap=True)
    console.print(f"images: {report.description.images} ({endings})", **_PLAIN)  # type: ignore[arg-type]
    console.print(f"masks:  {report.description.masks} ({stored})", **_PLAIN)  # type: ignore[arg-type]
    sizes = [f"{n} of {w}x{h}" for (h, w), n in report.sizes.most_common(3)]
    more = f" and {how_many(len(report.sizes) - 3, 'other size')}" if len(report.sizes) > 3 else ""
    console.print(f"sizes:  {', '.join(sizes)}{more} (width x height)", **_PLAIN)  # type: ignore[arg-type]
    if report.names:
        console.print(f"names:  from {report.names}", **_PLAIN)  # type: ignore[arg-type]
    _print_values(console, report)
    for value in report.values:
        if value.why:
            console.print(f"{value.told} is void: {value.why}", **_PLAIN)  # type: ignore[arg-type]
    if len(report.values) > _SHOWN:
        console.print(f"and {len(report.values) - _SHOWN} more", **_PLAIN)  # type: ignore[arg-type]
    told = ", ".join(f"{split} {len(names)}" for split, names in report.splits.items())
    console.print(f"splits: {told} ({report.split_origin})", **_PLAIN)  # type: ignore[arg-type]
    for note in report.notes:
        console.print(f"note: {note}", **_PLAIN)  # type: ignore[arg-type]
    for problem in report.problems[:_SHOWN]:
        console.print(f"problem: {problem}", style="red", **_PLAIN)  # type: ignore[arg-type]
    if len(report.problems) > _SHOWN:
        console.print(f"and {len(report.problems) - _SHOWN} more problems", style="red", **_PLAIN)  # type: ignore[arg-type]
    for name in report.kept:
        console.print(f"kept {name}", **_PLAIN)  # type: ignore[arg-type]
    if not report.written:
        for name, text in report.files.items():
            console.print(f"\n--- {name}\n{text.rstrip()}", **_PLAIN)  # type: ignore[arg-type]
        return
    for path in report.written:
        console.print(f"wrote {path}", **_PLAIN)  # type: ignore[arg-type]
    console.print(f"next: aucseg data verify {shlex.quote(str(folder))}", **_PLAIN)  # type: ignore[arg-type]


def _print_values(console: Console, report: InitReport) -> None:
    place = {value.row.id: k for k, value in enumerate(report.classes)}
    values = report.values[:_SHOWN]
    shares = (100 * report.share[value.row.id] for value in values)
    columns = [
        ("in masks", [value.told for value in values]),
        ("% pixels", [f"{share:.2f}" if share >= 0.01 or not share else "<0.01" for share in shares]),
        ("images", [str(value.images) for value in values]),
    ]
    for split, counts in report.held.items():
        held = (place.get(value.row.id) for value in values)
        columns.append((split, ["" if k is None else str(counts[k]) for k in held]))
    if any(value.row.ignore for value in values):
        columns.append(("", ["void" if value.row.ignore else "" for value in values]))
    print_wide(console, "", ("class", [value.row.name for value in values]), columns)
