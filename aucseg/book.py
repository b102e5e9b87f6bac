"""The book: execute the notebooks with papermill, then build the pages with Jupyter Book.

Needs the extra ``aucseg[book]`` and a clone of the repository, where the pages and notebooks are; the library
itself imports none of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from aucseg.errors import UserError, extra
from aucseg.gates import Fault, browser, page_faults, seen_faults

# What a static page may not load from elsewhere; plain links (<a href>) are the reader's own choice.
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*?\ssrc=["']((?:https?:)?//[^"']+)"""
    r"""|<link\b(?=[^>]*\srel=["'](?:stylesheet|preload|icon)["'])[^>]*?\shref=["']((?:https?:)?//[^"']+)"""
)


class BookError(UserError, RuntimeError):
    """The book could not be made; the message names the page and the remedy."""


def make_book(
    root: Path,
    parameters: Mapping[str, Any],
    *,
    names: Sequence[str] = (),
    output: Path | None = None,
    into: Path | None = None,
    html: bool = True,
    report: Callable[[str], None] = print,
    execute: Callable[..., object] | None = None,
    **options: Any,
) -> Path | None:
    """Execute the notebooks of a clone and build its pages.

    Args:
        root: the clone, with ``book/``, ``notebooks/`` and ``_config.yml``.
        parameters: passed to the notebooks.
        names: names of the notebooks to execute, with or without ``.ipynb``; all of them if empty.
        output: folder for a second book beside the usual one, which is ``build``.
        into: folder for the executed notebooks alone: no page is built.
        html: build the pages as well.
        report: called with lines about the notebooks.
        execute: what executes them, called as :func:`aucseg.notebooks.execute_notebooks`, the default.
        options: further ones of that function.

    Returns:
        Path of ``index.html``, or ``None`` without pages.

    Raises:
        BookError: if ``root`` is no clone, a notebook is unknown, or the pages do not build.
        NotebookError: if a notebook fails.
    """
    if execute is None:
        from aucseg.notebooks import execute_notebooks  # needs the extra, as nothing else here

        execute = execute_notebooks
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
    if output is not None and into is None:
        pages = stage_pages(pages, output / "source")
    execute(
        [known[name] for name in chosen],
        into or pages / "notebooks",
        parameters,
        cwd=root,
        report=report,
        **options,
    )
    return build_html(pages, config, output or root / "build") if html and into is None else None


def stage_pages(book_dir: Path, destination: Path) -> Path:
    """Copy the pages, without executed notebooks, so that a second book can be built beside the first.

    Args:
        book_dir: folder with ``_toc.yml`` and the pages.
        destination: folder of the copy; replaced if it exists.

    Returns:
        The copy.
    """
    shutil.rmtree(destination, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    shutil.copytree(book_dir, destination, ignore=ignore)
    shutil.rmtree(destination / "notebooks", ignore_errors=True)
    return destination


def build_html(book_dir: Path, config: Path, output: Path) -> Path:
    """Build the pages strictly: warnings and missing references are errors, notebooks are not executed.

    Args:
        book_dir: folder with ``_toc.yml``, the pages and ``notebooks/`` with the executed notebooks.
        config: Jupyter Book's ``_config.yml``.
        output: folder below which ``_build/html`` is written.

    Returns:
        Path of ``index.html``.

    Raises:
        BookError: if Jupyter Book fails, if a page would load something from another host, or if a reader
            would find a fault on it: see :mod:`aucseg.gates`.
    """
    with extra("book"):
        import_module("jupyter_book")
    program = "from jupyter_book.cli.main import main; main()"
    arguments = ["build", str(book_dir), "--config", str(config), "--path-output", str(output)]
    strict = ["-W", "--keep-going", "-n", "-q", "--all"]
    code = subprocess.run([sys.executable, "-c", program, *arguments, *strict], check=False).returncode
    if code:
        raise BookError(
            f"Jupyter Book ended with code {code}; the warnings above are errors, mend them and try again"
        )
    html = output / "_build" / "html"
    faults = [Fault(page, f"loads from another host: {url}") for page, url in remote_assets(html)]
    faults += page_faults(html, private=(config.parent, output, Path.home()))
    if (chromium := browser()) is not None:
        faults += seen_faults(html, chromium)
    if faults:
        listing = "\n  ".join(map(str, faults))
        raise BookError(f"the pages are built in {html}, but a reader would find:\n  {listing}")
    return html / "index.html"


def remote_assets(html: Path) -> list[tuple[str, str]]:
    """Pages that load a script, a style sheet or a picture from another host, each with the address.

    Args:
        html: folder of the pages.
    """
    return [
        (str(page.relative_to(html)), match[1] or match[2])
        for page in sorted(html.rglob("*.html"))
        for match in _LOADED.finditer(page.read_text(encoding="utf-8"))
    ]
