"""Experiments are tables: their arms differ where they say, and shared runs are one run."""

from __future__ import annotations

import pytest
import torch

from aucseg.experiments import (
    EXPERIMENTS,
    PublishedError,
    get_experiment,
    network_changes,
    published_curve,
    published_effects,
    published_table,
)
from aucseg.functional.logits import rarity
from aucseg.training import ConfigError
from tests.training.objectives.batches import four_classes

BANK = (
    "memory_kind",
    "replacement",
    "memory_size",
    "sample_ratio",
    "resize_ratio",
    "fixed_pixels",
    "sampling",
    "batch_size",
)


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("profile", ["smoke", "laptop", "gpu"])
def test_arms_are_different_valid_runs(name, profile):
    runs = EXPERIMENTS[name].runs("streets", profile, [0])
    assert len({run.config.identity for run in runs}) == len(runs)
    assert EXPERIMENTS[name].baseline in {run.arm.name for run in runs}


def test_seeds_are_outermost():
    runs = get_experiment("batch_size").runs("streets", "smoke", [3, 4])
    assert [run.config.seed for run in runs] == [3] * 4 + [4] * 4


@pytest.mark.parametrize("name", BANK)
def test_the_tables_of_the_bank_share_the_run_with_both(name):
    """AUCSeg with the bank's usual options is one row of each of its tables, and is trained once."""
    both = get_experiment("ablation_components").runs("streets", "laptop", [0])[-1].config.identity
    assert both in {run.config.identity for run in get_experiment(name).runs("streets", "laptop", [0])}


@pytest.mark.parametrize("name", [name for name, e in EXPERIMENTS.items() if e.table is not None])
def test_what_an_arm_calls_published_is_in_the_table(name):
    experiment = EXPERIMENTS[name]
    printed = published_table(experiment.paper, experiment.table).astype(str)
    for arm in experiment.arms:
        if isinstance(arm.published, dict):
            rows = [printed[column] == str(value) for column, value in arm.published.items()]
            assert any(all(row) for row in zip(*rows, strict=True)), arm.name
        else:
            assert arm.published is None or (printed == arm.published).any(axis=None), arm.name


def test_settings_of_tables_20_22_and_23_are_all_there():
    for name in ("memory_size", "resize_ratio", "ce_weight"):
        experiment = get_experiment(name)
        printed = set(published_table("aucseg", experiment.table)["setting_printed"])
        assert {arm.published for arm in experiment.arms} - {None} == printed


def test_weights_of_table_23_are_those_of_the_runs():
    numbers = published_table("aucseg", "table_23").set_index("setting_printed")["setting_numeric"]
    for run in get_experiment("ce_weight").runs("streets", "laptop", [0]):
        weight = run.config.loss.ce_weight
        assert weight == pytest.approx(
            numbers[run.arm.published].iloc[0] if run.arm.published else int(run.arm.label[-1]), rel=1e-5
        )


def test_steps_are_parts_of_the_profiles():
    runs = {run.arm.name: run.config for run in get_experiment("batch_size").runs("streets", "laptop", [0])}
    half, whole = runs["double_half"], runs["auc"]
    assert half.optim.steps * half.data.batch_size == whole.optim.steps * whole.data.batch_size
    smoke = {run.arm.name: run.config for run in get_experiment("batch_size").runs("streets", "smoke", [0])}
    assert smoke["double_half"].optim.steps > smoke["double_half"].optim.warmup_steps


@pytest.mark.parametrize(("profile", "peak", "last"), [("laptop", 600, 800), ("gpu", 7_500, 10_000)])
def test_a_schedule_is_as_long_as_the_run(profile, peak, last):
    """BLV's supplement turns at 30,000 of 40,000 steps."""
    runs = {run.arm.name: run.config for run in get_experiment("blv_schedule").runs("streets", profile, [0])}
    for name in ("blv_linear", "blv_cosine"):
        assert (runs[name].loss.peak_step, runs[name].loss.last_step) == (peak, last)
    assert runs["blv"].loss.schedule == "constant"


