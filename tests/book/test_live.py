"""Figures that a reader can move: the script computes what the package does, and what is drawn follows."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, jaccard_score, roc_auc_score

from aucseg import plots
from aucseg.data import load_spec
from aucseg.gates import browser, seen_faults
from aucseg.plots.live import Live
from aucseg.theory import all_present_probability, minimum_batch_size, necessary_batch_size
from tests.repository import ROOT

STATIC = ROOT / "book" / "_static"
SCRIPT = STATIC / "live.js"
NODE = shutil.which("node")
with_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
with_browser = pytest.mark.skipif(browser() is None, reason="Chromium is not installed")


def ask(expression: str) -> Any:
    """What the script makes of an expression in its own functions."""
    assert NODE is not None
    program = f"const f = require({json.dumps(str(SCRIPT))}); console.log(JSON.stringify({expression}))"
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture
def still() -> plt.Axes:
    _, ax = plt.subplots(figsize=(2, 1))
    return ax


def figure(live: Live) -> str:
    return plots.shown_html(live, "A caption.", alt="A picture.", number=1)


def written(html: str) -> dict[str, Any]:
    """What a page tells the script."""
    (text,) = re.findall(r"data-values='([^']*)'", html)
    for sign, code in (("'", "&#39;"), ("<", "&lt;"), (">", "&gt;"), ("&", "&amp;")):
        text = text.replace(code, sign)
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_still_picture_stands_in_the_place_of_the_figure(still: plt.Axes) -> None:
    pair = {"it's <1>": (("a & b", "c"), [0.9, 0.5], [0.5, 0.1])}
    html = figure(plots.live_threshold(still, pair))
    assert html.startswith('<figure class="aucseg-figure" id="figure-1"><div class="aucseg-live"')
    assert '<svg role="img" aria-label="A picture."' in html
    assert "<figcaption><b>Figure 1.</b> A caption.</figcaption>" in html
    (told,) = written(html)["pairs"]
    assert told["label"] == "it's <1>"
    assert told["auc"] == roc_auc_score([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1])
    with pytest.raises(plots.NoCaptionError):
        plots.shown_html(plots.live_threshold(still, pair), "A caption.", alt="", number=1)


def test_values_for_the_script_are_those_of_the_formulas(still: plt.Axes) -> None:
    """The package's loss of two pixels, against the formulas that the book prints."""
    formulas = {
        "square": lambda x, m: (m - x) ** 2,
        "hinge": lambda x, m: max(0.0, m - x),
        "squared_hinge": lambda x, m: max(0.0, m - x) ** 2,
        "exp": lambda x, m: np.exp(-x),
        "logistic": lambda x, m: np.log1p(np.exp(-x)),
    }
    checks = plots.live_surrogates(still).values["checks"]
    assert {name for name, *_ in checks} == set(formulas)
    for name, margin, scale, difference, value in checks:
        assert value == pytest.approx(formulas[name](scale * difference, margin), abs=1e-6), name


@with_node
def test_proposition_1_on_a_grid() -> None:
    grid = list(itertools.product((2, 3, 19, 171), (0.3, 0.05, 0.01, 0.001), (0.5, 0.1, 0.01, 0.0037, 0.001)))
    found = ask(f"{json.dumps(grid)}.map(each => f.batches(...each))")
    sizes = [1, 7, 100, 752]
    chances = ask(
        f"{json.dumps(grid)}.map(([k, d, p]) => {json.dumps(sizes)}.map(b => f.missing(k, p, b).independent))"
    )
    for (classes, delta, p), sizes_found, chance in zip(grid, found, chances, strict=True):
        assert sizes_found["enough"] == minimum_batch_size(classes, delta, p)
        assert sizes_found["needed"] == necessary_batch_size(delta, p)
        b = sizes_found["independent"]
        assert 1 - all_present_probability([p] * classes, b) <= delta * (1 + 1e-9)
        assert b == 1 or 1 - all_present_probability([p] * classes, b - 1) > delta
        for size, value in zip(sizes, chance, strict=True):
            assert value == pytest.approx(1 - all_present_probability([p] * classes, size), abs=1e-12)


