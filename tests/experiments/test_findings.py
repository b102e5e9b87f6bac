"""Where print and data disagree: each finding recomputed here by another way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from aucseg.experiments import FINDINGS, Finding, PublishedError, published_change, remark_2
from aucseg.longtail.statistics import load_statistics
from tests.repository import ROOT

CITY = pd.read_csv(ROOT / "data/class_stats/cityscapes_train.csv")
PRINTED = pd.read_csv(ROOT / "data/published/aucseg/class_id_map.csv")


@pytest.mark.parametrize("name", FINDINGS)
def test_finding_says_what_it_compares(name: str) -> None:
    finding = FINDINGS[name]()
    assert isinstance(finding, Finding)
    assert finding.name == name
    assert finding.place.split(",")[0] in ("AUCSeg", "BLV", "Region Rebalance")
    assert finding.printed.endswith(".")
    assert finding.found.endswith(".")
    assert "nan" not in finding.found
    assert len(finding.table)
    if "difference" in finding.table:
        both = finding.table["recomputed"] - finding.table["printed"]
        assert finding.table["difference"].to_numpy() == pytest.approx(both.to_numpy(), nan_ok=True)


def cell(name: str, row: dict[str, object], column: str) -> float:
    table = FINDINGS[name]().table
    for key, value in row.items():
        table = table[table[key] == value]
    assert len(table) == 1, (name, row)
    return float(table[column].iloc[0])


def test_road_of_table_8() -> None:
    share = 100 * CITY["pixels"][0] / CITY["pixels"].sum()
    assert cell("cityscapes_shares", {"class": "road"}, "printed") == 46.27
    assert cell("cityscapes_shares", {"class": "road"}, "recomputed") == pytest.approx(share)
    assert share == pytest.approx(36.87, abs=0.005)
    # the second count says the same, so it is not the first one that is wrong
    second = 100 * CITY["pixels_source2"] / CITY["pixels_source2"].sum()
    first = 100 * CITY["pixels"] / CITY["pixels"].sum()
    assert np.abs(first - second).max() < 0.02


def test_tables_9_and_10_have_one_cell_that_is_off() -> None:
    table = FINDINGS["other_shares"]().table
    assert table["class"].tolist() == ["hair drier"]
    assert "320 of 321" in FINDINGS["other_shares"]().found


def test_r_m_is_eq_43_on_counts_but_for_cityscapes() -> None:
    for name, label, number in (("ade20k", "ADE20K", 9), ("coco_stuff", "COCO-Stuff 164K", 10)):
        known = load_statistics(name)
        head = [p for p, g in zip(known.pixels, known.groups, strict=True) if g == "head"]
        rest = [p for p, g in zip(known.pixels, known.groups, strict=True) if g != "head"]
        value = np.mean([a / b for a in head for b in rest])
        assert cell("mean_imbalance_ratio", {"dataset": label}, "recomputed") == pytest.approx(value)
        assert round(value, 2) == cell("mean_imbalance_ratio", {"dataset": label}, "printed"), number
    row = {"dataset": "Cityscapes"}
    assert cell("mean_imbalance_ratio", row, "recomputed") == pytest.approx(52.34, abs=0.005)
    table_8 = PRINTED[PRINTED["table"] == 8]
    head = table_8.query("partition == 'head'")["pixel_ratio_percent"].to_numpy()
    rest = table_8.query("partition != 'head'")["pixel_ratio_percent"].to_numpy()
    by_print = (head[:, None] / rest).mean()
    assert cell("mean_imbalance_ratio", row, "from_printed_shares") == pytest.approx(by_print)
    # no ratio that two-digit shares allow lies outside, and the printed one lies inside
    rng = np.random.default_rng(0)
    low, high = (cell("mean_imbalance_ratio", row, f"from_printed_shares_{s}") for s in ("least", "most"))
    for _ in range(200):
        a, b = (x + rng.uniform(-0.005, 0.005, x.shape) for x in (head, rest))
        assert low <= (a[:, None] / b).mean() <= high
    assert low <= cell("mean_imbalance_ratio", row, "printed") <= high


def test_table_17_is_a_mean_over_classes() -> None:
    finding = FINDINGS["pixels_per_image"]()
    others = finding.table[finding.table["dataset"] != "Cityscapes"]
    assert others["difference"].abs().max() < 1
    assert others["pixels_per_image"].sub(others["printed"]).abs().min() > 1000  # the literal reading
    tail = CITY["aucseg_release_tail"] == 1
    value = (CITY["pixels_source2"] / CITY["images"])[tail].mean()
    row = {"dataset": "Cityscapes, second count", "group": "tail"}
    assert cell("pixels_per_image", row, "recomputed") == pytest.approx(value)
    assert "2.46 to 9.45" in finding.printed


def test_tables_5_8_and_17_contradict_each_other() -> None:
    table = FINDINGS["implied_image_size"]().table.set_index(["group", "shares_within_rounding"])["printed"]
    assert table["head"].max() < table["tail"].min()
    # from the other side: what would Table 17 print for the tail, with the pixels that the head implies?
    tail = CITY["aucseg_release_tail"] == 1
    shares = (
        PRINTED[PRINTED["table"] == 8].sort_values("index_0based")["pixel_ratio_percent"].to_numpy() / 100
    )
    pixels = shares * table["head", "printed"] * 2975
    assert (pixels / CITY["images"])[tail].mean() == pytest.approx(
        31128 * table["head", "printed"] / table["tail", "printed"]
    )


def test_ids_groups_and_rarest_classes() -> None:
    table = FINDINGS["class_ids"]().table
    assert (table["counts_equal_by_train_id"] == table["classes"]).all()
    assert (table["last_id"] - table["first_id"] + 1 == table["classes"]).all()
    rarest = FINDINGS["rarest_classes"]().table
    assert rarest["fewest_pixels"].tolist() == CITY.nsmallest(7, "pixels")["name"].tolist()
    assert rarest["fewest_images"].tolist() == CITY.nsmallest(7, "images")["name"].tolist()
    assert FINDINGS["rarest_classes"]().found.endswith("would include wall and fence.")
    ranges = FINDINGS["group_thresholds"]().table
    assert ranges["sizes"].tolist() == ["6/6/7", "9/17/124", "19/29/123"]
    for group in ("head", "tail"):
        assert (ranges[f"{group}_above"] < ranges[f"{group}_up_to"]).all()
        assert ranges[f"{group}_above"].max() > ranges[f"{group}_up_to"].min()


def test_batch_sizes_of_remark_2() -> None:
    table = FINDINGS["smallest_image_share"]().table.set_index("example")
    for example, size in (
        ("Remark 2", 752),
        ("Cityscapes", 155),
        ("ADE20K", 4736),
        ("COCO-Stuff 164K", 9524),
    ):
        k, p = int(table.loc[example, "classes"]), float(table.loc[example, "p_min"])
        assert table.loc[example, "recomputed"] == size
        # the least batch whose union bound is at most delta
        assert k * (1 - p) ** size <= 0.01 < k * (1 - p) ** (size - 1)
    assert table.loc["Remark 2", "printed"] == 759


def test_the_example_of_remark_2_and_the_sign_that_makes_759() -> None:
    example = remark_2()
    assert (example.num_classes, example.delta, example.min_probability) == (19, 0.01, 0.01)
    assert (example.printed, example.enough, example.needed) == (759, 752, 459)
    assert example.formula == pytest.approx(np.log(0.01 / 19) / np.log(0.99))
    assert example.plus == pytest.approx(np.log(19 / 0.01) / np.log(1.01))
    assert example.failure == pytest.approx(19 * 0.99**752)


def test_imbalance_factors_and_the_cell_that_is_off() -> None:
    table = FINDINGS["imbalance_factors"]().table
    assert np.floor(table["recomputed"]).tolist() == table["printed"].tolist()
    row = {"dataset": "COCO-Stuff 164K", "quantity": "PIF"}
    assert cell("imbalance_factors", row, "most_by_aucseg_shares") == pytest.approx(9.015 / 0.005, rel=1e-3)


def test_counts_and_gains_of_blv() -> None:
    table = FINDINGS["release_counts"]().table
    assert table["printed"].sum() > 2975 * 1024 * 2048
    assert table["recomputed"].tolist() == CITY["pixels"].tolist()
    gains = FINDINGS["stated_boosts"]().table.set_index("class")
    rows = pd.read_csv(ROOT / "data/published/blv/table_3.csv").query("architecture.str.startswith('CNN')")
    for name, row in gains.iterrows():
        iou = rows[(rows["class"] == name) & (rows["method"] == "DAFormer")].set_index("blv")["value"]
        assert row["recomputed"] == pytest.approx(iou[1] - iou[0])
    assert gains.loc["motorcycle", ["printed", "recomputed"]].tolist() == pytest.approx([32.7, 20.8])
    assert "0 of the 6 stated gains" in FINDINGS["stated_boosts"]().found


def test_published_change_beside_frequency() -> None:
    table = published_change("table_3")
    assert set(table["method"]) == {"DAFormer", "HRDA"}
    assert len(table) == 3 * 19
    assert table["pixels"].is_monotonic_decreasing
    assert len(published_change("table_4")) == 3 * 16
    with pytest.raises(PublishedError, match="use table_3 or table_4"):
        published_change("table_5")
