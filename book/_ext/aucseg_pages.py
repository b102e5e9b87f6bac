"""Sphinx extension of this book: numbers and figures from the package, and MathJax without a network.

Pages write ``{{ name }}`` where a number belongs; nothing in them is typed by hand that a file of the project
can tell.
"""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import page_facts
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

MATHJAX = "static/mathjax/tex-svg.js"


def add_facts(app: Sphinx, config: Config) -> None:
    config.myst_substitutions = {**config.myst_substitutions, **page_facts.facts()}


def draw_figures(app: Sphinx) -> None:
    page_facts.draw(Path(app.srcdir) / "_generated")


def skip_generated(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    # A named tuple's fields carry no docstring of ours: their class describes them.
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    files = metadata.files("sphinx-mathjax-offline") or []
    script = next((file for file in files if str(file).endswith(MATHJAX)), None)
    if script is None:
        raise ExtensionError(f'sphinx-mathjax-offline holds no {MATHJAX}; run: pip install "aucseg[book]"')
    target = Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(script.locate()), target / "tex-svg.js")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", add_facts)
    app.connect("builder-inited", draw_figures)
    app.connect("autodoc-skip-member", skip_generated)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
