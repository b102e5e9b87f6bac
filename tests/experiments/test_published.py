from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from aucseg import paths
from aucseg.experiments import (
    Arm,
    Experiment,
    PublishedError,
    get_experiment,
    published_curve,
    published_datasets,
    published_effects,
    published_table,
    stated,
)
from aucseg.experiments.published import COLUMNS


def test_published_table_3_is_what_the_paper_prints():
    table = published_effects(get_experiment("ablation_components")).set_index(["arm", "metric"])
    assert table.loc[("baseline", "mIoU"), "value"] == 47.45
    # 5.4 of the paper: +1.01 and +1.42 for AUC, +1.75 and +2.24 for both.
    assert table.loc[("auc", "mIoU"), "effect"] == pytest.approx(1.01)
    assert table.loc[("auc", "mIoU_tail"), "effect"] == pytest.approx(1.42)
    assert table.loc[("both", "mIoU"), "effect"] == pytest.approx(1.75)
    assert table.loc[("both", "mIoU_tail"), "effect"] == pytest.approx(2.24)


def test_published_table_15_has_a_column_of_its_own_and_three_data_sets():
    experiment = get_experiment("surrogates")
    assert published_datasets(experiment) == ("ADE20K", "Cityscapes", "COCO-Stuff 164K")
    printed = published_table("aucseg", "table_15").dropna(subset="printed_gain")
    for dataset, rows in printed.groupby("dataset"):
        table = published_effects(experiment, dataset).set_index(["arm", "metric"])
        assert len(table) == 8  # the logistic arm is not in the paper
        for row in rows.itertuples():
            metric = {"overall": "mIoU", "tail": "mIoU_tail"}[row.split]
            assert table.loc[(row.surrogate, metric), "effect"] == pytest.approx(row.printed_gain)
    assert published_effects(experiment).equals(published_effects(experiment, "ADE20K"))


def test_published_table_16_compares_with_one_vs_one():
    experiment = get_experiment("multiclass")
    table = published_effects(experiment, "Cityscapes").set_index(["arm", "metric"])
    assert table.loc[("ova", "mIoU_tail"), "effect"] == pytest.approx(80.79 - 81.67)
    assert set(table.index.get_level_values("arm")) == {"ovo", "ova"}  # ova_sum is not printed


def test_nothing_is_published_for_the_queue():
    assert published_datasets(get_experiment("queue")) == ()
    assert published_effects(get_experiment("queue")).empty


def test_unknown_published_data_set_and_arm():
    experiment = get_experiment("multiclass")
    with pytest.raises(PublishedError, match=r"nothing for 'Cityscape'.*'Cityscapes'"):
        published_effects(experiment, "Cityscape")
    strange = replace(experiment, arms=(Arm("ovo", "ovo", {}, "one-vs-one"),))
    with pytest.raises(PublishedError, match=r"no column of table_16 .* holds all of one-vs-one"):
        published_effects(strange)


def test_unknown_published_table():
    with pytest.raises(PublishedError, match="table_99"):
        published_table("aucseg", "table_99")


@pytest.mark.parametrize(("paper", "table"), COLUMNS, ids="/".join)
def test_declared_columns_are_those_of_the_file(paper, table):
    """Each has a data set, a number for a metric that records have, and what it varies where it says so."""
    arms = (Arm("any", "any", {}, {}),)
    experiment = Experiment("x", "x", arms, "any", paper, table)
    names = published_datasets(experiment)
    assert names
    for name in names:
        found = published_effects(experiment, name)
        assert set(found["metric"]) <= {"mIoU", "mIoU_head", "mIoU_middle", "mIoU_tail"}
        assert found["value"].between(0, 100).all()
        assert len(found)
        if COLUMNS[paper, table].number is not None:
            curve = published_curve(experiment, name)
            assert curve.groupby("metric")["value"].nunique().min() > 1


