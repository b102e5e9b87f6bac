"""A fault that a reader would find ends the build: each kind on a page of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aucseg.gates import MOST_BYTES, browser, page_faults, seen_faults

HEAD = "<!doctype html><html data-theme='light'><head><meta charset='utf-8'><title>x</title></head><body>"
CELL = '<article><div class="cell_output">{}</div></article>'


def _page(folder: Path, body: str, name: str = "index.html") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEAD}{body}</body></html>", encoding="utf-8")
    return folder


def _told(folder: Path, **options: object) -> list[str]:
    return [str(fault) for fault in page_faults(folder, **options)]  # type: ignore[arg-type]


GOOD = (
    '<figure class="aucseg-figure"><svg role="img" aria-label="a line"><g></g></svg>'
    "<figcaption>Figure 1. A line.</figcaption></figure>"
    '<figure class="aucseg-table"><figcaption>Table 1.</figcaption>'
    "<table><tr><td>1</td></tr></table></figure>"
)


def test_a_page_as_it_should_be_has_none(tmp_path: Path) -> None:
    _page(
        tmp_path,
        f'<h1 id="top">T</h1><a href="#top">up</a><a href="other.html#there">x</a>{CELL.format(GOOD)}',
    )
    _page(tmp_path, '<p id="there">x</p><a href="https://example.org/none">y</a>', "other.html")
    assert _told(tmp_path, private=[tmp_path, "/srv/somebody"]) == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('<img src="_images/a.png">', "without an alternative text"),
        ('<img src="_images/a.png" alt="_images/a.png">', "without an alternative text"),
        (CELL.format('<div class="aucseg-x"><svg role="img"></svg></div>'), "without an alternative text"),
        (CELL.format('<img src="_images/a.png" alt="bars">'), "without number and caption"),
        (CELL.format("<table><tr><td>1</td></tr></table>"), "without number and caption"),
        (
            CELL.format('<figure class="aucseg-figure"><svg aria-label="x"></svg></figure>'),
            "1 figures without a caption",
        ),
        (CELL.format("<pre>Traceback (most recent call last)</pre>"), "a traceback"),
        (CELL.format("<pre>&lt;Axes: title={}&gt;</pre>"), "representation of an object: <Axes"),
        (CELL.format("<pre>&lt;matplotlib.lines.Line2D at 0x7f00&gt;</pre>"), "representation of an object"),
        (CELL.format("<pre>&lt;X object at 0x7f00aa&gt;</pre>"), "object at 0x7f00aa"),
        (CELL.format("<p>seeds by arm: {‘auc’: 3, ‘bank’: 3}</p>"), "representation of an object: {‘auc’: "),
        (CELL.format("<p>its coefficients $w_k$ differ</p>"), "a formula that is not set: $w_k$"),
        (CELL.format("<p>['auc', 'bank']</p>"), "representation of an object: ['auc', '"),
        (CELL.format("<ul><li><ul><li>AUC: more</li></ul></li></ul>"), "begin with a list"),
        ('<a href="none.html">x</a>', "a page that is not there: none.html"),
        ('<a href="#none">x</a>', "a place that is not there: #none"),
        ('<script src="_static/none.js"></script>', "a file that is not there: _static/none.js"),
        ("<p>/srv/somebody/aucseg/x.py</p>", "a folder of the machine: /srv/somebody/aucseg"),
        (f"<p>{'x' * MOST_BYTES}</p>", "3.0 MB with its pictures"),
    ],
)
def test_what_a_reader_would_find(tmp_path: Path, body: str, told: str) -> None:
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images" / "a.png").write_bytes(b"x")
    _page(tmp_path, body)
    (found,) = _told(tmp_path, private=["/srv/somebody"])
    assert found.startswith("index.html: ")
    assert told in found


def test_weight_counts_pictures(tmp_path: Path) -> None:
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images" / "a.png").write_bytes(b"x" * MOST_BYTES)
    _page(tmp_path, '<img src="_images/a.png" alt="large">')
    assert "3.0 MB" in _told(tmp_path)[0]


def test_a_downloaded_notebook_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    _page(tmp_path, "<p>x</p>")
    notebook = tmp_path / "_sources" / "notebooks" / "a.ipynb"
    notebook.parent.mkdir(parents=True)
    notebook.write_text(json.dumps({"path": "/srv/somebody/a.ipynb"}), encoding="utf-8")
    assert _told(tmp_path, private=["/srv/somebody"]) == [
        '_sources/notebooks/a.ipynb: a folder of the machine: /srv/somebody/a.ipynb"}'
    ]
    assert _told(tmp_path, private=["/srv/some", "/"]) == []  # a part of a name, and the root, are none


@pytest.mark.skipif(browser() is None, reason="Chromium is not installed")
def test_in_a_browser(tmp_path: Path) -> None:
    _page(
        tmp_path,
        "<style>article{background:#fff;color:#222} th.hidden{display:none} .pale{color:#aaa}"
        "html[data-theme=dark] article{background:#111} html[data-theme=dark] p.good{color:#eee}</style>"
        "<script>const twice = 1;</script><script>const twice = 2;</script>"
        "<article><p class='good'>fine</p><p class='pale'>pale</p>"
        "<table><thead><tr><th class='hidden'>gone</th><th class='good'>a</th></tr></thead></table>"
        "<figure class='aucseg-figure' style='width:300px;overflow-x:auto'>"
        "<svg aria-label='wide' width='400' height='9'></svg>"
        "<figcaption class='good'>Figure 7. Wide.</figcaption></figure>"
        "</article>",
    )
    _page(tmp_path, "<article><p style='color:#111;background:#fff'>fine</p></article>", "b/fine.html")
    _page(
        tmp_path,
        "<article style='color:#111;background:#fff'><code>a.name.that.is.longer.than.a.phone.is.wide.and.is."
        "not.broken.into.lines</code><div style='overflow-x:auto'><div style='width:900px'>rolls</div></div>"
        "</article>",
        "b/long.html",
    )
    program = browser()
    assert program is not None
    found = [str(fault) for fault in seen_faults(tmp_path, program)]
    assert not [fault for fault in found if fault.startswith("b/fine.html")]
    assert any("error of a script" in fault and "twice" in fault for fault in found)
    assert any("too pale in the light" in fault and "p.pale" in fault for fault in found)
    assert any("too pale in the dark" in fault and "th.good" in fault for fault in found)
    assert any(fault.endswith("header that cannot be seen: gone") for fault in found)
    wide = [fault for fault in found if "wider than a phone" in fault]
    assert len(wide) == 1
    assert wide[0].startswith("b/long.html: wider than a phone of 390 pixels: code a.name.that")
    assert any("cut off at this width: 400 of 300 pixels, Figure 7" in fault for fault in found)
    assert not any("p.good" in fault for fault in found)
