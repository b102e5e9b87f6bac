"""``aucseg book``: execute the notebooks and build the HTML book."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from aucseg import paths
from aucseg.book import BookError, make_book
from aucseg.engines import ENGINES, Place, Task, on_leash

_CELL_TIMEOUT = {"smoke": 600.0}


def book(
    profile: Annotated[
        Literal["smoke", "laptop", "gpu"], typer.Option(help="Scale of the experiments.")
    ] = "laptop",
    compute: Annotated[
        Literal["missing", "never", "always"],
        typer.Option(help="Train the runs that have no record, none, or all of them again."),
    ] = "missing",
    notebook: Annotated[
        list[str] | None,
        typer.Option(help="Execute only this notebook, by name; repeatable. Others keep their last output."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Build a second book in this folder and leave book/notebooks and build/ alone."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Write the executed notebooks to this folder, and build no page.")
    ] = None,
    html: Annotated[bool, typer.Option(help="Build the pages after executing the notebooks.")] = True,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Notebooks side by side; as many as there are cores, one with profile gpu."),
    ] = None,
    cell_timeout: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds that a cell may take, 0 for no limit; 10 minutes for smoke, 6 hours else."
        ),
    ] = None,
    engine: Annotated[
        Literal["slurm", "dask"] | None,
        typer.Option(help="Execute each notebook in a job of a cluster that sees this folder."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of Dask's scheduler, as tcp://host:8786.")
    ] = None,
) -> None:
    """Execute the notebooks and build the HTML book strictly.

    Runs that have a record are read, not trained again, so a second build takes seconds. A run that two
    notebooks want is trained by one of them.
    """
    on_leash()
    limit = _CELL_TIMEOUT.get(profile, 6 * 3600) if cell_timeout is None else cell_timeout
    console = Console(soft_wrap=True, markup=False, highlight=False)
    with Live(console=console, transient=True, auto_refresh=False) as screen:
        index = make_book(
            paths.home(),
            {"profile": profile, "compute": compute},
            names=notebook or [],
            output=output,
            into=into,
            html=html,
            execute=None if engine is None else partial(_execute_by, engine, scheduler, jobs),
            jobs=jobs or (1 if profile == "gpu" else None),
            cell_timeout=limit or None,
            report=console.print,
            live=partial(_show, screen) if console.is_terminal else None,
        )
    if index is not None:
        typer.echo(f"\nThe book: {index.resolve().as_uri()}")
        typer.echo(f"or serve it: python -m http.server --directory {index.parent} 8000")


def _execute_by(
    engine: str,
    scheduler: str | None,
    at_once: int | None,
    notebooks: Sequence[Path],
    output_dir: Path,
    parameters: Mapping[str, str],
    *,
    cell_timeout: float | None,
    report: Callable[[str], None],
    **_: Any,
) -> None:
    """Execute each notebook by a command of its own, wherever an engine runs it."""
    own = (word for key, value in parameters.items() for word in (f"--{key}", value))
    options = (
        "--into",
        str(output_dir.resolve()),
        "--cell-timeout",
        str(cell_timeout or 0),
        "--jobs",
        "1",
        *own,
    )
    tasks = [Task(path.name, ("book", "--notebook", path.stem, *options)) for path in notebooks]
    codes = ENGINES[engine](tasks, Place(jobs=at_once or 100, scheduler=scheduler, wait=True), report)
    failed = [name for name, code in codes.items() if code]
    if failed:
        raise BookError(
            f"{len(failed)} of {len(tasks)} notebooks failed: {', '.join(failed)}",
            remedy=f"see {output_dir / 'failed'}",
        )


def _show(screen: Live, lines: list[str]) -> None:
    screen.update(Text("\n".join(lines)), refresh=True)
