from __future__ import annotations

import math

import pandas as pd
import pytest

from aucseg.experiments import (
    beside_published,
    differences_in_words,
    get_experiment,
    in_words,
    paired_difference,
    published_datasets,
    side_by_side,
)


def _measured(**values: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (arm, seed, metric, value + (metric == "mIoU"))
            for metric in ("mIoU", "mIoU_tail")
            for arm, row in values.items()
            for seed, value in enumerate(row)
        ],
        columns=["arm", "seed", "metric", "value"],
    )


def test_difference_is_paired_by_seed():
    measured = _measured(baseline=[10.0, 20.0], auc=[11.0, 23.0])
    # differences 1 and 3: mean 2, t(0.975, 1) * sqrt(2) / sqrt(2) = 12.7062
    assert paired_difference(measured, "auc", "baseline") == pytest.approx((2.0, 12.7062), abs=1e-4)


def test_difference_of_one_seed_and_of_none():
    measured = _measured(baseline=[10.0], auc=[11.0], bank=[])
    mean, half = paired_difference(measured, "auc", "baseline")
    assert mean == 1
    assert math.isnan(half)
    assert paired_difference(measured, "bank", "baseline") is None
    assert paired_difference(measured, "auc", "bank") is None


@pytest.mark.parametrize(
    ("value", "words"),
    [((-2.0, 0.5), "less"), ((0.1, 0.5), "undecided"), ((0.1, math.nan), "one seed"), (None, "not run")],
)
def test_in_words(value, words):
    assert words in in_words(value)


def test_list_of_differences_to_one_arm():
    text = differences_in_words(
        get_experiment("ablation_components"), _measured(baseline=[1.0, 2.0], auc=[2.0, 3.0]), "baseline"
    )
    assert text.startswith("Less *cross entropy*")
    assert "- + AUC: +1.00 ± 0.00, more (+1.00 ± 0.00, more)" in text
    assert "- + bank: not run (not run)" in text


def test_list_of_pairs_names_what_each_arm_is_compared_with():
    measured = _measured(emanet=[1.0, 2.0], emanet_aucseg=[3.0, 4.0])
    text = differences_in_words(get_experiment("backbones"), measured, arms=["emanet_aucseg"])
    assert text.splitlines()[2:] == [
        "- EMANet + AUCSeg less *EMANet*: +2.00 ± 0.00, more (+2.00 ± 0.00, more)"
    ]


def test_tables_beside_each_published_data_set():
    experiment, measured = get_experiment("multiclass"), _measured(ovo=[1.0, 2.0], ova=[2.0, 2.0])
    tables = beside_published(experiment, measured)
    assert tuple(tables) == published_datasets(experiment)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, side_by_side(experiment, measured, dataset=name))
