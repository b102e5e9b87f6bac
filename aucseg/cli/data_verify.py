"""``aucseg data verify``: open every file of a data set."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from aucseg.cli.data_sets import As, AsJson, Images, Masks, Workers, resolve_layout
from aucseg.cli.data_tables import print_report
from aucseg.data.verify import verify as verify_folder

Target = Annotated[str, typer.Argument(metavar="PATH", help="A folder, or the name of a known data set.")]


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
    root, spec, layout = resolve_layout(path, kind, images, masks)
    report = verify_folder(root, split or None, spec=spec, layout=layout, workers=workers)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        print_report(report)
    if not report.ok:
        raise typer.Exit(1)
