from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import FocalLoss as SmpFocal

from aucseg.losses import FocalLoss, cross_entropy
from tests.functional.oracle import streets
from tests.losses.base import LossTester


class TestFocal(LossTester):
    factory = FocalLoss


class TestFocalBroken(LossTester):
    compiles = False
    factory = staticmethod(lambda k, **options: FocalLoss(k, gamma=0.5, **options))


class TestFocalSigmoid(LossTester):
    factory = staticmethod(lambda k, **options: FocalLoss(k, variant="sigmoid", alpha=0.5, **options))


@pytest.fixture
def batch():
    logits, target = streets(2, 4, 6, 7, seed=3, void=0.2)
    return logits.requires_grad_(), target


def pixels(logits, target):
    """Logits and label of every labelled pixel."""
    for image, labels in zip(logits.tolist(), target.tolist(), strict=True):
        for row, line in enumerate(labels):
            for column, y in enumerate(line):
                if y != 255:
                    yield [channel[row][column] for channel in image], y


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.7])
def test_softmax_by_the_formula(gamma, batch):
    logits, target = batch
    costs = []
    for z, y in pixels(logits, target):
        p = math.exp(z[y]) / sum(map(math.exp, z))
        costs.append(-((1 - p) ** gamma) * math.log(p))
    found = FocalLoss(4, gamma=gamma)(logits, target)
    assert found.item() == pytest.approx(sum(costs) / len(costs), rel=1e-12)
    log_p = F.log_softmax(logits, 1).gather(1, target.where(target != 255, 0)[:, None])[:, 0]
    expected = (-((1 - log_p.exp()) ** gamma) * log_p)[target != 255].mean()
    grads = [torch.autograd.grad(value, logits)[0] for value in (found, expected)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_sigmoid_by_the_formula(gamma, alpha, batch):
    logits, target = batch
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    costs = []
    for z, y in pixels(logits, target):
        p = [1 / (1 + math.exp(-v)) for v in z]
        cost = -positive * (1 - p[y]) ** gamma * math.log(p[y])
        cost -= sum(negative * p[k] ** gamma * math.log(1 - p[k]) for k in range(4) if k != y)
        costs.append(cost)
    found = FocalLoss(4, gamma=gamma, variant="sigmoid", alpha=alpha)(logits, target)
    assert found.item() == pytest.approx(sum(costs) / len(costs), rel=1e-12)


def test_gamma_0_is_cross_entropy(batch):
    logits, target = batch
    values = [loss(logits, target) for loss in (FocalLoss(4, gamma=0), cross_entropy)]
    torch.testing.assert_close(*values, rtol=1e-12, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in values))


@pytest.mark.parametrize("value", [-900.0, 900.0])
def test_sigmoid_far_from_zero_costs_what_the_logit_says(value):
    """Wholly wrong costs the size of the logit, with slope 1; wholly right costs nothing, with slope 0."""
    logits = torch.tensor([value, -900.0]).view(1, 2, 1, 1).requires_grad_()
    loss = FocalLoss(2, variant="sigmoid")(logits, torch.zeros(1, 1, 1, dtype=torch.long))
    loss.backward()
    assert loss.item() == max(0.0, -value)
    assert logits.grad.flatten().tolist() == [-1.0 if value < 0 else 0.0, 0.0]


def test_smps_is_the_sigmoid_form(batch):
    """smp's multiclass focal loss is not the softmax one: it is K binary problems, as is our variant."""
    logits, target = batch
    smp = SmpFocal("multiclass", gamma=2.0, ignore_index=255)(logits, target)
    ours = FocalLoss(4, variant="sigmoid")(logits, target)
    torch.testing.assert_close(ours, 4 * smp)  # which is averaged over the classes as well
    assert not torch.isclose(FocalLoss(4)(logits, target), smp, rtol=0.1)


def test_a_pixel_that_is_right_keeps_its_digits():
    """1 - p would be 0 in float32 where p is within 6e-8 of 1."""
    logits = torch.tensor([18.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    target = torch.zeros(1, 1, 1, dtype=torch.long)
    found = FocalLoss(2, gamma=1)(logits, target)
    wrong = 1 / (1 + math.exp(18))
    assert found.item() == pytest.approx(-wrong * math.log1p(-wrong), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_a_pixel_that_is_wholly_right_has_a_finite_gradient(gamma):
    logits = torch.tensor([500.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    FocalLoss(2, gamma=gamma)(logits, torch.zeros(1, 1, 1, dtype=torch.long)).backward()
    assert (logits.grad == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1}, "gamma must be a number of at least 0, got -1"),
        ({"variant": "binary"}, "unknown variant 'binary'; use one of 'softmax', 'sigmoid'"),
        ({"alpha": 0.5}, r"alpha is in \(0, 1\) and for variant 'sigmoid'; got 0.5 and variant 'softmax'"),
        ({"alpha": 1.0, "variant": "sigmoid"}, "got 1.0 and variant 'sigmoid'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        FocalLoss(4, **options)
