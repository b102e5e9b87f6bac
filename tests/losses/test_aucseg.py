from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from aucseg.losses import AUCLoss, AUCSegLoss
from tests.functional.oracle import streets
from tests.losses.test_auc import AUCLossTester, InStrips


class TestAUCSegLoss(AUCLossTester):
    factory = AUCSegLoss

    # with a single class the cross entropy is left; everything else holds as it stands


class TestStrips(InStrips, AUCLossTester):
    factory = AUCSegLoss


class TestSorted(AUCLossTester):
    factory = staticmethod(
        lambda num_classes, **options: AUCSegLoss(num_classes, surrogate="hinge", margin=0.37, **options)
    )


OPTIONS = (
    {},
    {"activation": "softmax"},
    {"activation": "identity", "margin": 3.0},
    {"surrogate": "logistic"},
    {"surrogate": "hinge", "margin": 0.4},
    {"multiclass": "ova", "reduction": "sum"},
    {"tail_classes": [3, 4]},
)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("weight", [0.0, 0.25, 3.0])
@pytest.mark.parametrize("absent", [False, True])
def test_one_pass_equals_two(options, weight, absent):
    logits, target = streets(2, 6, 9, 8, seed=0)
    if absent:
        target[(target == 2) | (target == 5)] = 0
    one, two = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = AUCSegLoss(6, ce_weight=weight, **options)
    value = loss(one, target)
    auc, cross_entropy = AUCLoss(6, **options)(two, target), F.cross_entropy(two, target, ignore_index=255)
    value.backward()
    (auc + weight * cross_entropy).backward()
    torch.testing.assert_close(value, auc + weight * cross_entropy)
    torch.testing.assert_close(one.grad, two.grad)
    parts = loss.parts(logits, target)
    torch.testing.assert_close(parts["auc"], auc.detach())
    torch.testing.assert_close(parts["cross_entropy"], cross_entropy.detach())


@pytest.mark.parametrize("term", ["auc", "cross_entropy"])
def test_a_term_alone_has_its_own_gradient(term):
    logits, target = streets(2, 5, 6, 7, seed=1)
    one, two = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    AUCSegLoss(5).parts(one, target)[term].backward()
    alone = {"auc": AUCLoss(5), "cross_entropy": lambda x, y: F.cross_entropy(x, y, ignore_index=255)}
    alone[term](two, target).backward()
    torch.testing.assert_close(one.grad, two.grad)


def test_micro_batches_add_up_to_the_batch():
    logits, target = streets(3, 4, 6, 6, seed=4)
    loss = AUCSegLoss(4, ce_weight=0.5)
    whole = logits.clone().requires_grad_()
    loss(whole, target).backward()
    parts = [part.clone().requires_grad_() for part in logits.split(1)]
    with torch.no_grad():
        sums = [loss.class_sums(x, y) for x, y in zip(parts, target.split(1), strict=True)]
    for x, y in zip(parts, target.split(1), strict=True):
        loss(x, y, whole=sums[0] + sums[1] + sums[2]).backward()
    torch.testing.assert_close(torch.cat([x.grad for x in parts]), whole.grad)


def test_backward_twice_on_one_graph():
    logits, target = streets(1, 4, 5, 5, seed=0)
    logits.requires_grad_()
    value = AUCSegLoss(4)(logits, target)
    first = torch.autograd.grad(value, logits, retain_graph=True)[0]
    second = torch.autograd.grad(value, logits)[0]
    assert torch.equal(first, second)


def test_bad_options():
    for weight in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="ce_weight must be a number of at least 0"):
            AUCSegLoss(4, ce_weight=weight)
    with pytest.raises(ValueError, match="reduction='none' is a table"):
        AUCSegLoss(4, reduction="none")
    assert "ce_weight=0.5" in repr(AUCSegLoss(4, ce_weight=0.5))


def test_one_channel_is_binary_in_both_terms():
    logits, target = streets(2, 2, 5, 6, seed=7, void=0.2)
    one = logits[:, 1:]
    parts = AUCSegLoss(2, ce_weight=0.5).parts(one, target)
    labelled = target != 255
    binary = F.binary_cross_entropy_with_logits(one[:, 0][labelled], target[labelled].double())
    torch.testing.assert_close(parts["cross_entropy"], binary)
    torch.testing.assert_close(parts["auc"], AUCLoss(2)(one, target))
    with pytest.raises(ValueError, match=r"one channel holds scores of class 1, .*activation='sigmoid'"):
        AUCSegLoss(2, activation="identity")(one, target)
