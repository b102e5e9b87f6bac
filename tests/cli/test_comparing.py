"""``aucseg compare`` and ``aucseg advise``, from the command line to the page."""

from __future__ import annotations

import csv
import re
from html import escape, unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.names import NAMES

FOLDER = "mein Ordner <b> [1] Straße"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Two methods, one seed, three steps each: standard output, that of the same again, the report's folder.

    The data are a stranger's: a folder and files with blanks, brackets and umlauts, classes that are markup.
    """
    from tests.command import aucseg

    home = tmp_path_factory.mktemp("home")
    draw_folder(home / FOLDER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("AUCSEG_HOME", str(home))
        made = aucseg("data", "init", FOLDER, "--names", ",".join(NAMES))
        assert made.exit_code == 0, made.stderr
        assert all(name in made.stdout for name in NAMES), made.stdout
        words = (
            "compare", FOLDER, "--profile", "smoke", "--seeds", "1", "--methods", "cross_entropy,aucseg",
            "--set", "optim.steps=3", "--quiet",
        )  # fmt: skip
        result = aucseg(*words)
        assert result.exit_code == 0, result.stderr
        again = aucseg(*words)
    return result.stdout, again.stdout, home / "reports" / FOLDER


def draw_folder(root):
    """Twelve images with a square of each class, from large to small."""
    rng = np.random.default_rng(0)
    for side in ("images", "masks"):
        (root / side).mkdir(parents=True)
    for i in range(12):
        mask = np.zeros((64, 96), np.uint8)
        for label in range(1, len(NAMES)):
            top, left, side = rng.integers(0, 48), 13 * label, 15 - 2 * label
            mask[top : top + side, left : left + side] = label
        image = np.repeat(mask[..., None] * 30, 3, 2) + rng.integers(0, 30, (64, 96, 3))
        name = f"Straße {i} (a) [x] <b>"
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{name}.jpg")
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")


def test_a_page_of_its_own_with_all_parts(report):
    _, _, folder = report
    page = (folder / "index.html").read_text(encoding="utf-8")
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings == [
        "What it comes to", "What each method changes", "Class by class", "Curves", "Predictions",
        "What the bank pasted", "The runs behind it",
    ]  # fmt: skip
    assert not re.findall(r'(?:src|href)="(?!data:)', page)  # it asks nobody for anything
    assert all(re.findall(r'<img alt="([^"]*)"', page))


def test_the_page_says_where_the_records_lie(report):
    _, _, folder = report
    page = (folder / "index.html").read_text(encoding="utf-8")
    (place,) = re.findall("Records lie in <code>(.*?)</code>", page)
    named = re.findall(r"<td>(\w+\.json)</td>", page)
    assert len(named) == 2
    assert all((Path(unescape(place)) / name).is_file() for name in named)


def test_classes_that_are_nowhere_in_the_split_are_told(report, tmp_path, monkeypatch):
    """The page of the same runs, had the split no pixel of the last two classes."""
    from aucseg.experiments import Results, comparison
    from aucseg.plots.report import comparison_report

    _, _, folder = report
    monkeypatch.chdir(folder.parents[1])
    monkeypatch.setenv("AUCSEG_HOME", str(folder.parents[1]))
    experiment = comparison(["cross_entropy", "aucseg"], {}, ["optim.steps=3"])
    results = Results(experiment, folder.name, "smoke", range(1), "never")
    assert "has no pixel of" not in (folder / "index.html").read_text(encoding="utf-8")
    for record in results.records.values():
        record.metrics["iou"] |= {NAMES[-2]: None, NAMES[-1]: 0.0}  # the last one is predicted
        record.metrics["accuracy"] |= dict.fromkeys(NAMES[-2:])
    page = comparison_report(results, tmp_path, images=1).read_text(encoding="utf-8")
    told = f"has no pixel of 2 classes, which are not shown: {', '.join(NAMES[-2:])}."
    assert escape(told) in page


def test_numbers_lie_beside_the_page(report):
    stdout, _, folder = report
    with (folder / "runs.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "mIoU"]
    assert {row["arm"] for row in rows} == {"cross_entropy", "aucseg"}
    for row in rows:
        assert f"{float(row['value']):.2f}" in stdout


def test_a_second_time_nothing_is_trained(report):
    first, again, _ = report
    assert first.count("training 3 steps") == 2
    assert again.count("recorded") == 2
    assert "training" not in again


def test_what_is_not_a_report_is_not_replaced(run, tmp_path):
    page = tmp_path / "index.html"
    page.write_text("mine")
    code, _, stderr = run("compare", "streets", "--profile", "smoke", "--output", tmp_path)
    assert code == 1
    assert "is not a report of aucseg" in stderr
    assert "--output" in stderr
    assert page.read_text() == "mine"


def test_names_of_classes_and_folders_are_data_and_not_markup(report):
    _, _, folder = report
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "<b>" not in page
    legend = page[page.index('<ul class="legend">') :].partition("</ul>")[0]
    assert [unescape(item) for item in re.findall("</span>(.*?)</li>", legend)] == [*NAMES, "void"]
    for shown in (folder.name, *NAMES):
        assert escape(shown) in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("streets", "--methods", "cross_entropy,acu"), "did you mean 'auc'"),
        (("streets", "--images", "a/{name}.png"), "patterns for images and masks"),
        (("no_such_folder",), "no_such_folder"),
    ],
)
def test_what_is_wrong_is_one_line(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = run("compare", *arguments, "--profile", "smoke")
    assert code == 1
    assert words in stderr


def test_advice_names_kinds_evidence_and_the_next_command(run, tiny_camvid):
    code, stdout, stderr = run("advise", tiny_camvid)
    assert code == 0, stderr
    assert "few pixels" in stdout
    assert "± " in stdout
    assert "aucseg compare" in stdout


def test_advice_without_records_says_where_they_are(run, tiny_camvid, tmp_path, monkeypatch):
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    code, stdout, stderr = run("advise", tiny_camvid)
    assert code == 0, stderr
    assert "not measured" in stdout
    assert "set AUCSEG_HOME to one" in stdout


def test_without_a_tail_it_is_said_before_a_run_is_trained(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    for side in ("images", "masks"):
        (tmp_path / "even" / side).mkdir(parents=True)
    for i in range(9):
        mask = np.kron([[0, 1], [1, 0]], np.ones((32, 48))).astype(np.uint8)
        Image.fromarray(mask).save(tmp_path / f"even/masks/{i}.png")
        Image.fromarray(np.repeat(mask[..., None] * 99 + i, 3, 2)).save(tmp_path / f"even/images/{i}.jpg")
    assert run("data", "init", "even")[0] == 0
    options = ("--profile", "smoke", "--seeds", "1", "--set", "optim.steps=2", "--quiet")
    code, stdout, stderr = run("compare", "even", "--methods", "cross_entropy,bank", *options)
    assert code == 1
    assert "even has no tail class, and bank would have nothing to paste" in stderr
    assert "training" not in stdout
    code, stdout, stderr = run("compare", "even", *options)
    assert code == 0, stderr
    assert "no class of even is tail: compared are cross_entropy and auc, without a bank" in stdout
    assert stdout.count("training 2 steps") == 2
