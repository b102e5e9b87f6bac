"""What was chosen on validation images is what the records of the tuning say."""

from __future__ import annotations

import pytest

from aucseg.experiments import Results, get_experiment
from aucseg.experiments.catalogue.longtail import TUNED

METHODS = {"vs": "vs_", "la": "la_tau_", "ldam": "ldam_scale_", "focal": "focal_", "blv": "blv_sigma_"}


@pytest.fixture(scope="module")
def tuning() -> Results:
    found = Results("long_tail_tuning", "streets", "laptop", [0], compute="never")
    settings = [found.record(arm) for arm in found.labels if arm != "baseline"]
    if not any(settings):
        pytest.skip("the tuning has no record yet: aucseg sweep long_tail_tuning --seed 0")
    return found


def test_every_setting_was_tried(tuning):
    assert all(tuning.records.values())
    assert {run.config.data.eval_split for run in tuning.runs} == {"val"}
    tried = [arm.name for arm in tuning.experiment.arms]
    assert {sum(name.startswith(prefix) for name in tried) for prefix in METHODS.values()} == {3}


@pytest.mark.parametrize("method", METHODS)
def test_the_chosen_setting_has_the_highest_miou_on_validation_images(tuning, method):
    table = tuning.tidy.query("metric == 'mIoU'").set_index("arm")["value"]
    own = table[table.index.str.startswith(METHODS[method])]
    assert TUNED[method] == own.idxmax()


def test_tuned_arms_are_the_chosen_ones_on_test_images():
    tuned, tuning = get_experiment("long_tail_tuned"), get_experiment("long_tail_tuning")
    for method, choice in TUNED.items():
        here = tuned.config(method, "streets", "laptop")
        there = tuning.config(choice, "streets", "laptop")
        assert here.data.eval_split == "test"
        assert here.identity == there.with_(data__eval_split="test", name=here.name).identity
