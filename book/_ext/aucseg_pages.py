"""Sphinx extension of this book: numbers and figures from the package, and MathJax without a network.

Pages write ``{{ name }}`` where a number belongs; nothing in them is typed by hand that a file of the project
can tell.
"""

from __future__ import annotations

import json
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import page_facts
import status_facts
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

from aucseg.experiments import RecordStore

MATHJAX = "static/mathjax/tex-svg.js"
MOST_WORDS = 4000  # characters of a section that the search may quote


def add_facts(app: Sphinx, config: Config) -> None:
    config.myst_substitutions = {**config.myst_substitutions, **page_facts.facts(Path(app.srcdir))}


def put_changelog(app: Sphinx, page: str, source: list[str]) -> None:
    if page == "changelog":
        source[0] = status_facts.changelog()


def skip_generated(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    # A named tuple's fields carry no docstring of ours: their class describes them.
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def without_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    # Live code is off, but its script is declared twice on each page, and comes from another host.
    scripts = context.get("script_files", [])
    context["script_files"] = [
        script
        for script in scripts
        if "thebe" not in str(getattr(script, "filename", script) or "").lower()
        and "THEBE_JS_URL" not in str(getattr(script, "attributes", {}).get("body") or "")
    ]


def reading_minutes(body: str) -> int:
    """Minutes that the prose of a page takes, at 200 words a minute: without code, tables and drawings."""
    prose = re.sub(r"<(pre|svg|table|script|style|details)\b.*?</\1>", " ", body, flags=re.DOTALL)
    return max(1, round(len(re.sub(r"<[^>]*>", " ", prose).split()) / 200))


def add_reading_time(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    # Of chapters: nobody reads the reference from its top to its end.
    body = context.get("body")
    if not body or page.startswith(("api", "bibliography", "glossary", "records", "coverage", "intro")):
        return
    minutes = reading_minutes(body)
    line = f'<p class="aucseg-reading">Reading time: {minutes} minute{"" if minutes == 1 else "s"}.</p>'
    context["body"] = body.replace("</h1>", "</h1>\n" + line, 1)


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


def copy_records(app: Sphinx, error: Exception | None) -> None:
    """The records themselves, and the list by which `records.html` finds them, also from a file system."""
    if error is not None or app.builder.format != "html":
        return
    store, target = RecordStore(), Path(app.outdir) / "_static" / "records"
    listing = json.dumps(page_facts.listing(), separators=(",", ":"))
    target.with_suffix(".js").write_text(f"window.aucsegRecords = {listing};\n", encoding="utf-8")
    for path in store.root.glob("*/*.json"):
        copy = target / path.relative_to(store.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def section_texts(html: str) -> list[list[str]]:
    """The words of each section of a page, without those of the sections in it, by the section's id."""
    article = BeautifulSoup(html, "html.parser").find("article")
    if article is None:
        return []
    for element in article.select(
        "script, style, svg, table, pre, .math, .headerlink, .aucseg-source, .aucseg-reading"
    ):
        element.decompose()
    found = []
    for section in reversed(article.find_all("section", id=True)):  # what lies within comes first, and goes
        words = " ".join(section.get_text(" ").split())
        found.append([str(section["id"]), words[:MOST_WORDS]])
        section.decompose()
    return found[::-1]


def copy_texts(app: Sphinx, error: Exception | None) -> None:
    """The words of all sections, which the search quotes: a page from a file system may read no other."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    pages = {name: out / f"{name}.html" for name in sorted(app.env.found_docs)}
    texts = {
        name: section_texts(path.read_text(encoding="utf-8"))
        for name, path in pages.items()
        if path.is_file()
    }
    listing = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
    (out / "_static" / "texts.js").write_text(f"window.aucsegTexts = {listing};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", add_facts)
    app.connect("source-read", put_changelog)
    app.connect("autodoc-skip-member", skip_generated)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", copy_records)
    app.connect("build-finished", copy_texts)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("html-page-context", add_reading_time, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
