"""A comparison is an experiment that is put together."""

from __future__ import annotations

import pytest

from aucseg.experiments import comparison, list_methods
from aucseg.training import OBJECTIVES


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
    from aucseg.experiments import get_experiment

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
