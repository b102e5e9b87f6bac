"""A comparison is an experiment that is put together."""

from __future__ import annotations

import pytest

from aucseg.errors import OptionError
from aucseg.experiments import comparison, get_experiment, list_methods, together
from aucseg.experiments.comparing import DEFAULT_METHODS, fitting_methods
from aucseg.training import OBJECTIVES, ConfigError


def test_arms_are_the_methods_and_the_first_is_the_baseline():
    made = comparison(["auc", "cross_entropy", "aucseg"])
    assert [arm.name for arm in made.arms] == ["auc", "cross_entropy", "aucseg"]
    assert made.baseline == "auc"
    runs = {run.arm.name: run.config for run in made.runs("streets", "smoke", [3])}
    assert runs["cross_entropy"].loss.name == "cross_entropy"
    assert runs["cross_entropy"].bank is None
    assert runs["auc"].loss.name == runs["aucseg"].loss.name == "auc"
    assert runs["auc"].bank is None
    assert runs["aucseg"].bank is not None
    assert {config.seed for config in runs.values()} == {3}


def test_every_objective_is_a_method():
    assert set(OBJECTIVES) <= set(list_methods())
    runs = comparison(list_methods()).runs("streets", "smoke", [0])
    assert len({run.config.identity for run in runs}) == len(list_methods())


def test_a_run_of_a_table_is_the_same_run_here():
    table = get_experiment("ablation_components").config("both", "streets", "laptop", seed=1)
    assert (
        comparison(["auc", "aucseg"]).config("aucseg", "streets", "laptop", seed=1).identity == table.identity
    )


def test_keys_for_all_runs():
    made = comparison(["cross_entropy", "auc"], {"data": {"eval_split": "val"}}, ["optim.steps=7"])
    for run in made.runs("streets", "smoke", [0]):
        assert run.config.optim.steps == 7
        assert run.config.data.eval_split == "val"


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (["cross_entropy", "acu"], "unknown method 'acu'; did you mean 'auc'"),
        (["auc"], "at least two methods, each once, got auc"),
        (["auc", "auc"], "each once, got auc, auc"),
    ],
)
def test_wrong_methods(methods, words):
    with pytest.raises(ValueError, match=words):
        comparison(methods)


def test_arms_of_several_tables_are_each_run_once():
    """σ = 6 is BLV's default and λ = 0 cross entropy: they stand in the first table already."""
    names = ["long_tail_losses", "blv_sigma", "region_weight"]
    made = together(names)
    runs = {run.arm.name: run.config.identity for run in made.runs("streets", "laptop", [2])}
    assert len(set(runs.values())) == len(runs)
    wanted = {
        run.config.identity for name in names for run in get_experiment(name).runs("streets", "laptop", [2])
    }
    assert set(runs.values()) == wanted
    assert {"sigma_6", "weight_0"}.isdisjoint(runs)
    assert set(made.comparisons.values()) == {"baseline"}


def test_arms_of_one_name_are_told_apart():
    made = together(["region_rebalance", "long_tail_losses"], than="rr")
    assert made.baseline == "rr"
    assert {arm.name for arm in made.arms} >= {"vs", "ceco"}
    with pytest.raises(ConfigError, match="'region_rebalance' has no arm 'bank'"):
        together(["region_rebalance"], than="bank")
    arms = {arm.name: arm for arm in together(["blv_variations", "blv_common_mean"]).arms}
    assert arms["gaussian"].changes != arms["blv_common_mean_gaussian"].changes


def test_where_no_class_is_tail_a_bank_is_left_out_and_not_silently_asked_for():
    assert fitting_methods(None, [4], "mine") == DEFAULT_METHODS
    assert fitting_methods(None, [], "mine") == ("cross_entropy", "auc")
    assert fitting_methods(["auc", "seesaw"], [], "mine") == ("auc", "seesaw")
    with pytest.raises(
        OptionError, match="mine has no tail class, and bank and copy_paste would have nothing"
    ):
        fitting_methods(["auc", "bank", "copy_paste"], [], "mine")
