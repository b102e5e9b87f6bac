"""Each computed row of the errata is recomputed by the cells of its page, and its figures come out.

``FIGURES`` lists what must stand both in the row and in what its cell found, so that neither changes alone.
Rows about the theory have tests of their own besides, by independent arithmetic: tests/theory/test_errata.py.
"""

from __future__ import annotations

import csv
import re
from collections import Counter

import matplotlib.pyplot as plt
import pytest

from tests.repository import ROOT

nbformat = pytest.importorskip("nbformat", reason="needs the extra aucseg[book]")
pytest.importorskip("ipywidgets", reason="needs the extra aucseg[book]")

Key = tuple[str, str, int]

FIGURES: dict[Key, tuple[str, ...]] = {
    ("aucseg", "Remark 2", 0): ("752", "759"),
    ("aucseg", "Prop. 1 / Remark 2", 0): ("459",),
    ("aucseg", "Remark 2 vs Tables 5-7", 0): ("4.77%", "155", "4736", "9524"),
    ("aucseg", "Theorem 1, Eq. 38-39", 0): ("196", "1800"),
    ("aucseg", "Lemma 8 proof", 0): ("2, 6, 10", "82 of 500"),
    ("aucseg", "Theorem 1, Eq. 29, Eq. 36", 0): ("0.167", "0.0101", "0.363"),
    ("aucseg", "Lemma 4", 0): ("1.2824", "0.0686"),
    ("aucseg", "Alg. 1-2 lines 4-6, Eq. 40, Eq. 43", 0): ("79.7", "91.3", "34.5"),
    ("aucseg", "Table 1 caption, Sec. 5.1", 0): ("1.21", "0.75", "0.38", "1.05", "0.27", "0.31"),
    ("aucseg", "Sec. 5.2", 0): ("48.30", "40.03", "65.80"),
    ("aucseg", "Sec. 5.2", 1): ("3 of 18",),
    ("aucseg", "Sec. 5.4", 0): ("+1.75/+2.24", "0.74", "0.82"),
    ("aucseg", "Table 11 0.38 vs Table 15 0.39", 0): ("0.38", "0.39"),
    ("aucseg", "G.1, Figure 6", 0): ("train", "motorcycle", "wall", "fence"),
    ("aucseg", "Table 8", 0): ("46.27%", "0.24%", "1.23", "0.41"),
    ("aucseg", "Table 11, Cityscapes r_m", 0): ("80.39", "52.3"),
    ("aucseg", "Table 17 caption, G.8", 0): ("9.45", "2.46", "2.67", "80.5", "4.0", "2.45"),
    ("aucseg", "Table 9", 0): ("0.17", "0.04"),
    ("aucseg", "Table 16", 0): ("-0.10/-0.13", "-0.17/-0.16"),
    ("aucseg", "G.11, Table 24", 0): ("49.35", "5.41", "1.36", "1.75", "0.01", "0.89"),
    ("blv", "Supp. Algorithm 1 vs Eq. 3", 0): (
        "0.99999999995",
        "0.99999999999",
        "0.14",
        "0.10",
        "0.00",
        "raises",
    ),
    ("blv", "Supp. Algorithm 1 vs Eq. 3", 1): ("0.467", "0.934"),
    ("blv", "Sec. 4.5, Table 7", 0): ("74%", "89%", "0.27", "0.19", "2.5"),
    ("blv", "Sec. 4.1", 0): ("5000", "2975", "500", "1525", "186"),
    ("blv", "Sec. 4.1", 1): ("0.72", "0.35", "0.55", "0.47", "0.24", "0.43", "1.2"),
    ("blv", "Table 5 vs Table 1", 0): ("66.2", "70.63", "66.29"),
    ("blv", "Sec. 4.3", 0): ("1.4", "9.2", "2.5", "20.8", "14.0", "3.1", "14.3", "2.3", "32.7", "17.6"),
    ("blv", "Sec. 4.3", 1): ("2 of 6", "5.74/0.73", "0.82/1.81", "1.04/1.19", "2.46/5.39", "1.29/1.76"),
    ("blv", "Table 4 HRDA baseline, Sec. 4.3", 0): ("72.7", "72.40"),
    ("blv", "Supp. Table 2", 0): ("41.4", "42.37", "53.5", "53.65", "50.2", "50.09"),
    ("blv", "Supp. Table 2", 1): ("19",),
    ("blv", "Supp. 2 vs release", 0): ("4.35e10", "6.24e9"),
    ("rr", "Table 4 PSPNet ResNet-50", 0): ("1.95", "1.59", "42.34", "40.75"),
    ("rr", "Table 4 DeepLabv3+ ResNet-50", 0): ("1.89", "1.98", "43.47", "41.49"),
    ("rr", "Table 4 OCRNet HRNet-W48", 0): ("1.36", "1.63", "43.29", "41.66"),
    ("rr", "Supp. C", 0): ("0.59", "0.39", "0.13"),
    ("rr", "Abstract", 0): ("0.7", "0.5"),
    ("rr", "Sec. 4.1", 0): ("123",),
    ("rr", "Figure 5b vs AUCSeg Table 10", 0): (
        "2612",
        "1803",
        "0.0035%",
        "0.01%",
        "827.5",
        "528.6",
        "282.6",
    ),
}


