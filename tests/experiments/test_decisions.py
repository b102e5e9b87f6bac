"""Evaluations by decision rules, on a tiny network of tiny images."""

from __future__ import annotations

import pytest

from aucseg.experiments import (
    RecordStore,
    Results,
    decide,
    decision_path,
    decision_table,
    get_experiment,
    read_decision,
)
from aucseg.training import ConfigError, RecordError, checkpoint_path, evaluate, train

RULES = ("argmax", "rankseg_all", "offsets")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    config = get_experiment("evidence").config("baseline", "streets", "smoke", start="random")
    folder = tmp_path_factory.mktemp("run")
    config = config.with_(data__eval_split="test")
    train(config, folder, progress=False)
    return config, checkpoint_path(config, folder)


def test_the_argmax_is_what_every_evaluation_has_and_each_rule_is_a_record(trained, tmp_path):
    config, checkpoint = trained
    made = decide(checkpoint, RULES)
    assert [each.rule for each in made] == list(RULES)
    before = evaluate(checkpoint, progress=False)
    assert made[0].metrics == {key: before[key] for key in made[0].metrics}
    assert {each.identity for each in made} == {config.identity}
    assert [each.fitted_on for each in made] == [None, None, "val"]
    assert len(made[2].fitted["offsets"]) == 19
    for each in made:
        path = each.write(tmp_path)
        assert path == decision_path("smoke", config.identity, each.rule, tmp_path)
        assert read_decision(path) == each
    assert decide(checkpoint, ["offsets"])[0].fitted == made[2].fitted  # the same pixels are drawn


def test_recorded_evaluations_are_a_table(trained, tmp_path):
    (made,) = decide(trained[1], ["argmax"])
    results = Results(
        "evidence", "streets", "smoke", [0], "never", start="random", store=RecordStore(tmp_path)
    )
    run = results.runs[0].config.identity
    made.model_copy(update={"identity": run}).write(tmp_path)
    table = decision_table(results, root=tmp_path)
    assert set(table["rule"]) == {"argmax"}
    row = table[table["metric"] == "mIoU"].iloc[0]
    assert (row["arm"], row["seed"]) == ("baseline", 0)
    assert row["value"] == pytest.approx(100 * made.metrics["mIoU"])


def test_nothing_is_fitted_on_the_images_of_the_evaluation(trained):
    with pytest.raises(ConfigError, match="'offsets' is fitted on split 'test', on which"):
        decide(trained[1], ["offsets"], validation="test")


def test_a_file_that_is_no_evaluation_is_told(tmp_path):
    path = tmp_path / "a-argmax.json"
    path.write_text("{}")
    with pytest.raises(RecordError, match="is no evaluation"):
        read_decision(path)


def test_the_command_records_each_rule(trained, run, tmp_path, monkeypatch):
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    config, checkpoint = trained
    code, text, err = run("evaluate", checkpoint, "--rule", "argmax", "--rule", "rankseg_all")
    assert code == 0, err
    for rule in ("argmax", "rankseg_all"):
        assert f"rule        {rule}" in text
        assert decision_path("smoke", config.identity, rule).exists()
    assert run("evaluate", checkpoint, "--rule", "argmax", "--split", "val")[0] != 0
