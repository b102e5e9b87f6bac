from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aucseg.losses import AUCLoss, AUCSegLoss, cross_entropy, ohem_cross_entropy
from aucseg.training import ConfigError, LossConfig, Objective


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 4, (2, 6, 5), generator=generator)
    target[0, :2] = 255
    return logits, target


@pytest.mark.parametrize("weight", [0.0, 0.25, 3.0])
def test_auc_objective_is_algorithm_2_line_21(batch, weight):
    logits, target = batch
    parts = Objective(LossConfig(name="auc", ce_weight=weight), 4)(logits.float(), target)
    expected = AUCLoss(4)(logits.float(), target) + weight * F.cross_entropy(
        logits.float(), target, ignore_index=255
    )
    torch.testing.assert_close(parts["loss"], expected)
    assert set(parts) == {"loss", "auc", "cross_entropy"}


def test_cross_entropy_objective_has_no_auc_part(batch):
    logits, target = batch
    parts = Objective(LossConfig(name="cross_entropy"), 4)(logits.float(), target)
    assert set(parts) == {"loss", "cross_entropy"}
    assert parts["loss"].requires_grad
    assert not parts["cross_entropy"].requires_grad


@pytest.fixture
def large_batch():
    """More pixels than hard ones and those that are kept in any case, most of them easy; some void."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (2, 90, 80), generator=generator)
    logits = 3 * F.one_hot(target, 4).movedim(-1, 1) + torch.randn(2, 4, 90, 80, generator=generator)
    target[0, :20] = 255
    assert not torch.isclose(ohem_cross_entropy(logits, target), cross_entropy(logits, target), rtol=0.1)
    return logits.requires_grad_(), target


def test_hard_pixels_for_cross_entropy(large_batch):
    logits, target = large_batch
    parts = Objective(LossConfig(name="cross_entropy", ohem=True), 4)(logits, target)
    assert torch.equal(parts["loss"], ohem_cross_entropy(logits, target))
    assert torch.equal(parts["cross_entropy"], parts["loss"])
    assert parts["loss"].requires_grad
    assert not parts["cross_entropy"].requires_grad


@pytest.mark.parametrize("weight", [0.0, 0.25, 3.0])
def test_hard_pixels_beside_an_auc_of_all_pixels(large_batch, weight):
    logits, target = large_batch
    options = {"ce_weight": weight, "surrogate": "exp", "scale": 2.0, "pairs": "tail_versus_rest"}
    objective = Objective(LossConfig(name="auc", ohem=True, **options), 4, tail_classes=(1, 3))
    parts = objective(logits, target)
    auc = AUCLoss(4, surrogate="exp", scale=2.0, tail_classes=(1, 3))(logits, target)
    expected = auc + weight * ohem_cross_entropy(logits, target)
    torch.testing.assert_close(parts["loss"], expected)
    assert set(parts) == {"loss", "auc", "cross_entropy"}
    torch.testing.assert_close(parts["auc"], auc.detach())
    torch.testing.assert_close(parts["cross_entropy"], ohem_cross_entropy(logits, target).detach())
    found, wanted = (torch.autograd.grad(loss, logits)[0] for loss in (parts["loss"], expected))
    torch.testing.assert_close(found, wanted)


def test_hard_pixels_with_another_void_label(large_batch):
    logits, target = large_batch
    config = LossConfig(name="auc", ohem=True)
    other = Objective(config, 4, ignore_index=77)(logits, target.where(target != 255, 77))
    assert torch.equal(other["loss"], Objective(config, 4)(logits, target)["loss"])


def test_hard_pixels_of_an_all_void_batch(large_batch):
    logits, target = large_batch
    loss = Objective(LossConfig(name="auc", ohem=True), 4)(logits, torch.full_like(target, 255))["loss"]
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_all_pixels_remain_the_default():
    assert LossConfig() == LossConfig(ohem=False)
    assert isinstance(Objective(LossConfig(), 4).auc, AUCSegLoss)
    assert not isinstance(Objective(LossConfig(ohem=True), 4).auc, AUCSegLoss)


def test_options_that_do_not_go_together_are_named_with_hard_pixels_too():
    with pytest.raises(ConfigError, match="loss: "):
        Objective(LossConfig(ohem=True, multiclass="ova", pairs="tail_versus_rest"), 4, tail_classes=(1,))
