"""``aucseg book``: execute the notebooks and build the HTML book."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from aucseg import paths
from aucseg.book import BookError, build_html, execute_notebooks, stage_pages


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
    html: Annotated[bool, typer.Option(help="Build the pages after executing the notebooks.")] = True,
) -> None:
    """Execute the notebooks and build the HTML book strictly.

    Runs that have a record are read, not trained again, so a second build takes seconds.
    """
    index = make_book(paths.home(), profile, compute, notebook or [], output, html)
    if index is not None:
        typer.echo(f"\nThe book: {index.resolve().as_uri()}")
        typer.echo(f"or serve it: python -m http.server --directory {index.parent} 8000")


def make_book(
    root: Path, profile: str, compute: str, names: list[str], output: Path | None, html: bool
) -> Path | None:
    """Execute the notebooks of a clone and build its pages.

    Args:
        root: the clone, with ``book/``, ``notebooks/`` and ``_config.yml``.
        profile: passed to the notebooks.
        compute: passed to the notebooks.
        names: names of the notebooks to execute, with or without ``.ipynb``; all of them if empty.
        output: folder for a second book beside the usual one, which is ``build``.
        html: build the pages as well.

    Returns:
        Path of ``index.html``, or ``None`` without pages.

    Raises:
        BookError: if ``root`` is no clone, a notebook is unknown or fails, or the pages do not build.
    """
    pages, config = root / "book", root / "_config.yml"
    if not (pages / "_toc.yml").is_file() or not config.is_file():
        raise BookError(
            f"no book in {root}: run this inside a clone of the repository, or set AUCSEG_HOME to one"
        )
    known = {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}
    chosen = [name.removesuffix(".ipynb") for name in names] or list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise BookError(f"unknown notebook {unknown[0]!r}; known: {', '.join(known)}")
    if output is not None:
        pages = stage_pages(pages, output / "source")
    execute_notebooks(
        [known[name] for name in chosen],
        pages / "notebooks",
        {"profile": profile, "compute": compute},
        cwd=root,
        report=typer.echo,
    )
    return build_html(pages, config, output or root / "build") if html else None
