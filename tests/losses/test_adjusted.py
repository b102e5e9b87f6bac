from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from aucseg.losses import (
    BalancedSoftmaxLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    VSLoss,
    WeightedCrossEntropyLoss,
    class_weights,
    cross_entropy,
)
from tests.functional.oracle import streets
from tests.losses.base import CountedLossTester

COUNTS = (900.0, 40.0, 0.0, 3.0)  # class 2 counts as class 3


class TestLogitAdjusted(CountedLossTester):
    factory = LogitAdjustedLoss


class TestBalancedSoftmax(CountedLossTester):
    compiles = False
    factory = BalancedSoftmaxLoss


class TestVS(CountedLossTester):
    factory = VSLoss


class TestLDAM(CountedLossTester):
    factory = LDAMLoss


class TestLDAMOnPlainLogits(CountedLossTester):
    compiles = False
    factory = staticmethod(lambda counts, **options: LDAMLoss(counts, scale=1.0, **options))


@pytest.fixture
def batch():
    logits, target = streets(2, 4, 6, 7, seed=3, void=0.2)
    return logits.requires_grad_(), target


def by_pixel(logits, target, logit):
    """The mean over labelled pixels, pixel by pixel on the host; ``logit(z, k, y)`` is what z_k becomes."""
    total, labelled = 0.0, 0
    for image, labels in zip(logits.tolist(), target.tolist(), strict=True):
        for row, line in enumerate(labels):
            for column, y in enumerate(line):
                if y == 255:
                    continue
                z = [logit(image[k][row][column], k, y) for k in range(len(image))]
                top = max(z)
                total += top + math.log(sum(math.exp(v - top) for v in z)) - z[y]
                labelled += 1
    return total / labelled


PRIOR = [math.log(q / 943) for q in (900, 40, 3, 3)]
SCALE = [(q / 900) ** 0.4 for q in (900, 40, 3, 3)]
# 0.6 for the rarest, the others by the fourth root
MARGIN = [0.6 * (3 / q) ** 0.25 for q in (900, 40, 3, 3)]
CASES = [
    (LogitAdjustedLoss(COUNTS, tau=1.5), lambda z, k, y: z + 1.5 * PRIOR[k]),
    (LogitAdjustedLoss(COUNTS, tau=0), lambda z, k, y: z),
    (BalancedSoftmaxLoss(COUNTS), lambda z, k, y: z + PRIOR[k]),
    (VSLoss(COUNTS, gamma=0.4, tau=0.7), lambda z, k, y: SCALE[k] * z + 0.7 * PRIOR[k]),
    (LDAMLoss(COUNTS, max_margin=0.6, scale=9), lambda z, k, y: 9 * (z - MARGIN[k] * (k == y))),
]


@pytest.mark.parametrize(("loss", "logit"), CASES, ids=lambda x: getattr(type(x), "__name__", ""))
def test_every_pixel_by_the_formula(loss, logit, batch):
    logits, target = batch
    assert loss(logits, target).item() == pytest.approx(by_pixel(logits, target, logit), rel=1e-12)


@pytest.mark.parametrize(("loss", "logit"), CASES, ids=lambda x: getattr(type(x), "__name__", ""))
def test_gradient_is_that_of_the_same_change_before_torchs_cross_entropy(loss, logit, batch):
    logits, target = batch
    own = F.one_hot(target.where(target != 255, 0), 4).movedim(-1, 1).bool()
    k = torch.arange(4).tolist()
    as_own, as_other = (
        torch.stack([logit(logits[:, c], c, c if own_ else -1) for c in k], 1) for own_ in (True, False)
    )
    expected = F.cross_entropy(torch.where(own, as_own, as_other), target, ignore_index=255)
    (grad,) = torch.autograd.grad(loss(logits, target), logits)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, logits)[0])


def test_balanced_softmax_by_hand():
    """Two classes of 3 : 1 and equal logits: a pixel of the frequent one costs log 4/3, of the rare log 4."""
    logits = torch.zeros(1, 2, 1, 2, dtype=torch.float64)
    loss = BalancedSoftmaxLoss([30, 10])(logits, torch.tensor([[[0, 1]]]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_equalities(batch):
    logits, target = batch
    counts = [90, 8, 2, 5]
    same = [
        (LogitAdjustedLoss(counts, tau=1), BalancedSoftmaxLoss(counts)),
        (VSLoss(counts, gamma=0, tau=1.3), LogitAdjustedLoss(counts, tau=1.3)),
        (LogitAdjustedLoss(counts, tau=0), cross_entropy),
        (VSLoss(counts, gamma=0, tau=0), cross_entropy),
        (LogitAdjustedLoss([5, 5, 5, 5], tau=2), cross_entropy),
        (VSLoss([5, 5, 5, 5]), cross_entropy),
        (LDAMLoss(counts, max_margin=0, scale=7), lambda z, y: cross_entropy(7 * z, y)),
        (LDAMLoss(counts, max_margin=0, scale=1), cross_entropy),
        (LogitAdjustedLoss(counts), LogitAdjustedLoss([900, 80, 20, 50])),  # only shares matter
        (WeightedCrossEntropyLoss(class_weights([7, 7, 7, 7])), cross_entropy),
    ]
    for one, other in same:
        values = [loss(logits, target) for loss in (one, other)]
        torch.testing.assert_close(*values, rtol=1e-12, atol=0)
        grads = [torch.autograd.grad(value, logits)[0] for value in values]
        torch.testing.assert_close(*grads, rtol=1e-10, atol=1e-15)


def test_a_large_prior_keeps_its_digits():
    """Counts of 1e10 and 1: an offset of -23 that float32 would round in its seventh digit."""
    loss = LogitAdjustedLoss([10**10, 1])
    assert loss.offsets.dtype == torch.float64
    assert loss.offsets[1].item() == pytest.approx(-math.log(10**10 + 1), rel=1e-15)


def test_weights_may_begin_later(batch):
    """LDAM-DRW: plain margins first, class-balanced weights from a step on."""
    logits, target = batch
    counts, weights = [90, 8, 2, 5], class_weights([90, 8, 2, 5])
    deferred = LDAMLoss(counts, scale=3, weights=weights, weights_from=2)
    plain, weighted = LDAMLoss(counts, scale=3), LDAMLoss(counts, scale=3, weights=weights)
    values = [deferred(logits, target).item() for _ in range(4)]
    assert values == [plain(logits, target).item()] * 2 + [weighted(logits, target).item()] * 2
    assert values[0] != values[3]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LogitAdjustedLoss([1, 2], tau=-1), "tau must be a number of at least 0, got -1"),
        (lambda: LogitAdjustedLoss([1, 2], tau=math.inf), "tau must be a number"),
        (lambda: VSLoss([1, 2], gamma=math.nan), "gamma must be a number of at least 0, got nan"),
        (lambda: VSLoss([1, 2], gamma="x"), "gamma must be a number of at least 0, got 'x'"),
        (lambda: LDAMLoss([1, 2], scale=0), "scale must be a number above 0, got 0"),
        (lambda: LDAMLoss([1, 2], max_margin=-0.1), "max_margin must be a number of at least 0"),
    ],
)
def test_options_out_of_range(build, message):
    with pytest.raises(ValueError, match=message):
        build()