@with_node
def test_a_threshold_as_scikit_learn_judges_it() -> None:
    rng = np.random.default_rng(0)
    positive, negative = (np.sort(rng.beta(*shape, 60).round(2)).tolist() for shape in ((4, 3), (2, 4)))
    truth, scores = np.repeat([1, 0], 60), np.array(positive + negative)
    lists = f"{positive}, {negative}"
    assert ask(f"f.auc({lists})") == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    for threshold, ratio in itertools.product((0.0, 0.31, positive[5], 1.0), (1, 10)):
        found = ask(f"f.judged({lists}, {threshold}, {ratio})")
        weight = np.where(truth == 1, 1, ratio)
        said = scores >= threshold
        assert found["accuracy"] == pytest.approx(accuracy_score(truth, said, sample_weight=weight))
        assert found["iou"] == pytest.approx(
            jaccard_score(truth, said, sample_weight=weight, zero_division=0.0)
        )
    top, place = ask(f"f.best({lists}, 10)")
    everywhere = [
        jaccard_score(truth, scores >= t, sample_weight=np.where(truth == 1, 1, 10), zero_division=0.0)
        for t in scores
    ]
    assert top == pytest.approx(max(everywhere))
    assert ask(f"f.judged({lists}, {place}, 10).iou") == top


@with_node
def test_another_result_than_that_of_the_package_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        ask("f.near('a size', 752, 751, 0)")
    assert "a size is 752 here and 751 by the package" in caught.value.stderr


def test_frames_of_the_bank_are_what_was_pasted_and_a_line_around_it(still: plt.Axes) -> None:
    before, after = np.zeros((4, 6), int), np.zeros((4, 6), int)
    after[1:3, 1:3] = 7
    image = np.full((3, 4, 6), 10, np.uint8)
    pasted = image.copy()
    pasted[:, 1:3, 1:3] = 200
    frames = {(i, 0, 0): (pasted if i else image, after if i else before, f"{i}") for i in range(2)}
    options = {"S_M": (1, 5), "R_S": (1.0,), "R_R": (1.0,)}
    live = plots.live_bank(still, image, before, options, frames)
    (first, second) = live.values["frames"]
    assert first == [[0, 0, 0], "", "0"]
    colors = picture(second[1], "RGBA")
    assert colors.shape == (8, 12, 4)
    solid = colors[..., 3] == 255
    assert set(np.unique(colors[..., 3]).tolist()) == {0, 255}
    assert (colors[2:6, 2:6, :3] == 200).all()  # the object, twice as fine
    line = solid.copy()
    line[2:6, 2:6] = False
    assert line.sum() == 4 * 4  # one of its own pixels wide on all four sides
    assert {tuple(c) for c in colors[line][:, :3].tolist()} == {tuple(bytes.fromhex("ffd21f"))}
    del frames[0, 0, 0]
    with pytest.raises(ValueError, match="every combination of S_M, R_S, R_R, 2"):
        plots.live_bank(still, image, before, options, frames)


def picture(address: str, mode: str | None = None) -> np.ndarray:
    import base64
    import io

    from PIL import Image

    assert address.startswith("data:image/png;base64,")
    found = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    return np.asarray(found if mode is None else found.convert(mode))


def comparison(still: plt.Axes) -> Live:
    spec = load_spec("cityscapes")
    truth = np.repeat([[0, 12, 255]], 2, axis=0).astype(np.uint8)
    image = np.full((3, 2, 3), 90, np.uint8)
    seen = {"photo": (image, "a street"), "truth": (truth, "by hand"), "ce": (truth * 0, "33% right")}
    labels = {"photo": "image", "truth": "truth", "ce": "cross entropy"}
    return plots.live_compare(still, {"1: rider": seen}, spec, labels)


def test_what_is_right_of_a_prediction_is_counted() -> None:
    spec = load_spec("cityscapes")
    tail = spec.tail[0]
    truth = np.array([[0, 0, tail, tail, 255]])
    predicted = np.array([[0, 1, tail, 0, 0]])
    image = np.zeros((3, 1, 5), np.uint8)
    layers = plots.compared_layers(image, truth, {"ce": predicted}, spec)
    assert list(layers) == ["photo", "truth", "ce"]
    assert layers["truth"][1] == f"its tail is {spec.names[tail]}"
    assert layers["ce"][1] == "50.0% of the pixels right, 50.0% of those of the tail"
    none = plots.compared_layers(image, truth * 0 + 255, {"ce": predicted}, spec)
    assert none["truth"][1] == "its tail is empty"
    assert none["ce"][1] == "nothing to compare"


def test_layers_are_masks_in_the_colours_of_their_classes(still: plt.Axes) -> None:
    spec, live = load_spec("cityscapes"), comparison(still)
    (image,) = live.values["images"]
    assert image["classes"] == ["road", "rider"]
    mask = picture(image["layers"]["truth"][0])
    np.testing.assert_array_equal(mask, [[0, 12, 255]] * 2)
    assert live.values["colors"]["rider"] == "#{:02x}{:02x}{:02x}".format(*spec.colors[12])