def rows() -> dict[Key, dict[str, str]]:
    """The rows of the list; a place may have several."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    with (ROOT / "data" / "published" / "errata.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = row["paper"], row["location"]
            found[(*place, seen[place])] = row
            seen[place] += 1
    return found


ROWS = rows()
COMPUTED = [key for key, row in ROWS.items() if row["checked_by"] == "computed"]


@pytest.fixture(scope="module")
def found() -> dict[Key, tuple[bool, str]]:
    """What the cells of the page find: its parameters, its set-up and every cell that checks a row."""
    cells = nbformat.read(ROOT / "notebooks" / "errata.ipynb", as_version=4).cells
    space: dict[str, object] = {}
    with plt.rc_context():
        for cell in cells:
            parameters = "parameters" in cell.metadata.get("tags", [])
            if cell.cell_type == "code" and (
                parameters or "def finding(" in cell.source or "@finding(" in cell.source
            ):
                exec(compile(cell.source, "errata.ipynb", "exec"), space)
                if parameters:
                    space["profile"] = "smoke"
    return space["found"]  # type: ignore[return-value]


def plain(text: str) -> str:
    """Without separators of thousands, signs of a plus, and with exponents in one spelling."""
    return re.sub(r"e\+?0*(\d)", r"e\1", re.sub(r"(?<=\d),(?=\d{3})", "", text))


def holds(figure: str, text: str) -> bool:
    """Whether a figure stands in a text, as printed or with more or fewer digits of the same number."""
    if re.search(rf"(?<![\d.]){re.escape(figure)}", text):
        return True
    if not re.fullmatch(r"[\d.]+", figure):
        return False
    numbers = [float(number) for number in re.findall(r"(?<![\d.])\d*\.?\d+", text)]
    return any(round(number, len(figure.partition(".")[2])) == float(figure) for number in numbers)


@pytest.mark.parametrize("key", COMPUTED, ids=lambda key: "-".join(map(str, key)))
def test_row(key: Key, found: dict[Key, tuple[bool, str]]) -> None:
    assert key in found, "a row that is called computed needs a cell in notebooks/errata.ipynb"
    confirmed, text = found[key]
    assert confirmed, text
    row = plain(" ".join(ROWS[key].values()))
    for figure in FIGURES.get(key, ()):
        assert holds(figure, row), f"{figure} is not in the row"
        assert holds(figure, plain(text)), f"{figure} did not come out: {text}"


def test_a_figure_is_recognised_and_a_wrong_one_is_not() -> None:
    assert holds("80.5", "literally 80.47")
    assert holds("4736", plain("B = 4,736"))
    assert holds("4.35e10", plain("counts 4.35e+10"))
    assert not holds("1.59", "42.34 - 40.75 = 1.60")
    assert not holds("45", "1945 and 0.45")


def test_what_the_list_says_of_released_code() -> None:
    """Of a formula both versions of the code, of the settings of F.2 all that the configurations add."""
    (settings,) = (row for row in ROWS.values() if row["what_it_says"].startswith("Augmentation"))
    for setting in (
        "decode-head rate x10",
        "no weight decay on normalisation layers and position parameters",
    ):
        assert setting in settings["what_it_should_be"]
    both = ROWS["blv", "Supp. Algorithm 1 vs Eq. 3", 0]["why"]
    assert "first commit" in both
    assert "its fix" in both


def test_a_usual_way_of_speaking_is_imprecise_and_no_error() -> None:
    row = ROWS["aucseg", "Prop. 1 / Remark 2", 0]
    assert row["kind"] == "imprecise"
    assert "sufficient" in row["what_it_should_be"]


def test_every_cell_belongs_to_a_row(found: dict[Key, tuple[bool, str]]) -> None:
    assert set(FIGURES) <= set(found) <= set(ROWS)
    assert set(found) == set(COMPUTED)
