"""The book: execute the notebooks with papermill, then build the pages with Jupyter Book.

Needs the extra ``aucseg[book]`` and a clone of the repository, where the pages and notebooks are; the library
itself imports none of it.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from aucseg.errors import UserError

Parameter = str | int | float | bool | list[int]

# What a static page may not load from elsewhere; plain links (<a href>) are the reader's own choice.
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*?\ssrc=["']((?:https?:)?//[^"']+)"""
    r"""|<link\b(?=[^>]*\srel=["'](?:stylesheet|preload|icon)["'])[^>]*?\shref=["']((?:https?:)?//[^"']+)"""
)


class BookError(UserError, RuntimeError):
    """The book could not be made; the message names the notebook or page and the remedy."""


def execute_notebooks(
    notebooks: Iterable[Path],
    output_dir: Path,
    parameters: Mapping[str, Parameter],
    *,
    cwd: Path | None = None,
    report: Callable[[str], None] = print,
) -> list[Path]:
    """Execute notebooks one after the other, each with the same parameters.

    A notebook is written to ``output_dir`` only when it has finished; one that fails is left in
    ``output_dir/failed`` with its error in place, and the others still run.

    Args:
        notebooks: notebooks with one cell tagged ``parameters``.
        output_dir: folder for the executed notebooks.
        parameters: values for names that the ``parameters`` cell of every notebook assigns.
        cwd: working directory of the kernels; the folder of the notebook if not given.
        report: called with one line of progress at a time.

    Returns:
        Paths of the executed notebooks.

    Raises:
        BookError: before anything runs for an unknown parameter, at the end for cells that failed.
    """
    papermill = _require("papermill")
    notebooks = list(notebooks)
    for path in notebooks:
        known = notebook_parameters(path)
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise BookError(f"{path.name} has no parameter {unknown[0]!r}; it has: {', '.join(known)}")
    done, failures = [], []
    for number, path in enumerate(notebooks, 1):
        label = f"[{number}/{len(notebooks)}] {path.name}"
        report(f"{label}: running ({', '.join(f'{k}={v}' for k, v in parameters.items())})")
        unfinished = output_dir / "failed" / path.name
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        try:
            with _kernel_environment():
                papermill.execute_notebook(
                    str(path),
                    str(unfinished),
                    parameters=dict(parameters),
                    kernel_name="python3",
                    language="python",
                    cwd=str(cwd or path.parent),
                    progress_bar=sys.stderr.isatty(),
                    extra_arguments=["--log-level=CRITICAL"],
                )
        except papermill.PapermillExecutionError as error:
            trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
            failures.append(f"{path.name}, cell [{error.exec_count}]: {error.ename}: {error.evalue}")
            report(f"{label}: FAILED in cell [{error.exec_count}]\n{trace}")
            continue
        except RuntimeError as error:  # the kernel died, for example because memory ran out
            failures.append(f"{path.name}: {error}")
            report(f"{label}: FAILED, {error}")
            continue
        unfinished.replace(output_dir / path.name)
        done.append(output_dir / path.name)
        report(f"{label}: done in {time.perf_counter() - start:.0f} s")
    if failures:
        listing = "\n  ".join(failures)
        raise BookError(
            f"{len(failures)} of {len(notebooks)} notebooks failed:\n  {listing}\nsee {unfinished.parent}"
        )
    shutil.rmtree(output_dir / "failed", ignore_errors=True)
    return done


@contextmanager
def _kernel_environment() -> Iterator[None]:
    """Environment variables that kernels inherit, restored afterwards."""
    ours = {
        # A kernel of this environment goes before one of the same name in the user's home.
        "JUPYTER_PREFER_ENV_PATH": "1",
        # Static pages have no widgets; that tqdm misses them is no news for a reader.
        "PYTHONWARNINGS": ",".join(
            filter(None, [os.environ.get("PYTHONWARNINGS"), "ignore:IProgress not found"])
        ),
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def notebook_parameters(path: Path) -> tuple[str, ...]:
    """Names that the ``parameters`` cell of a notebook assigns.

    Args:
        path: the notebook.

    Returns:
        The names in their order.

    Raises:
        BookError: if the file is no notebook or has not exactly one such cell.
    """
    nbformat = _require("nbformat")
    try:
        notebook = nbformat.read(path, as_version=4)
    except OSError as error:
        raise BookError(f"cannot read notebook {path}: {error.strerror}") from error
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise BookError(f"{path} is not a notebook: {error}") from error
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise BookError(f"{path.name} needs exactly one cell tagged 'parameters', it has {len(cells)}")
    names: list[str] = []
    for node in ast.parse(cells[0].source).body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return tuple(names)


def stage_pages(book_dir: Path, destination: Path) -> Path:
    """Copy the pages, without executed notebooks, so that a second book can be built beside the first.

    Args:
        book_dir: folder with ``_toc.yml`` and the pages.
        destination: folder of the copy; replaced if it exists.

    Returns:
        The copy.
    """
    shutil.rmtree(destination, ignore_errors=True)
    ignore = shutil.ignore_patterns("_generated", "__pycache__", ".ipynb_checkpoints")
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
        BookError: if Jupyter Book fails, or a page would load something from another host.
    """
    _require("jupyter_book")
    program = "from jupyter_book.cli.main import main; main()"
    arguments = ["build", str(book_dir), "--config", str(config), "--path-output", str(output)]
    strict = ["-W", "--keep-going", "-n", "-q", "--all"]
    code = subprocess.run([sys.executable, "-c", program, *arguments, *strict], check=False).returncode
    if code:
        raise BookError(
            f"Jupyter Book ended with code {code}; the warnings above are errors, mend them and try again"
        )
    html = output / "_build" / "html"
    remote = _remote_assets(html)
    if remote:
        listing = "\n  ".join(f"{page}: {url}" for page, url in remote)
        raise BookError(f"the book must work without a network, but these pages load:\n  {listing}")
    return html / "index.html"


def _remote_assets(html: Path) -> list[tuple[str, str]]:
    """Pages that load a script, a style sheet or a picture from another host, each with the address."""
    return [
        (str(page.relative_to(html)), match[1] or match[2])
        for page in sorted(html.rglob("*.html"))
        for match in _LOADED.finditer(page.read_text(encoding="utf-8"))
    ]


def _require(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise BookError(f'{module} is not installed; run: pip install "aucseg[book]"') from error
