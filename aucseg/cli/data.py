"""``aucseg data``: list, get, prepare, verify and count data sets; the odds of a batch, and the tail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from aucseg.cli.data_odds import odds, tail
from aucseg.cli.data_sets import AsJson, Images, Masks, Workers, get, list_command, prepare
from aucseg.cli.data_tables import print_report, print_stats, summarize
from aucseg.cli.errors import plain_errors
from aucseg.data import download
from aucseg.data.classes import read_classes
from aucseg.data.counts import LabelCounts, count_labels, write_stats
from aucseg.data.errors import DataError
from aucseg.data.folder import resolve_spec
from aucseg.data.layout import list_splits
from aucseg.data.layouts import list_datasets, locate, named_layout
from aucseg.data.spec import ClassSpec, load_spec
from aucseg.data.verify import verify as verify_folder

app = typer.Typer(help="List, fetch, prepare, verify and count data sets.", no_args_is_help=True)
app.command("list")(list_command)
app.command()(get)
app.command()(prepare)
app.command()(odds)
app.command()(tail)

Target = Annotated[str, typer.Argument(metavar="PATH", help="A folder, or the name of a known data set.")]
As = Annotated[str | None, typer.Option("--as", help="The data set that PATH holds, if not found by itself.")]


def _resolve(target: str) -> tuple[Path, ClassSpec | None]:
    """The folder, and the label set it must have if a data set was named."""
    if Path(target).exists() or target not in list_datasets() or target == "folder":
        return Path(target), None
    return locate(target), load_spec(target) if target in download.SOURCES else None


@app.command()
def verify(
    path: Target,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; may be repeated.")] = None,
    kind: As = None,
    images: Images = None,
    masks: Masks = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Open every file and print all problems; exit code 1 if there is one."""
    with plain_errors(ValueError, OSError):
        root, spec = _resolve(path)
        layout = None
        if kind is not None or images is not None or masks is not None:
            layout, root = named_layout(kind or "folder", root, images, masks)
        report = verify_folder(root, split or None, spec=spec, layout=layout, workers=workers)
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
