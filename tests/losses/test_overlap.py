from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from segmentation_models_pytorch.losses import DiceLoss as SmpDice
from segmentation_models_pytorch.losses import LovaszLoss as SmpLovasz

from aucseg.losses import DiceLoss, JaccardLoss, LovaszSoftmaxLoss, cross_entropy
from tests.functional.oracle import streets
from tests.losses.base import LossTester


class TestDice(LossTester):
    factory = DiceLoss


class TestDiceWithoutSmoothing(LossTester):
    compiles = False
    factory = staticmethod(lambda k, **options: DiceLoss(k, smooth=0, ce_weight=1.0, **options))


class TestJaccard(LossTester):
    factory = JaccardLoss


class TestJaccardImage(LossTester):
    compiles = False
    factory = staticmethod(lambda k, **options: JaccardLoss(k, reduction="image", **options))


class TestJaccardClass(LossTester):
    compiles = False
    factory = staticmethod(lambda k, **options: JaccardLoss(k, reduction="class", ce_weight=1 / 3, **options))


class TestLovasz(LossTester):
    factory = LovaszSoftmaxLoss


WEIGHTS = (0.5, 3.0, 0.0, 1.25, 2.0)


class Weighted(LossTester):
    """Classes with weights, one of them without any."""

    permutes = False
    compiles = False


class TestWeightedDice(Weighted):
    factory = staticmethod(lambda k, **o: DiceLoss(k, weights=WEIGHTS[: int(k)], **o))


class TestWeightedJaccard(Weighted):
    factory = staticmethod(lambda k, **o: JaccardLoss(k, weights=WEIGHTS[: int(k)], ce_weight=1.0, **o))


class TestWeightedJaccardImage(Weighted):
    factory = staticmethod(lambda k, **o: JaccardLoss(k, reduction="image", weights=WEIGHTS[: int(k)], **o))


class TestWeightedJaccardClass(Weighted):
    factory = staticmethod(lambda k, **o: JaccardLoss(k, reduction="class", weights=WEIGHTS[: int(k)], **o))


class TestWeightedLovasz(Weighted):
    factory = staticmethod(lambda k, **o: LovaszSoftmaxLoss(k, weights=WEIGHTS[: int(k)], **o))


def sets(logits, target):
    """Probabilities (N, K) and labels (N,) of the labelled pixels."""
    p = logits.softmax(1).movedim(1, -1).reshape(-1, logits.shape[1])
    y = target.flatten()
    return p[y != 255], y[y != 255]


def weighted(by_class, weights, nothing):
    """The mean over classes, each with its weight."""
    mass = sum(weights[c] for c in by_class)
    return sum(weights[c] * value for c, value in by_class.items()) / mass if mass else nothing


def dice(p, y, smooth, weights=(1,) * 5):
    """Class by class, from the sets of pixels."""
    losses = {}
    for c in y.unique().tolist():
        g = (y == c).double()
        ratio = (2 * (p[:, c] * g).sum() + smooth) / (p[:, c].square().sum() + g.square().sum() + smooth)
        losses[c] = 1 - ratio
    return weighted(losses, weights, p.sum() * 0)


def jaccards(p, y):
    """By class that occurs."""
    values = {}
    for c in y.unique().tolist():
        g = (y == c).double()
        own = (p[:, c] * g).sum()
        values[c] = 1 - own / (p[:, c].sum() + g.sum() - own)
    return values


def jaccard(logits, target, reduction, weights=(1,) * 5):
    nothing = logits.sum() * 0
    if reduction == "batch":
        return weighted(jaccards(*sets(logits, target)), weights, nothing)
    tables = [jaccards(*sets(z[None], y[None])) for z, y in zip(logits, target, strict=True)]
    if reduction == "image":
        counted = [table for table in tables if any(weights[c] for c in table)]
        means = [weighted(table, weights, nothing) for table in counted]
        return torch.stack(means).mean() if means else nothing
    by_class = {
        c: torch.stack([table[c] for table in tables if c in table]).mean()
        for c in sorted({c for table in tables for c in table})
    }
    return weighted(by_class, weights, nothing)


def set_loss(errors: list[float], g: list[bool]) -> float:
    """The Lovász extension by its definition: pixels in falling order of error join the set of the wrong."""
    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    size, total, before = sum(g), 0.0, 0.0
    wrong: set[int] = set()
    for i in order:
        wrong.add(i)
        # the Jaccard loss of predicting the class for all but the missed ones, and for the false ones
        predicted = {j for j in range(len(g)) if g[j] != (j in wrong)}
        true = {j for j in range(len(g)) if g[j]}
        union = predicted | true
        now = 1 - len(predicted & true) / len(union) if size else 0.0
        total += errors[i] * (now - before)
        before = now
    return total