def test_every_published_mean_iou_can_be_used():
    """No table of mIoU is left without a declaration: it would be refused as soon as a run is beside it."""
    index = pd.read_csv(paths.published() / "index.csv")
    tables = index[index["metric"].str.contains("mIoU") & index["units"].str.startswith("percent")]
    listed = {(row.paper, row.file.split("/")[1].removesuffix(".csv")) for row in tables.itertuples()}
    assert listed
    assert listed == set(COLUMNS)


def _experiment(paper: str, table: str, **published: object) -> Experiment:
    arms = tuple(Arm(name, name, {}, value) for name, value in published.items())
    return Experiment("x", "x", arms, arms[0].name, paper, table)


def test_tables_of_blv_have_settings_in_place_of_splits():
    variations = _experiment("blv", "table_6", none="none", gaussian="gaussian")
    assert published_datasets(variations) == ("GTA5->Cityscapes",)
    found = published_effects(variations).set_index(["arm", "metric"])
    assert found.loc[("gaussian", "mIoU")].tolist() == pytest.approx([59.0, 3.1])

    head = {"backbone": "HRNet-18", "decoder": "OCRHead"}
    ocr = _experiment("blv", "table_1", plain=head | {"blv": 0}, blv=head | {"blv": 1})
    effects = published_effects(ocr).set_index(["arm", "metric"])["effect"]
    assert effects[("blv", "mIoU")] == pytest.approx(0.72)  # as Table 1 prints the gains
    assert effects[("blv", "mIoU_tail")] == pytest.approx(3.19)

    shares = _experiment("blv", "table_2", plain="Self-Training", blv="Self-Training+BLV")
    assert published_datasets(shares) == ("1/16", "1/8", "1/4", "1/2")
    effects = published_effects(shares, "1/4").set_index(["arm", "metric"])["effect"]
    assert effects[("blv", "mIoU_tail")] == pytest.approx(1.75)

    adapted = {"method": "source only", "architecture": "CNN (DeepLabV2-R101)", "blv": 0}
    source = _experiment("blv", "table_3", source=adapted)
    assert len(published_effects(source)) == 1  # the mean, not the classes


def test_tables_of_region_rebalance_have_scales_in_place_of_splits():
    first = _experiment("rr", "table_1", plain="baseline", region="region rebalance")
    found = published_effects(first).set_index(["arm", "metric"])
    assert found.loc[("region", "mIoU")].tolist() == pytest.approx([45.02, 1.07])

    ocr = {"method": "OCRNet", "backbone": "HRNet-W18"}
    pair = _experiment("rr", "table_3", plain=ocr | {"rr": 0}, region=ocr | {"rr": 1})
    found = published_effects(pair).set_index(["arm", "metric"])
    assert found.loc[("region", "mIoU")].tolist() == pytest.approx([41.80, 2.48])  # at one scale

    weight = _experiment("rr", "table_5", plain={"lambda": 0.0})
    curve = published_curve(weight, "ADE20K").set_index("value")["printed"]
    assert curve.idxmax() == 0.3
    sigma = published_curve(_experiment("blv", "table_7", plain="baseline"), "GTA5->Cityscapes")
    assert 3 in set(sigma["value"])  # and the row "baseline" is no number
    assert sigma["value"].notna().all()


def test_a_table_that_no_run_measures_is_refused_by_name():
    with pytest.raises(PublishedError, match=r"table_14 of aucseg holds nothing .*COLUMNS"):
        published_datasets(_experiment("aucseg", "table_14", any={}))


def test_numbers_of_the_running_text() -> None:
    assert stated("aucseg", "best CE weight lambda (ADE20K)") == 0.25
    with pytest.raises(
        PublishedError, match=r"0 numbers of 'blv' .*'crop hight'; did you mean 'crop height'\?"
    ):
        stated("blv", "crop hight")
    with pytest.raises(PublishedError, match=r"prose_facts.csv: \d+ numbers of 'aucseg'"):
        stated(
            "aucseg",
            "memory sizes on the x axis (bar heights are not printed; only S_M=5 is known: "
            "15.45 GB, Table 14)",
        )
