"""The ``aucseg`` command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

import aucseg
from aucseg.cli.lazy import lazy_group
from aucseg.errors import DataError

_PLACES = {
    "data": "aucseg.cli.data:app",
    **{name: f"aucseg.cli.runs:{name}" for name in ("config", "train", "evaluate", "predict", "sweep")},
    **{name: f"aucseg.cli.bound:{name}" for name in ("bound", "gap")},
    "book": "aucseg.cli.book:book",
}
_EXPECTED = {
    "aucseg.experiments": ("PublishedError",),
    "aucseg.training": ("CheckpointError", "ConfigError", "RecordError", "TrainingDiverged"),
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


def app() -> None:
    """Run the command; expected errors become one line on standard error and exit code 1."""
    try:
        commands()
    except Exception as error:
        if not isinstance(error, (DataError, *_loaded_errors())):
            raise  # a bug: its traceback tells more than a line
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


def _loaded_errors() -> Iterator[type[Exception]]:
    """Errors that carry their own remedy, of the parts that are imported: others cannot have been raised."""
    for module, names in _EXPECTED.items():
        if module in sys.modules:
            yield from (getattr(sys.modules[module], name) for name in names)


__all__ = ["app", "commands"]
