"""Cross entropy as an objective, and what is left in its section by files of an older version."""

from __future__ import annotations

import pytest
import torch

from aucseg.experiments import make_config
from aucseg.losses import cross_entropy, ohem_cross_entropy
from aucseg.training import ConfigError, RunConfig
from aucseg.training.objectives.cross_entropy import CrossEntropyConfig
from tests.training.objectives.batches import four_classes, large_batch, small_batch

# Both objectives in one section: what records and checkpoints of that time hold.
OLD = {
    "ce_weight": 0.25,
    "surrogate": "square",
    "multiclass": "ovo",
    "margin": 1.0,
    "scale": 1.0,
    "activation": "sigmoid",
    "reduction": "mean",
    "pairs": "all",
    "ohem": False,
    "queue": None,
}


def test_cross_entropy_objective_has_no_auc_part():
    logits, target = small_batch()
    parts = CrossEntropyConfig().build(four_classes())(logits.float(), target)
    assert set(parts) == {"loss", "cross_entropy"}
    assert torch.equal(parts["loss"], cross_entropy(logits.float(), target))
    assert parts["loss"].requires_grad
    assert not parts["cross_entropy"].requires_grad


def test_hard_pixels_for_cross_entropy():
    logits, target = large_batch()
    parts = CrossEntropyConfig(ohem=True).build(four_classes())(logits, target)
    assert torch.equal(parts["loss"], ohem_cross_entropy(logits, target))
    assert torch.equal(parts["cross_entropy"], parts["loss"])
    assert parts["loss"].requires_grad
    assert not parts["cross_entropy"].requires_grad
    other = CrossEntropyConfig(ohem=True).build(four_classes(void=77))
    assert torch.equal(other(logits, target.where(target != 255, 77))["loss"], parts["loss"])


def run(**loss) -> RunConfig:
    return RunConfig.from_dict(make_config("streets", "smoke").model_dump(mode="json") | {"loss": loss})


# Computed when both objectives shared a section.
@pytest.mark.parametrize(("ohem", "identity"), [(False, "c92c6e5e1afd4373"), (True, "cf5a1911a012bb7e")])
def test_keys_of_the_auc_at_their_defaults_are_no_part_of_the_identity(ohem, identity):
    for keys in ({}, {"ohem": False}, OLD):
        loss = {"name": "cross_entropy"} | keys | ({"ohem": True} if ohem else {})
        assert run(**loss).identity == identity
        assert run(**loss).loss == CrossEntropyConfig(ohem=ohem)


@pytest.mark.parametrize("key", sorted(set(OLD) - {"ohem"}))
def test_another_value_of_such_a_key_is_a_mistake(key):
    value = {"queue": {"batches": 2}, "multiclass": "ova"}.get(key, 2.0)
    loss = {"name": "cross_entropy"} | OLD | {key: value}
    with pytest.raises(ConfigError, match=rf"loss: {key} has no part in objective 'cross_entropy'"):
        run(**loss)


def test_what_is_recorded_is_read_all_the_same():
    """It never had a meaning there, and nobody can edit a checkpoint."""
    content = make_config("streets", "smoke").model_dump(mode="json")
    content["loss"] = {"name": "cross_entropy"} | OLD | {"ce_weight": 2.0}
    assert RunConfig.from_dict(content, recorded=True).loss == CrossEntropyConfig()


def test_a_key_of_nothing_is_still_unknown():
    with pytest.raises(ConfigError, match=r"loss\.ohm.*ohem"):
        run(name="cross_entropy", ohm=True)