def lovasz(logits, target, weights=(1,) * 5):
    p, y = sets(logits, target)
    losses = {}
    for c in y.unique().tolist():
        g = (y == c).tolist()
        errors = [1 - share if hit else share for share, hit in zip(p[:, c].tolist(), g, strict=True)]
        losses[c] = set_loss(errors, g)
    return weighted(losses, weights, 0.0)


BATCHES = given(
    seed=st.integers(0, 1000),
    k=st.integers(2, 5),
    batch=st.integers(1, 3),
    height=st.integers(1, 5),
    void=st.sampled_from([0.0, 0.4, 1.0]),
)


@settings(deadline=None, max_examples=25)
@BATCHES
def test_dice_by_its_sets(seed, k, batch, height, void):
    logits, target = streets(batch, k, height, 4, seed=seed, void=void)
    logits.requires_grad_()
    for smooth in (0.0, 1.0):
        found, expected = DiceLoss(k, smooth=smooth)(logits, target), dice(*sets(logits, target), smooth)
        torch.testing.assert_close(found, expected)
        grads = [torch.autograd.grad(value, logits)[0] for value in (found, expected)]
        torch.testing.assert_close(*grads)


@pytest.mark.parametrize("reduction", ["batch", "image", "class"])
@settings(deadline=None, max_examples=25)
@BATCHES
def test_jaccard_by_its_sets(reduction, seed, k, batch, height, void):
    logits, target = streets(batch, k, height, 4, seed=seed, void=void)
    logits.requires_grad_()
    found = JaccardLoss(k, reduction=reduction)(logits, target)
    expected = jaccard(logits, target, reduction)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (found, expected)))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@settings(deadline=None, max_examples=25)
@BATCHES
def test_lovasz_by_its_definition(weights, seed, k, batch, height, void):
    logits, target = streets(batch, k, height, 3, seed=seed, void=void)
    given = {} if weights is None else {"weights": weights[:k]}
    found = LovaszSoftmaxLoss(k, **given)(logits, target)
    assert found.item() == pytest.approx(lovasz(logits, target, **given), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("reduction", ["dice", "batch", "image", "class"])
@settings(deadline=None, max_examples=25)
@BATCHES
def test_weights_of_classes_by_their_sets(reduction, seed, k, batch, height, void):
    """Value and gradient; one class has no weight, and may be all that an image or a batch holds."""
    logits, target = streets(batch, k, height, 2, seed=seed, void=void)
    target[0] = target[0].where(target[0] == 255, 2 % k)
    logits.requires_grad_()
    weights = WEIGHTS[:k]
    if reduction == "dice":
        found = DiceLoss(k, weights=weights)(logits, target)
        expected = dice(*sets(logits, target), 1.0, weights)
    else:
        found = JaccardLoss(k, reduction=reduction, weights=weights)(logits, target)
        expected = jaccard(logits, target, reduction, weights)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (found, expected)))


@pytest.mark.parametrize("loss", [DiceLoss, JaccardLoss, LovaszSoftmaxLoss])
def test_equal_weights_change_no_bit(loss):
    logits, target = streets(2, 4, 6, 7, seed=1, void=0.2)
    logits.requires_grad_()
    values = [build(logits, target) for build in (loss(4), loss(4, weights=[1, 1, 1, 1]))]
    assert torch.equal(*values)
    assert torch.equal(*(torch.autograd.grad(value, logits)[0] for value in values))


@pytest.mark.parametrize(
    "loss",
    [
        lambda k, **o: DiceLoss(k, **o),
        *(
            lambda k, reduction=reduction, **o: JaccardLoss(k, reduction=reduction, **o)
            for reduction in ("batch", "image", "class")
        ),
        lambda k, **o: LovaszSoftmaxLoss(k, **o),
    ],
)
def test_a_class_without_weight_hides_no_nan(loss):
    """Alone in the batch, and beside others."""
    logits, target = streets(2, 4, 6, 7, seed=1)
    logits[0, :, 0, 0] = torch.nan
    target[0, 0, 0] = 2
    made = loss(4, weights=[1, 1, 0, 1])
    assert made(logits, target).isnan()
    assert made(logits, torch.full_like(target, 2)).isnan()


@pytest.mark.parametrize("void", [0.0, 0.3])
def test_smps_lovasz_is_right(void):
    """Value and gradient, in float32 where a pixel is labelled; for none smp's is no scalar and ours zero."""
    logits, target = streets(2, 5, 9, 11, seed=1, void=void)
    logits = logits.float().requires_grad_()
    values = [
        loss(logits, target) for loss in (LovaszSoftmaxLoss(5), SmpLovasz("multiclass", ignore_index=255))
    ]
    torch.testing.assert_close(*values)
    grads = [torch.autograd.grad(value, logits)[0] for value in values]
    torch.testing.assert_close(*grads, rtol=1e-3, atol=1e-6)


