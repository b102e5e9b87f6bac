"""What a built page may not have: each fault that a reader would find is one that ends the build.

The files are read as text, with Python's own parser. Where Chromium is installed, each page is also opened in
it, in the light and in the dark: errors of scripts, headers that cannot be seen, text that is too pale.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

MOST_BYTES = 3_000_000  # of a page with its pictures, without MathJax
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_REPR = re.compile(
    r"<(?:matplotlib|pandas|aucseg|seaborn|numpy|torch|IPython|Figure|Axes)\b[^<>]*>|\bobject at 0x[0-9a-f]+"
)
# A dictionary or list of Python, as a sentence of a page
_LITERAL = re.compile(r"""[{\[]['"‘’“”][\w -]+['"‘’“”](?:: |, ['"‘’“”])""")
# What a cell says is plain Markdown, where dollars are dollars
_FORMULA = re.compile(r"\$[^$]*[\\_^{][^$]*\$")
_LISTINGS = ("_modules/", "_static/", "genindex", "py-modindex")
_REDIRECT = 'http-equiv="refresh"'
# Of the browser for a page, and its seconds: a busy machine is no fault of the page.
_TRIES, _PATIENCE = 3, 120
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Fault:
    """Something wrong on a page.

    Attributes:
        page: the page, from the folder of all pages.
        what: what is wrong with it.
    """

    page: str
    what: str

    def __str__(self) -> str:
        return f"{self.page}: {self.what}"


@dataclass
class _Page:
    """What the gates want to know of a page."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)  # pictures without an alternative text
    loose: list[str] = field(default_factory=list)  # pictures of a cell without number and caption
    bare: int = 0  # figures without a caption
    outputs: list[str] = field(default_factory=list)  # text of cells' outputs
    sentences: list[str] = field(default_factory=list)  # the same, without what is preformatted
    nested: int = 0  # lists that begin a point of another list, as a point that begins with + does


class _Reader(HTMLParser):
    """Reads one page. A stack of what is open says where a thing stands."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = _Page()
        self._open: list[tuple[str, str]] = []
        self._captioned: list[bool] = []
        self._empty_point = False  # the last that came is the beginning of a point

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        kinds = known.get("class", "")
        if "id" in known:
            self.page.ids.add(known["id"])
        if tag == "a" and "name" in known:
            self.page.ids.add(known["name"])
        if tag == "a" and "href" in known:
            self.page.links.append(known["href"])
        if tag in ("img", "script", "source", "iframe") and known.get("src"):
            self.page.sources.append(known["src"])
        if tag == "link" and "stylesheet" in known.get("rel", ""):
            self.page.sources.append(known.get("href", ""))
        self.page.nested += self._empty_point and tag in ("ul", "ol")
        self._empty_point = tag == "li" or (self._empty_point and tag == "p")
        within = [kind for _, kind in self._open]
        output = any("cell_output" in kind for kind in within)
        shown = any("aucseg-" in kind for kind in within)
        if tag == "img":
            name = known.get("src", "")[:80]
            alt = known.get("alt", "").strip()
            if not alt or alt == known.get("src") or alt.startswith(("_images/", "../_images/")):
                self.page.unnamed.append(name)
            if output and not shown:
                self.page.loose.append(name)
        if tag == "svg" and output and not any(kind == "svg" for kind, _ in self._open):
            if not known.get("aria-label", "").strip():
                self.page.unnamed.append("a drawing")
            if not shown:
                self.page.loose.append("a drawing")
        if tag == "table" and output and not shown:
            self.page.loose.append("a table")
        if tag == "figure":
            self._captioned.append(False)
        if tag == "figcaption" and self._captioned:
            self._captioned[-1] = True
        if tag not in _VOID:
            self._open.append((tag, kinds))

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure" and self._captioned and not self._captioned.pop():
            self.page.bare += 1
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place][0] == tag:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        if not data.strip():
            return
        self._empty_point = False
        if any("cell_output" in kind for _, kind in self._open):
            self.page.outputs.append(data)
            if not any(tag in ("pre", "code", "svg", "script") for tag, _ in self._open):
                self.page.sentences.append(data)


def _read(path: Path) -> _Page:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    return reader.page


def page_faults(html: Path, private: Iterable[Path | str] = ()) -> list[Fault]:
    """What is wrong with built pages, as far as their files tell.

    Pictures without an alternative text; pictures, drawings and tables of cells without number and caption;
    figures without a caption; links and anchors within the pages that lead nowhere; tracebacks and
    representations of objects in what cells print; formulas in it that are not set; points of lists that
    begin with another list; folders of the machine that built them, in pages and in the notebooks that
    readers download; pages that weigh too much.

    Args:
        html: folder of the pages.
        private: folders whose names may not stand in a page.
    """
    pages = {path.relative_to(html).as_posix(): path for path in sorted(html.rglob("*.html"))}
    read = {
        name: _read(path) for name, path in pages.items() if not name.startswith(("_modules/", "_static/"))
    }
    faults = [fault for name, page in read.items() for fault in _of_one(html, name, page)]
    faults += _links(html, read)
    texts = [*pages.values(), *sorted((html / "_sources").rglob("*.ipynb"))]
    faults += _leaks(html, texts, [str(path) for path in private])
    return faults


def _of_one(html: Path, name: str, page: _Page) -> Iterator[Fault]:
    for picture in page.unnamed:
        yield Fault(name, f"a picture without an alternative text: {picture}")
    for thing in page.loose:
        yield Fault(name, f"shown without number and caption (use aucseg.plots.show): {thing}")
    if page.bare:
        yield Fault(name, f"{page.bare} figures without a caption")
    text = "".join(page.outputs)
    if _TRACEBACK in text:
        yield Fault(name, "a traceback")
    raw = {*_REPR.findall(text), *_LITERAL.findall(" ".join(page.sentences))}
    for found in sorted(raw)[:3]:
        yield Fault(name, f"the representation of an object: {found}")
    for found in sorted(set(_FORMULA.findall(" ".join(page.sentences))))[:3]:
        yield Fault(name, f"a formula that is not set: {found}")
    if page.nested:
        yield Fault(
            name, f"{page.nested} points of lists begin with a list: of a label that begins with + or -"
        )
    weight = (html / name).stat().st_size
    for source in set(page.sources):
        if not urlsplit(source).scheme and "mathjax" not in source:
            file = ((html / name).parent / unquote(urlsplit(source).path)).resolve()
            if not file.is_file():
                yield Fault(name, f"a file that is not there: {source}")
            elif "_images" in source:
                weight += file.stat().st_size
    if weight > MOST_BYTES:
        yield Fault(name, f"{weight / 1e6:.1f} MB with its pictures, at most {MOST_BYTES / 1e6:.0f}")


def _links(html: Path, read: dict[str, _Page]) -> Iterator[Fault]:
    others: dict[Path, set[str]] = {}
    for name, page in read.items():
        for link in sorted(set(page.links)):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
                continue
            target = ((html / name).parent / unquote(parts.path)).resolve() if parts.path else html / name
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                yield Fault(name, f"a link to a page that is not there: {link}")
                continue
            if not parts.fragment or target.suffix != ".html":
                continue
            key = target.resolve()
            if key not in others:
                known = read.get(key.relative_to(html.resolve()).as_posix())
                others[key] = (known or _read(key)).ids
            if unquote(parts.fragment) not in others[key]:
                yield Fault(name, f"a link to a place that is not there: {link}")


def _leaks(html: Path, files: Iterable[Path], private: Sequence[str]) -> Iterator[Fault]:
    names = [name for name in dict.fromkeys(private) if len(Path(name).parts) > 1]
    for file in files:
        text = unescape(file.read_text(encoding="utf-8"))
        for name in names:
            place = re.search(re.escape(name) + r"(?![\w.-])", text)
            if place is not None:
                near = text[place.start() : place.start() + 80].split("\n")[0]
                yield Fault(file.relative_to(html).as_posix(), f"a folder of the machine: {near}")


_ANSWER = re.compile(r'<script type="application/json" id="aucseg-answer">(.*?)</script>', re.DOTALL)


def browser() -> str | None:
    """Chromium's program, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def seen_faults(html: Path, program: str, names: Sequence[str] = ()) -> list[Fault]:
    """What is wrong with pages once they are open in a browser, in the light and in the dark.

    Args:
        html: folder of the pages.
        program: Chromium's.
        names: pages, from that folder; all but listings of code if empty.
    """
    html = html.resolve()  # or the links below would lead from another folder
    every = (path.relative_to(html).as_posix() for path in sorted(html.rglob("*.html")))
    chosen = list(names) or [name for name in every if not name.startswith(_LISTINGS)]
    texts = {name: (html / name).read_text(encoding="utf-8") for name in chosen}
    texts = {name: text for name, text in texts.items() if _REDIRECT not in text}
    script = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="aucseg-") as folder:
        copy = Path(folder) / "html"
        shutil.copytree(html, copy, copy_function=_link, ignore=shutil.ignore_patterns("*.html", "_sources"))
        for name, text in texts.items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            asking = text.replace("<head>", f"<head><script>{script}</script>", 1)
            (copy / name).write_text(asking, encoding="utf-8")

        def ask(name: str) -> list[Fault]:
            return [
                Fault(name, what)
                for what in _open(program, copy / name, Path(folder) / name.replace("/", "-"))
            ]

        with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
            return [fault for found in pool.map(ask, texts) for fault in found]


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(source)


def _open(program: str, page: Path, profile: Path) -> list[str]:
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--window-size=1400,2000",
        "--virtual-time-budget=20000",
        f"--user-data-dir={profile}",
        "--dump-dom",
        page.as_uri(),
    ]
    told = ""
    for _ in range(_TRIES):
        try:
            done = subprocess.run(
                [program, *options], capture_output=True, text=True, check=False, timeout=_PATIENCE
            )
        except subprocess.TimeoutExpired:
            told = f"none within {_PATIENCE} s"
            continue
        answer = _ANSWER.search(done.stdout)
        if answer is not None:
            return [str(fault) for fault in json.loads(answer[1])]
        told = f"code {done.returncode}: {done.stderr.strip()[-200:]}"
    return [f"the browser gave no answer ({told})"]
