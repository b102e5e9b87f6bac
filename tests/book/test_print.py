"""What is printed of a page, as a browser has it: rules for paper are made rules for the screen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from aucseg.gates import browser
from aucseg.plots.style import DARK
from tests.book.test_live import PAGE, STATIC, opened
from tests.repository import ROOT

BODY = """<div class="bd-sidebar-primary">chapters</div><div class="bd-header">search</div>
<article class="bd-article">
<p id="outside"><a href="https://example.org/there">outside</a></p>
<p id="inside"><a href="other.html">in</a></p>
<div class="cell"><details class="hide above-input"><summary id="fold">Show code</summary>
<pre id="code">x = 1</pre></details><div class="cell_output" id="output">
<figure class="aucseg-figure" id="figure"><div class="aucseg-live" id="live"></div>
<svg id="wide" style="width: 100%; max-width: 2000px; min-width: 1440px" viewBox="0 0 20 10"></svg>
<figcaption id="caption">Figure 1.</figcaption></figure></div></div>
<div class="aucseg-controls" id="controls">sliders</div>
<div class="highlight"><pre><span id="token" style="color: #dcc6e0">def</span></pre></div>
<path id="blue" style="stroke: var(--aucseg-3b6fb6, #3b6fb6)"></path></article>"""
ASKED = """addEventListener("load", () => {
  const id = name => document.getElementById(name), style = name => getComputedStyle(id(name));
  document.title = JSON.stringify({
    seen: ["fold", "code", "output", "caption", "controls"].filter(name => id(name).checkVisibility()),
    beside: [".bd-sidebar-primary", ".bd-header"].filter(n => document.querySelector(n).checkVisibility()),
    address: ["outside", "inside"].map(n => getComputedStyle(id(n).firstChild, "::after").content),
    cut: [style("figure").breakInside, style("figure").overflowX, id("wide").getBoundingClientRect().width],
    colors: [style("token").color, style("blue").stroke, getComputedStyle(document.documentElement).color],
  });
});"""


@pytest.mark.skipif(browser() is None, reason="Chromium is not installed")
@pytest.mark.parametrize("paper", [True, False])
def test_what_is_printed_of_a_dark_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paper: bool) -> None:
    style = (STATIC / "custom.css").read_text(encoding="utf-8")
    assert style.count("@media print") == 1
    if paper:
        style = style.replace("@media print", "@media all")
    monkeypatch.setattr(
        "tests.book.test_live.PAGE",
        PAGE.replace("</head>", f"<style>{style.replace('{', '{{').replace('}', '}}')}</style></head>")
        .replace('<html data-content_root="./">', '<html data-content_root="./" data-theme="dark">')
        .replace('<article class="bd-article">{body}</article>', "{body}"),
    )
    (title,) = re.findall("<title>(.*?)</title>", opened(tmp_path, BODY, ASKED, width=600), re.DOTALL)
    found = json.loads(title.replace("&quot;", '"').replace("&amp;", "&"))
    if not paper:  # else the rules would not be what is tested
        assert found["beside"] == [".bd-sidebar-primary", ".bd-header"]
        assert found["seen"] == ["fold", "output", "caption", "controls"]
        assert found["colors"][0] == "rgb(220, 198, 224)"
        assert found["cut"][2] == 1440
        return
    assert found["beside"] == []
    assert found["seen"] == ["output", "caption"]
    assert (
        found["address"][0].replace("\\", "") == '" (" attr(href) ")"' or "example.org" in found["address"][0]
    )
    assert found["address"][1] == "none"
    assert found["cut"][:2] == ["avoid", "visible"]
    assert found["cut"][2] <= 800
    assert found["colors"] == ["rgb(0, 0, 0)", "rgb(59, 111, 182)", "rgb(0, 0, 0)"]


def test_every_colour_of_the_dark_is_that_of_the_light_on_paper() -> None:
    style = (ROOT / "book" / "_static" / "custom.css").read_text(encoding="utf-8")
    paper = style[style.index("@media print") :]
    assert set(re.findall(r"--aucseg-([0-9a-f]{6}): initial", paper)) == {color[1:] for color in DARK}