def test_variations_of_one_mean_add_as_much():
    """Noise of each arm, drawn: its mean is the rarity of the class, and its spread is its own."""
    classes = four_classes(pixels=(9_000, 900, 90, 10))
    logits, rows = torch.zeros(1, 4, 100_000), torch.zeros(1, 100_000, dtype=torch.long)
    spread = {}
    for run in get_experiment("blv_common_mean").runs("streets", "laptop", [0]):
        if run.config.loss.name == "blv":
            noise = run.config.loss.make(classes).noise(logits, rows)[0]
            torch.testing.assert_close(
                noise.mean(1), rarity(torch.tensor([9e3, 900, 90, 10])), atol=0.01, rtol=0
            )
            spread[run.arm.name] = float(noise[3].std())
    assert len(spread) == 5
    assert spread["constant"] == 0 < spread["gaussian"] < 0.3 < spread["uniform"] < spread["beta"]


def test_an_unknown_experiment_suggests_the_nearest():
    with pytest.raises(ConfigError, match="memory_size"):
        get_experiment("memory_sizes")


def test_each_backbone_is_compared_with_itself():
    pairs = get_experiment("backbones").comparisons
    assert pairs["isanet_aucseg"] == "isanet"
    assert set(pairs) == {arm.name for arm in get_experiment("backbones").arms if arm.versus != arm.name}
    assert get_experiment("networks").comparisons["encnet"] == "segnext"


@pytest.mark.parametrize(("profile", "encoder"), [("laptop", "resnet18"), ("gpu", None), ("paper", None)])
def test_networks_are_small_on_a_laptop_and_as_published_elsewhere(profile, encoder):
    changes = network_changes(profile, "emanet")
    assert (changes["model"]["name"], changes["model"]["encoder"]) == ("emanet", encoder)


def test_a_named_encoder_is_taken_everywhere():
    assert network_changes("smoke", "segnext/mscan_b")["model"]["encoder"] == "mscan_b"


def test_the_effects_of_table_2_are_those_of_each_backbone():
    """31.95 to 36.13 for DeepLabV3+, 29.53 to 35.07 for ISANet, read from the paper."""
    table = published_effects(get_experiment("backbones")).set_index(["arm", "metric"])["effect"]
    assert table["deeplabv3plus_aucseg", "mIoU"] == pytest.approx(4.18)
    assert table["isanet_aucseg", "mIoU"] == pytest.approx(5.54)
    assert table["isanet", "mIoU"] == 0


def test_table_1_compares_with_segnext():
    table = published_effects(get_experiment("networks"), "ADE20K").set_index(["arm", "metric"])
    assert table.loc[("deeplabv3plus", "mIoU"), "value"] == 31.95
    assert table.loc[("segnext_aucseg", "mIoU"), "effect"] == pytest.approx(49.20 - 47.45)


def test_the_published_curve_is_over_the_printed_numbers():
    """Table 23: lambda 1/4 has 49.20 overall and 45.52 on the tail, read from the paper."""
    curve = published_curve(get_experiment("ce_weight"), "ADE20K").set_index(["metric", "value"])["printed"]
    assert (curve["mIoU", 0.25], curve["mIoU_tail", 0.25]) == (49.20, 45.52)
    assert len(curve) == 12
    with pytest.raises(PublishedError, match=r"'ce_weight' on 'Cityscapes'"):
        published_curve(get_experiment("ce_weight"), "Cityscapes")
    with pytest.raises(PublishedError, match="no settings that are numbers"):
        published_curve(get_experiment("surrogates"), "ADE20K")


def test_evidence_begins_with_the_parts_and_every_other_arm_is_one_objective():
    parts = {
        run.arm.name: run.config.identity
        for run in get_experiment("ablation_components").runs("camvid", "laptop", [0], start="imagenet")
    }
    runs = get_experiment("evidence").runs("camvid", "laptop", [0], start="imagenet")
    assert {run.arm.name: run.config.identity for run in runs[: len(parts)]} == parts
    others = runs[len(parts) :]
    assert [run.config.loss.name for run in others[:-1]] == [run.arm.name for run in others[:-1]]
    assert others[-1].config.method.name == "disalign"
    assert all(run.config.bank is None for run in others)
