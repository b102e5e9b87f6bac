"""Search quotes the words around what it found, from a file system too."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from aucseg.gates import browser
from tests.repository import ROOT

PAGE = """<html><body><nav>menu</nav><article><section id="top">
<h1>Title<a class="headerlink">#</a></h1><p class="aucseg-reading">Reading time.</p><p>Of the tail.</p>
<section id="below"><h2>Surrogates</h2><p>A hinge.</p><pre>code = 1</pre><svg><text>ink</text></svg></section>
</section></article></body></html>"""


def test_words_of_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    aucseg_pages = pytest.importorskip("aucseg_pages")
    assert aucseg_pages.section_texts(PAGE) == [
        ["top", "Title Of the tail."],
        ["below", "Surrogates A hinge."],
    ]
    assert aucseg_pages.section_texts("<html><body></body></html>") == []


@pytest.mark.skipif(browser() is None, reason="Chromium is not installed")
def test_a_search_from_a_file_system_gets_them(tmp_path: Path) -> None:
    static = tmp_path / "book" / "_static"
    static.mkdir(parents=True)
    shutil.copy(ROOT / "book" / "_static" / "aucseg.js", static)
    texts = {"notebooks/a": [["top", "Title & <b>"], ["below", "A hinge."]]}
    (static / "texts.js").write_text(f"window.aucsegTexts = {json.dumps(texts)};")
    page = static.parent / "search.html"
    page.write_text(
        "<html><body><script src='_static/aucseg.js'></script><script>"
        "for (const name of ['notebooks/a', 'none'])"
        " fetch(`./${name}.html`).then(answer => answer.text()).then(text => {"
        " const page = new DOMParser().parseFromString(text, 'text/html');"
        " const told = document.createElement('p');"
        " told.textContent = `${name}: ${page.querySelector('[role=main]').textContent}|`"
        " + (page.querySelector('[role=main] #below')?.textContent ?? '');"
        " document.body.append(told); });</script></body></html>"
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--virtual-time-budget=4000"]
    done = subprocess.run(
        [str(browser()), *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "notebooks/a: Title &amp; &lt;b&gt; A hinge. |A hinge. " in done.stdout
    assert "none: |" in done.stdout
