"""What was chosen on validation images is what the records of the tuning say."""

from __future__ import annotations

import pytest

from aucseg.experiments import Results, get_experiment
from aucseg.experiments.catalogue.longtail import TUNED

METHODS = {
    "vs": "vs_",
    "la": "la_tau_",
    "ldam": "ldam_scale_",
    "focal": "focal_",
    "disalign": "disalign_",
    "blv": "blv_sigma_",
    "rr": "rr_weight_",
}


@pytest.fixture(scope="module")
def tuning() -> Results:
    return Results("long_tail_tuning", "streets", "laptop", [0], compute="never")


def settings(tuning: Results, method: str) -> list[str]:
    return [arm.name for arm in tuning.experiment.arms if arm.name.startswith(METHODS[method])]


def test_each_method_has_the_same_budget_on_validation_images(tuning):
    tried = [name for method in METHODS for name in settings(tuning, method)]
    assert len(tried) == len(set(tried)) == 3 * len(METHODS)
    assert {*tried, "baseline"} == {arm.name for arm in tuning.experiment.arms}
    assert {run.config.data.eval_split for run in tuning.runs} == {"val"}


@pytest.mark.parametrize("method", METHODS)
def test_the_chosen_setting_has_the_highest_miou_on_validation_images(tuning, method):
    """A method whose three settings are recorded has its choice; one that lacks some cannot have one."""
    recorded = [name for name in settings(tuning, method) if tuning.record(name) is not None]
    if len(recorded) < 3:
        assert method not in TUNED, f"run: aucseg sweep long_tail_tuning --seed 0; only {recorded} are there"
    else:
        table = tuning.tidy.query("metric == 'mIoU'").set_index("arm")["value"]
        assert TUNED.get(method) == table.loc[recorded].idxmax(), "the choice goes into TUNED"


def test_some_choice_was_held_to_records():
    assert len(TUNED) >= 7


def test_tuned_arms_are_the_chosen_ones_on_test_images():
    tuned, tuning = get_experiment("long_tail_tuned"), get_experiment("long_tail_tuning")
    for method, choice in TUNED.items():
        here = tuned.config(method, "streets", "laptop")
        there = tuning.config(choice, "streets", "laptop")
        assert here.data.eval_split == "test"
        first = tuned.config("baseline", "streets", "laptop").identity
        assert (here.init_from and here.init_from.run) == (there.init_from and first)
        same = there.with_(data__eval_split="test", name=here.name, init_from=here.init_from)
        assert here.identity == same.identity
