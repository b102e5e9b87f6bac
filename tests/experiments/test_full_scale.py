"""Published runs: whole, and correlated as SciPy does it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aucseg.errors import OptionError
from aucseg.experiments import (
    FREQUENCIES,
    FULL_SCALE,
    best_less_last,
    class_frequency,
    gains_without_labels,
    group_gaps,
    published_class_iou,
    published_runs,
    rarity_correlations,
    rarity_interval,
)
from aucseg.longtail import load_statistics

LABELLED = {"cityscapes": "table02-cityscapes", "ade20k": "table03-ade20k", "coco": "table04-coco"}


@pytest.mark.parametrize("epoch", ["best", "last"])
def test_means_over_classes_are_those_of_the_logs(epoch):
    runs = published_runs().set_index("run")
    assert len(runs) == 301
    for dataset, part in runs.groupby("dataset"):
        iou = published_class_iou(dataset, epoch)
        assert sorted(iou.index) == sorted(part.index)
        logged = runs.loc[iou.index, f"{epoch}_mIoU"]
        assert iou.mean(axis=1).to_numpy() == pytest.approx(logged.to_numpy(), abs=0.011)


def test_every_class_of_a_log_is_one_of_the_statistics():
    for dataset in ("cityscapes", "ade20k"):
        assert tuple(published_class_iou(dataset).columns) == load_statistics(dataset).names
    things = load_statistics("coco_stuff").names[:80]
    assert tuple(published_class_iou("coco").columns) == ("void", *things)
    assert tuple(class_frequency("coco").index) == things


@pytest.mark.parametrize("dataset", FULL_SCALE)
def test_correlations_are_scipys(dataset):
    table = rarity_correlations(dataset).set_index(["run", "frequency"])
    frequency = class_frequency(dataset)
    iou = published_class_iou(dataset)[list(frequency.index)]
    for name in FREQUENCIES:
        for run in iou.index[:: len(iou) // 3]:
            row, x, y = table.loc[(run, name)], frequency[name], iou.loc[run]
            assert row["spearman"] == pytest.approx(100 * stats.spearmanr(x, y)[0])
            assert row["pearson"] == pytest.approx(100 * stats.pearsonr(x, y)[0])
            assert row["pearson_log"] == pytest.approx(100 * stats.pearsonr(np.log(x), y)[0])


def test_interval_is_that_of_scipys_bootstrap():
    run = f"{LABELLED['ade20k']}_labeled_only_all_labels_dinov2_base"
    table = rarity_interval("ade20k", run, resamples=2_000).set_index(["frequency", "measure"])
    frequency = class_frequency("ade20k")
    x, y = (
        frequency["images"].to_numpy(),
        published_class_iou("ade20k").loc[run, frequency.index].to_numpy(float),
    )
    found = stats.bootstrap(
        (x, y),
        lambda x, y: stats.spearmanr(x, y)[0],
        paired=True,
        vectorized=False,
        n_resamples=1_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    row = table.loc[("images", "spearman")]
    assert (row["low"], row["high"]) == pytest.approx((100 * found.low, 100 * found.high), abs=3)
    assert row["low"] < row["value"] < row["high"]
    assert row["n"] == 150


def test_groups_are_those_of_the_paper():
    gaps = group_gaps("ade20k").set_index("run")
    groups = class_frequency("ade20k")["group"]
    assert groups.value_counts().to_dict() == {"tail": 124, "middle": 17, "head": 9}
    row = gaps.iloc[0]
    weighted = 9 * row["head"] + 17 * row["middle"] + 124 * row["tail"]
    assert weighted / 150 == pytest.approx(row["mIoU"])
    assert row["gap"] == pytest.approx(row["head"] - row["tail"])


def test_best_less_last_by_hand():
    runs = published_runs().set_index("run")
    table = best_less_last().set_index("run")
    assert len(table) == (runs["ema"] == 0).sum()
    assert (table["mIoU"] >= -0.011).all()  # chosen by this mean
    logged = runs["best_mIoU"] - runs["last_mIoU"]
    assert table["mIoU"].to_numpy() == pytest.approx(logged[table.index].to_numpy(), abs=0.021)
    assert (table["class"] >= table["mIoU"].abs() - 1e-9).all()
    assert table.loc[table["dataset"] == "pascal", "tail"].isna().all()


def test_what_is_not_there_is_said():
    with pytest.raises(OptionError, match="no epoch 'first'"):
        published_class_iou("coco", "first")
    with pytest.raises(OptionError, match="no class frequencies of 'pascal'"):
        class_frequency("pascal")
    with pytest.raises(OptionError, match="no run 'x' on coco"):
        rarity_interval("coco", "x")


@pytest.mark.parametrize("dataset", FULL_SCALE)
def test_gains_are_those_of_the_logs_with_the_same_labels_and_encoder(dataset):
    """By hand, from the two rows of the log file each."""
    iou, frequency, runs = published_class_iou(dataset), class_frequency(dataset), published_runs()
    gains = gains_without_labels(dataset)
    assert len(gains) > 15
    own = runs[runs["dataset"] == dataset].set_index("run")
    for row in gains.iloc[::5].itertuples():
        taught = own.loc[row.run]
        assert (taught["frozen"], taught["method"] == "labels only") == (0, False)
        alone = own[
            (own["method"] == "labels only")
            & (own["labels"] == taught["labels"])
            & (own["encoder"] == taught["encoder"])
        ]
        assert len(alone) == 1
        change = iou.loc[row.run] - iou.loc[alone.index[0]]
        for group in ("head", "middle", "tail"):
            members = frequency.index[frequency["group"] == group]
            assert getattr(row, group) == pytest.approx(np.mean([change[name] for name in members]))
    shares = [1 / int(label.split("/")[1]) for label in gains["labels"]]
    assert shares == sorted(shares)