def test_smps_dice_has_no_squares_and_counts_absent_classes():
    logits, target = streets(2, 4, 9, 11, seed=1, void=0.2)
    target[target == 3] = 0
    smp = SmpDice("multiclass", ignore_index=255)(logits, target)
    p, y = sets(logits, target)
    by_class = [1 - 2 * p[y == c, c].sum() / (p[:, c].sum() + (y == c).sum()) for c in range(3)]
    torch.testing.assert_close(smp, sum(by_class) / 4)
    assert not torch.isclose(DiceLoss(4, smooth=0)(logits, target), smp, rtol=0.05)


@pytest.mark.parametrize(
    "loss", [DiceLoss, JaccardLoss, lambda k, **o: JaccardLoss(k, reduction="image", **o), LovaszSoftmaxLoss]
)
def test_cross_entropy_beside_it(loss):
    logits, target = streets(2, 4, 6, 7, seed=1, void=0.2)
    logits.requires_grad_()
    found = loss(4, ce_weight=0.7)(logits, target)
    expected = loss(4)(logits, target) + 0.7 * cross_entropy(logits, target)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (found, expected)))


def test_jaccard_by_hand():
    """Two images of two pixels; of class 1 one pixel in the first image, two in the second."""
    p1 = torch.tensor([[0.2, 0.6], [0.5, 0.9]], dtype=torch.float64)  # of class 1
    logits = torch.stack((1 - p1, p1), 1).log()[:, :, None]
    target = torch.tensor([[[0, 1]], [[1, 1]]])
    first = {0: 1 - 0.8 / (0.8 + 0.4 + 1 - 0.8), 1: 1 - 0.6 / (0.2 + 0.6 + 1 - 0.6)}
    second = {1: 1 - 1.4 / (1.4 + 2 - 1.4)}
    batch = [1 - 0.8 / (0.8 + 0.4 + 0.5 + 0.1 + 1 - 0.8), 1 - 2.0 / (2.2 + 3 - 2.0)]
    expected = {
        "batch": sum(batch) / 2,
        "image": ((first[0] + first[1]) / 2 + second[1]) / 2,
        "class": (first[0] + (first[1] + second[1]) / 2) / 2,
    }
    for reduction, value in expected.items():
        assert JaccardLoss(2, reduction=reduction)(logits, target).item() == pytest.approx(value)


def test_a_perfect_answer_costs_nothing():
    target = streets(2, 4, 6, 7, seed=1)[1]
    logits = 60 * F.one_hot(target.where(target != 255, 0), 4).movedim(-1, 1).double()
    for loss in (DiceLoss(4), JaccardLoss(4), JaccardLoss(4, reduction="class"), LovaszSoftmaxLoss(4)):
        assert loss(logits, target).item() == pytest.approx(0, abs=1e-12)


def test_large_images_go_strip_by_strip(monkeypatch):
    logits, target = streets(2, 4, 6, 7, seed=1, void=0.2)
    logits.requires_grad_()
    losses = (DiceLoss(4), JaccardLoss(4, reduction="image"), LovaszSoftmaxLoss(4))
    expected = [torch.autograd.grad(loss(logits, target), logits)[0] for loss in losses]
    monkeypatch.setattr("aucseg.functional.logits.STRIP_MIN_PIXELS", 5)
    monkeypatch.setattr("aucseg.functional.logits.STRIP_SCORES_CPU", 1)
    for loss, grad in zip(losses, expected, strict=True):
        torch.testing.assert_close(torch.autograd.grad(loss(logits, target), logits)[0], grad)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DiceLoss(4, smooth=-1), "smooth must be a number of at least 0, got -1"),
        (lambda: DiceLoss(4, ce_weight=float("nan")), "ce_weight must be a number of at least 0, got nan"),
        (lambda: JaccardLoss(4, reduction="mean"), "unknown reduction 'mean'; use one of 'batch', 'image'"),
        (lambda: LovaszSoftmaxLoss(4, ce_weight=-1), "ce_weight must be a number of at least 0"),
        (lambda: DiceLoss(4, weights=[1, 2]), "weights are of 2 classes, expected num_classes=4"),
        (lambda: JaccardLoss(2, weights=[1, -2]), "weights must be finite and not negative"),
        (lambda: LovaszSoftmaxLoss(2, weights=[0, 0]), "one at least positive"),
    ],
)
def test_options_out_of_range(build, message):
    with pytest.raises(ValueError, match=message):
        build()
