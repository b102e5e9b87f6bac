"""The ``aucseg`` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import aucseg
from aucseg.cli.book import book
from aucseg.cli.bound import bound, gap
from aucseg.cli.data import app as data_app
from aucseg.cli.runs import config, evaluate, predict, sweep, train
from aucseg.data.errors import DataError
from aucseg.experiments import PublishedError
from aucseg.training import CheckpointError, ConfigError, RecordError, TrainingDiverged

_EXPECTED = (CheckpointError, ConfigError, DataError, PublishedError, RecordError, TrainingDiverged)

commands = typer.Typer(
    name="aucseg",
    help="Long-tailed semantic segmentation: AUC losses, a tail-class memory bank, and the book about them.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
commands.add_typer(data_app, name="data", help="List, fetch, prepare, verify and count data sets.")
for command in (config, train, evaluate, predict, sweep, bound, gap, book):
    commands.command()(command)


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
    except _EXPECTED as error:
        # These carry their own remedy, which a traceback would hide; anything else is a bug and shows one.
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


__all__ = ["app", "commands"]