PAGE = """<!DOCTYPE html><html data-content_root="./"><head><meta charset="utf-8"><title>t</title>
<link rel="stylesheet" href="_static/custom.css"><script src="_static/live.js"></script>
<style>:root {{ --pst-color-surface: #fff }} html[data-theme=dark] {{ --pst-color-surface: #222 }}
article {{ background: #fff; color: #222; width: {width}px }}
html[data-theme=dark] article {{ background: #121212; color: #eee }}</style></head>
<body><article class="bd-article">{body}</article><script>{script}</script></body></html>"""


def opened(tmp_path: Path, body: str, script: str = "", width: int = 390) -> str:
    """The page as the browser has it after a script."""
    shutil.copytree(STATIC, tmp_path / "_static", dirs_exist_ok=True)
    (tmp_path / "index.html").write_text(PAGE.format(body=body, script=script, width=width), encoding="utf-8")
    program = browser()
    assert program is not None
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += ["--virtual-time-budget=5000", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*command, (tmp_path / "index.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout


MOVED = """addEventListener("load", () => setTimeout(() => {
  const end = document.querySelector("article").getBoundingClientRect().right + 1;
  for (const each of document.querySelectorAll("article *"))
    if (each.getBoundingClientRect().right > end && !each.closest("g"))
      document.title += ` wide:${each.tagName}`;
  for (const input of document.querySelectorAll("input[type=range]")) {
    const place = input.closest(".aucseg-live");
    const seen = [input.min, input.max].map(value => {
      input.value = value;
      input.dispatchEvent(new Event("input"));
      const line = [...place.querySelectorAll("img")].at(-1)?.style.clipPath;
      return place.querySelector(".aucseg-said").textContent + line;
    });
    document.title += seen[0] === seen[1] ? ` stuck:${input.parentElement.textContent}` : " moved";
    const named = input.parentElement.textContent && input.getAttribute("aria-valuetext");
    if (!named) document.title += " unnamed";
  }
}, 500));"""


def every_kind(still: plt.Axes) -> str:
    image = np.full((3, 4, 6), 90, np.uint8)
    empty = np.zeros((4, 6), int)
    frames = {
        place: (image, empty + place[0], f"setting {place}")
        for place in itertools.product(range(2), range(2), range(2))
    }
    options = {"S_M": (1, 5), "R_S": (0.5, 1.0), "R_R": (0.5, 1.0)}
    lives = [
        plots.live_surrogates(still),
        plots.live_batch_size(19, 0.01, 0.01, 300),
        plots.live_threshold(still, {"pair": (("rider", "road"), [0.9, 0.5], [0.5, 0.1])}),
        plots.live_bank(still, image, empty, options, frames),
        comparison(still),
    ]
    return "".join(figure(live) for live in lives)


@with_browser
def test_every_slider_moves_what_it_says_and_fits_a_telephone(tmp_path: Path, still: plt.Axes) -> None:
    page = opened(tmp_path, every_kind(still), MOVED)
    (title,) = re.findall("<title>(.*?)</title>", page)
    assert title.split() == ["t", *["moved"] * 13]
    assert page.count('role="img" aria-label') == 4  # the charts; still pictures are gone
    assert "200 classes, each in 49% of the images" in page
    assert not re.findall(r">[^<]*\b(?:NaN|undefined|Infinity)\b[^<]*<", page.split("<script")[2])


@with_browser
def test_the_figures_pass_the_gates_and_a_wrong_value_does_not(tmp_path: Path, still: plt.Axes) -> None:
    program = browser()
    assert program is not None
    shutil.copytree(STATIC, tmp_path / "_static")
    body = every_kind(still)
    page = tmp_path / "index.html"
    wide = PAGE.replace("width: {width}px", "max-width: 700px")  # and as narrow as a phone's
    page.write_text(wide.format(body=body, script=""), encoding="utf-8")
    assert seen_faults(tmp_path, program) == []
    wrong = body.replace("[19,0.01,0.01,459,", "[19,0.01,0.01,460,")
    assert wrong != body
    page.write_text(wide.format(body=wrong, script=""), encoding="utf-8")
    (fault,) = seen_faults(tmp_path, program)
    assert "an error of a script" in str(fault)  # a browser tells no more of scripts in files
