from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from aucseg import plots
from aucseg.experiments import get_experiment, published_datasets, side_by_side

EXPERIMENT = get_experiment("ablation_components")
LABELS = {arm.name: arm.label for arm in EXPERIMENT.arms}
SURROGATES = get_experiment("surrogates")
SURROGATE_LABELS = {arm.name: arm.label for arm in SURROGATES.arms}


@pytest.fixture
def table():
    rows = [
        (arm, seed, metric, value + seed)
        for arm, value in [("baseline", 10.0), ("auc", 12.0)]
        for seed in range(3)
        for metric in ("mIoU", "mIoU_tail")
    ]
    return side_by_side(EXPERIMENT, pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"]))


def tables(**arms: float) -> dict[str, pd.DataFrame]:
    """An experiment with three seeds; the arms differ from cross entropy by what is given."""
    rows = [
        (arm, seed, metric, 10.0 + seed + value + 0.01 * seed)
        for arm, value in {"none": 0.0, **arms}.items()
        for seed in range(3)
        for metric in ("mIoU", "mIoU_tail")
    ]
    measured = pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])
    return {d: side_by_side(SURROGATES, measured, dataset=d) for d in published_datasets(SURROGATES)}


def test_table_says_what_was_not_run_and_not_published(table):
    styled = plots.comparison_table(table, LABELS, metrics=("mIoU", "mIoU_head"), caption="caption")
    frame = styled.data
    assert frame.loc["+ AUC", ("overall", "measured")] == "13.00 ± 2.48"
    assert frame.loc["+ AUC", ("overall", "published")] == "48.46"
    assert frame.loc["+ bank", ("overall", "measured")] == "–"
    assert ("head", "published") not in frame.columns  # Table 3 prints no head column
    assert "caption" in styled.to_html()


def test_measured_table():
    summary = pd.DataFrame(
        [("a", "mIoU", 1.0, 0.5, 3), ("b", "mIoU", 2.0, math.nan, 1)],
        columns=["arm", "metric", "mean", "half", "n"],
    )
    frame = plots.measured_table(summary, {"a": "A", "b": "B", "c": "C"}, metrics=["mIoU"]).data
    assert frame["overall"].to_dict() == {"A": "1.00 ± 0.50", "B": "2.00"}  # C was not run: no row


def test_measured_on_several_data_sets():
    columns = ["arm", "metric", "mean", "half", "n"]
    first = pd.DataFrame([("a", "mIoU", 1.0, 0.5, 3), ("b", "mIoU_tail", 2.0, 0.1, 3)], columns=columns)
    second = pd.DataFrame([("b", "mIoU", 4.0, math.nan, 1)], columns=columns)
    frame = plots.measured_by_dataset(
        {"one": first, "two": second}, {"a": "A", "b": "B"}, metrics=["mIoU", "mIoU_tail"]
    ).data
    assert frame["one", "overall"].tolist() == ["1.00 ± 0.50", "not run"]
    assert frame["one", "tail"].tolist() == ["not run", "2.00 ± 0.10"]
    assert frame["two", "overall"].tolist() == ["not run", "4.00"]


def test_table_has_a_column_for_each_data_set():
    found = tables(hinge=2.0, exp=-1.0, logistic=1.0)
    styled = plots.effects_by_dataset(
        found, SURROGATE_LABELS, baseline="none", metrics=["mIoU", "mIoU_tail"], caption="caption"
    )
    frame = styled.data
    assert list(frame) == ["ADE20K", "Cityscapes", "COCO-Stuff 164K", "measured", "effect", "sign"]
    hinge = frame.loc[("overall", SURROGATE_LABELS["hinge"])]
    assert hinge.tolist()[:3] == ["48.59 (+1.14)", "82.64 (+0.23)", "42.52 (+0.10)"]
    assert hinge["effect"].startswith("+2.00 ±")
    assert hinge["sign"] == "agrees"
    assert frame.loc[("tail", SURROGATE_LABELS["exp"]), "sign"] == "disagrees"
    none = frame.loc[("tail", SURROGATE_LABELS["none"])]
    assert (none["ADE20K"], none["effect"], none["sign"]) == ("43.28", "", "")
    assert frame.loc[("tail", SURROGATE_LABELS["square"]), "measured"] == "not run"
    logistic = frame.loc[("overall", SURROGATE_LABELS["logistic"])]
    assert (logistic["ADE20K"], logistic["sign"]) == ("–", "")
    assert "caption" in styled.to_html()


