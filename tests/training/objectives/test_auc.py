"""The AUC beside cross entropy of all pixels, and of hard ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aucseg.losses import AUCLoss, AUCSegLoss, cross_entropy, ohem_cross_entropy
from aucseg.training import ConfigError
from aucseg.training.objectives.auc import AUCConfig
from tests.training.objectives.batches import four_classes, large_batch, small_batch


@pytest.mark.parametrize("weight", [0.0, 0.25, 3.0])
def test_auc_objective_is_algorithm_2_line_21(weight):
    logits, target = small_batch()
    parts = AUCConfig(ce_weight=weight).build(four_classes())(logits.float(), target)
    expected = AUCLoss(4)(logits.float(), target) + weight * F.cross_entropy(
        logits.float(), target, ignore_index=255
    )
    torch.testing.assert_close(parts["loss"], expected)
    assert set(parts) == {"loss", "auc", "cross_entropy"}
    assert parts["loss"].requires_grad
    assert not parts["auc"].requires_grad
    assert not parts["cross_entropy"].requires_grad


@pytest.fixture
def batch():
    logits, target = large_batch()
    assert not torch.isclose(ohem_cross_entropy(logits, target), cross_entropy(logits, target), rtol=0.1)
    return logits, target


@pytest.mark.parametrize("weight", [0.0, 0.25, 3.0])
def test_hard_pixels_beside_an_auc_of_all_pixels(batch, weight):
    logits, target = batch
    options = {"ce_weight": weight, "surrogate": "exp", "scale": 2.0, "pairs": "tail_versus_rest"}
    objective = AUCConfig(ohem=True, **options).build(four_classes(tail=(1, 3)))
    parts = objective(logits, target)
    auc = AUCLoss(4, surrogate="exp", scale=2.0, tail_classes=(1, 3))(logits, target)
    expected = auc + weight * ohem_cross_entropy(logits, target)
    torch.testing.assert_close(parts["loss"], expected)
    assert set(parts) == {"loss", "auc", "cross_entropy"}
    torch.testing.assert_close(parts["auc"], auc.detach())
    torch.testing.assert_close(parts["cross_entropy"], ohem_cross_entropy(logits, target).detach())
    found, wanted = (torch.autograd.grad(loss, logits)[0] for loss in (parts["loss"], expected))
    torch.testing.assert_close(found, wanted)


def test_hard_pixels_with_another_void_label(batch):
    logits, target = batch
    config = AUCConfig(ohem=True)
    other = config.build(four_classes(void=77))(logits, target.where(target != 255, 77))
    assert torch.equal(other["loss"], config.build(four_classes())(logits, target)["loss"])


def test_hard_pixels_of_an_all_void_batch(batch):
    logits, target = batch
    loss = AUCConfig(ohem=True).build(four_classes())(logits, torch.full_like(target, 255))["loss"]
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_all_pixels_remain_the_default():
    assert AUCConfig() == AUCConfig(ohem=False)
    assert isinstance(AUCConfig().build(four_classes()).auc, AUCSegLoss)
    assert not isinstance(AUCConfig(ohem=True).build(four_classes()).auc, AUCSegLoss)


@pytest.mark.parametrize("ohem", [True, False])
def test_options_that_do_not_go_together_are_named_with_hard_pixels_too(ohem):
    config = AUCConfig(ohem=ohem, multiclass="ova", pairs="tail_versus_rest")
    with pytest.raises(ConfigError, match="loss: "):
        config.build(four_classes(tail=(1,)))
