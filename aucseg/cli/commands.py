"""All commands under one name, each imported when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

import aucseg
from aucseg.cli.lazy import lazy_group

_PLACES = {
    "data": "aucseg.cli.data:app",
    **{name: f"aucseg.cli.runs:{name}" for name in ("config", "train", "evaluate", "predict")},
    "sweep": "aucseg.cli.sweep:app",
    **{name: f"aucseg.cli.comparing:{name}" for name in ("compare", "advise")},
    **{name: f"aucseg.cli.bound:{name}" for name in ("bound", "gap")},
    "book": "aucseg.cli.book:book",
}

commands = typer.Typer(
    name="aucseg",
    cls=lazy_group(_PLACES),
    help="Long-tailed semantic segmentation: AUC losses, a tail-class memory bank, and the book about them.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


@commands.callback(invoke_without_command=True)
def main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Long-tailed semantic segmentation."""
    if version:
        typer.echo(aucseg.__version__)
        raise typer.Exit
