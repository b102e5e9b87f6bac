"""``aucseg compare`` and ``aucseg advise``, from the command line to the page."""

from __future__ import annotations

import csv
import re

import pytest

from aucseg.plots.report import comparison_report


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Two methods, one seed, four steps each: (standard output, folder of the report)."""
    from tests.command import aucseg

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("AUCSEG_HOME", str(home))
        result = aucseg(
            "compare", "streets", "--profile", "smoke", "--seeds", "1", "--methods", "cross_entropy,aucseg",
            "--set", "optim.steps=3", "--quiet",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        again = aucseg(
            "compare", "streets", "--profile", "smoke", "--seeds", "1", "--methods", "cross_entropy,aucseg",
            "--set", "optim.steps=3", "--quiet",
        )  # fmt: skip
    return result.stdout, again.stdout, home / "reports" / "streets"


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


def test_names_are_data_and_not_markup(report, tmp_path, monkeypatch):
    from aucseg.experiments import Results, comparison

    results = Results(comparison(["cross_entropy", "auc"]), "streets", "smoke", [0], "never")
    results.dataset = "/data/<script>alert(1)</script>"
    page = comparison_report(results, tmp_path).read_text(encoding="utf-8")
    assert "<script>" not in page


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