def test_sign_where_the_data_sets_disagree():
    found = tables(hinge=2.0)
    name = "Cityscapes"
    rows = found[name]["arm"].eq("hinge")
    found[name] = found[name].assign(sign=found[name]["sign"].mask(rows, "disagrees"))
    frame = plots.effects_by_dataset(found, SURROGATE_LABELS, baseline="none", metrics=["mIoU"]).data
    assert frame.loc[("overall", SURROGATE_LABELS["hinge"]), "sign"] == "agrees with 2 of 3"


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        (["agrees", "below noise", "below noise"], "agrees (2 below noise)"),
        (["below noise"] * 3, "below noise"),
        (["agrees", "disagrees", "below noise"], "agrees with 1 of 2 (1 below noise)"),
        (["disagrees", "disagrees", "disagrees"], "disagrees"),
    ],
)
def test_signs_of_several_data_sets_in_one_word(signs, words):
    found = tables(hinge=2.0)
    for (name, table), sign in zip(found.items(), signs, strict=True):
        found[name] = table.assign(sign=table["sign"].mask(table["arm"].eq("hinge"), sign))
    frame = plots.effects_by_dataset(found, SURROGATE_LABELS, baseline="none", metrics=["mIoU"]).data
    assert frame.loc[("overall", SURROGATE_LABELS["hinge"]), "sign"] == words


def header_rows(html: str) -> list[list[str]]:
    head = html.split("<thead>")[1].split("</thead>")[0]
    rows = [re.findall(r"<th[^>]*>(.*?)</th>", row) for row in head.split("</tr>")]
    return [[cell.replace("&nbsp;", "") for cell in row] for row in rows if row]


def test_titles_of_the_labels_stand_in_the_header():
    """In a row of their own only where the columns' titles leave them no place; none without a name."""
    frame = pd.DataFrame({"a": [1], "b": [2]}, index=pd.Index(["x"], name="σ"))
    assert header_rows(plots.styled(frame).to_html()) == [["σ", "a", "b"]]
    assert header_rows(plots.styled(frame.rename_axis(None)).to_html()) == [["", "a", "b"]]
    named = frame.rename_axis(None).rename_axis(columns="images")
    assert header_rows(plots.styled(named).to_html()) == [["images", "a", "b"]]
    both = frame.rename_axis(columns="images")
    assert header_rows(plots.styled(both).to_html()) == [["images", "a", "b"], ["σ", "", ""]]


def test_styled_frames_have_one_class_and_keep_their_cells():
    frame = pd.DataFrame({"a": [0.5]}, index=["x"])
    html = plots.styled(frame, "what it is").format("{:.0%}").to_html()
    assert 'class="dataframe comparison"' in html
    assert "<caption>what it is</caption>" in html
    assert "50%" in html
    assert "<caption>" not in plots.styled(frame).to_html()
    assert 'class="dataframe comparison prose"' in plots.styled(frame, prose=True).to_html()


def test_say_shows_markdown(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    plots.say("**bold**")
    assert shown[0].data == "**bold**"


def test_an_arm_with_neither_a_run_nor_a_printed_number_has_no_row(table):
    labels = {**LABELS, "unheard": "never heard of"}
    frame = plots.comparison_table(table, labels, metrics=("mIoU",)).data
    assert list(frame.index) == list(LABELS.values())  # the bank was not run, but is printed
    head = plots.comparison_table(table, labels, metrics=("mIoU_head",)).data
    assert "never heard of" not in head.index
