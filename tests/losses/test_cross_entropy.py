from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import aucseg.functional.checks as checks
from aucseg.losses import WeightedCrossEntropyLoss, class_weights, cross_entropy, ohem_cross_entropy
from tests.functional.oracle import streets
from tests.losses.base import LossTester


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 4, (2, 6, 5), generator=generator)
    target[0, :2] = 255
    return logits, target


def test_cross_entropy_is_torch_mean(batch):
    logits, target = batch
    torch.testing.assert_close(
        cross_entropy(logits, target), F.cross_entropy(logits, target, ignore_index=255)
    )


def test_cross_entropy_all_void_is_zero(batch):
    logits, target = batch
    loss = cross_entropy(logits, torch.full_like(target, 255))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def as_module(function):
    """A factory of modules of a function; the number of classes it takes from the logits."""

    class Loss(torch.nn.Module):
        def __init__(self, num_classes, **options):
            super().__init__()
            checks.check_num_classes(num_classes)
            self.options = options
            self.num_classes = num_classes

        def forward(self, logits, target):
            return function(logits, target, **self.options)

        def extra_repr(self):
            return f"num_classes={self.num_classes}, ignore_index=255"

    return staticmethod(Loss)


class FunctionTester(LossTester):
    """The contract holds for functions too; the number of classes they take from the logits."""

    def test_bad_shapes(self):
        loss = self.build()
        logits, target = torch.zeros(2, 4, 6, 7), torch.zeros(2, 6, 7, dtype=torch.long)
        for bad_logits, bad_target, message in (
            (logits, target[:, :3], r"interpolate\(logits, size=\(3, 7\)"),
            (logits, target[:1], "2 images, target 1"),
            (logits, torch.zeros(2, 4, 6, 7), r"holds a number for each class.*argmax\(1\)"),
            (logits[0, 0], target[0, 0], r"must have shape \(B, K, H, W\)"),
        ):
            with pytest.raises(ValueError, match=message):
                loss(bad_logits, bad_target)

    def test_size_of_the_target(self):
        logits, target = torch.zeros(2, 4, 6, 7), torch.zeros(2, 12, 14, dtype=torch.uint8)
        assert self.build(size="target")(logits, target) > 0
        with pytest.raises(ValueError, match="unknown size 'input'; use one of 'target', None"):
            self.build(size="input")(logits, target)


class TestCrossEntropy(FunctionTester):
    factory = as_module(cross_entropy)


class TestHard(FunctionTester):
    factory = as_module(lambda *batch, **options: ohem_cross_entropy(*batch, threshold=0.6, **options))


@pytest.mark.parametrize("loss", [cross_entropy, ohem_cross_entropy])
def test_a_label_that_could_not_be_refused_makes_nan(loss, batch, monkeypatch):
    """On a device that would have to be waited for; here the CPU is taken for one."""
    logits, target = batch
    monkeypatch.setattr(checks, "synchronizes", lambda device: True)
    assert loss(logits, target).isfinite()
    target[1, 2, 3] = 17
    assert loss(logits, target).isnan()


def test_one_channel_is_the_binary_cross_entropy():
    logits, target = streets(2, 2, 5, 6, seed=3, void=0.2)
    one, labelled = logits[:, 1:], target != 255
    score, label = one[:, 0][labelled], target[labelled].double()
    torch.testing.assert_close(cross_entropy(one, target), F.binary_cross_entropy_with_logits(score, label))
    weights = torch.where(label == 1, 3.0, 0.5)
    weighted = F.binary_cross_entropy_with_logits(score, label, weights, reduction="sum") / weights.sum()
    torch.testing.assert_close(WeightedCrossEntropyLoss([0.5, 3.0])(one, target), weighted)


class TestWeighted(LossTester):
    factory = staticmethod(
        lambda k, **options: WeightedCrossEntropyLoss(torch.arange(1, int(k) + 1), **options)
    )
    permutes = False  # the weights go with the classes

    def test_too_few_classes(self):
        with pytest.raises(ValueError, match="num_classes must be an int of at least 2, got 1"):
            WeightedCrossEntropyLoss([1.0])


class TestWeightedByPixels(TestWeighted):
    compiles = False
    factory = staticmethod(
        lambda k, **options: WeightedCrossEntropyLoss(torch.arange(1, k + 1), normalize="pixels", **options)
    )


WEIGHTS = [0.0, 0.5, 3.0, 1.25]


def test_weighted_is_torch_mean(batch):
    logits, target = batch
    expected = F.cross_entropy(logits, target, torch.tensor(WEIGHTS, dtype=torch.float64), ignore_index=255)
    found = WeightedCrossEntropyLoss(WEIGHTS)(logits, target)
    torch.testing.assert_close(found, expected)
    (grad,) = torch.autograd.grad(found, logits)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, logits)[0])


def test_weighted_over_pixels_is_a_mean_of_weighted_losses(batch):
    logits, target = batch
    total, labelled = 0.0, 0
    for image, labels in zip(logits.tolist(), target.tolist(), strict=True):
        for y, row in enumerate(labels):
            for x, label in enumerate(row):
                if label != 255:
                    exponents = [math.exp(channel[y][x]) for channel in image]
                    total -= WEIGHTS[label] * math.log(exponents[label] / sum(exponents))
                    labelled += 1
    found = WeightedCrossEntropyLoss(WEIGHTS, normalize="pixels")(logits, target)
    assert found.item() == pytest.approx(total / labelled, rel=1e-12)


def test_weighted_by_hand():
    """Three pixels that the network gives 1/2, 1/4 and 1/8: losses of 1, 2 and 3 times log 2."""
    own = torch.tensor([0.5, 0.25, 0.125], dtype=torch.float64)
    labels = torch.tensor([[[0, 0, 1]]])
    logits = torch.stack([own, 1 - own]).log()
    logits[:, 2] = logits[:, 2].flip(0)
    logits = logits[None, :, None]
    by_weight = WeightedCrossEntropyLoss([1.0, 4.0])(logits, labels)
    by_pixel = WeightedCrossEntropyLoss([1.0, 4.0], normalize="pixels")(logits, labels)
    assert by_weight.item() == pytest.approx((1 + 2 + 4 * 3) / 6 * math.log(2))
    assert by_pixel.item() == pytest.approx((1 + 2 + 4 * 3) / 3 * math.log(2))


def test_weights_of_one_are_no_weights(batch):
    for normalize in ("weights", "pixels"):
        loss = WeightedCrossEntropyLoss([1] * 4, normalize=normalize)
        torch.testing.assert_close(loss(*batch), cross_entropy(*batch))


def test_only_over_weights_does_a_common_factor_not_matter(batch):
    weights = torch.tensor(WEIGHTS)
    once, twice = (WeightedCrossEntropyLoss(w)(*batch) for w in (weights, 2 * weights))
    torch.testing.assert_close(twice, once)
    once, twice = (WeightedCrossEntropyLoss(w, normalize="pixels")(*batch) for w in (weights, 2 * weights))
    torch.testing.assert_close(twice, 2 * once)


@pytest.mark.parametrize("normalize", ["weights", "pixels"])
def test_pixels_of_a_class_without_weight_alone_are_zero(normalize, batch):
    logits, target = batch
    loss = WeightedCrossEntropyLoss(WEIGHTS, normalize=normalize)(logits, torch.zeros_like(target))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_weights_move_with_the_loss_and_stay_out_of_its_state():
    loss = WeightedCrossEntropyLoss(class_weights([4, 1]))
    assert not loss.state_dict()
    assert not list(loss.parameters())
    assert loss.to(torch.float32).weights.dtype == torch.float32


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[1.0, 2.0]], r"weights must have shape \(K,\), got \(1, 2\)"),
        ([1.0, -1.0], r"finite and not negative, .* got \[1.0, -1.0\]"),
        ([1.0, math.inf], "finite and not negative"),
        ([0.0, 0.0], "one at least positive"),
    ],
)
def test_weights_out_of_range(weights, message):
    with pytest.raises(ValueError, match=message):
        WeightedCrossEntropyLoss(weights)


@pytest.mark.parametrize("normalize", ["weights", "pixels"])
def test_weighted_is_nan_for_a_label_that_is_none_where_nobody_waits(normalize, batch, monkeypatch):
    logits, target = batch
    loss = WeightedCrossEntropyLoss(WEIGHTS, normalize=normalize, validate=False)
    monkeypatch.setattr(checks, "synchronizes", lambda device: True)
    assert loss(logits, target).isfinite()
    target[1, 2, 3] = 4
    assert loss(logits, target).isnan()


def test_unknown_normalize():
    with pytest.raises(ValueError, match="unknown normalize 'mean'; use one of 'weights', 'pixels'"):
        WeightedCrossEntropyLoss([1.0, 1.0], normalize="mean")


@pytest.mark.parametrize(
    ("rule", "raw"),
    [
        ("inverse", lambda n: 1 / n),
        ("sqrt_inverse", lambda n: 1 / math.sqrt(n)),
        ("power", lambda n: math.exp(-0.2 * math.log(n))),
        # the sum of a geometric series, term by term: what Cui et al. derive their formula from
        ("effective_number", lambda n: 1 / sum(0.9**i for i in range(n))),
    ],
)
def test_class_weights_follow_the_rule(rule, raw):
    pixels = [500, 20, 0, 3, 1]
    expected = [raw(n) if n else 0.0 for n in pixels]
    mean = sum(expected) / 4
    found = class_weights(pixels, rule=rule, beta=0.9)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([w / mean for w in expected], rel=1e-12)


@pytest.mark.parametrize("rule", ["inverse", "sqrt_inverse", "effective_number", "power"])
def test_class_weights_have_mean_one_over_the_classes_present(rule):
    weights = class_weights([10**9, 0, 12, 10**6, 0, 1], rule=rule)
    assert weights.isfinite().all()
    assert (weights[[1, 4]] == 0).all()
    assert weights.sum().item() == pytest.approx(4)
    assert (weights[[0, 3, 2, 5]].diff() > 0).all()  # the rarer the heavier


def test_class_weights_by_hand():
    assert class_weights([1, 3]).tolist() == pytest.approx([1.5, 0.5])
    for power, rule in ((0.5, "sqrt_inverse"), (1, "inverse")):
        assert torch.equal(
            class_weights([7, 2, 0], rule="power", power=power), class_weights([7, 2, 0], rule=rule)
        )
    assert class_weights([7, 2, 0], rule="power", power=0).tolist() == [1, 1, 0]
    with pytest.raises(ValueError, match=r"power must be in \[0, 1\], got 1.5"):
        class_weights([1, 3], rule="power", power=1.5)
    # effective numbers of 1, 1.5 and, as good as all that there are, 2
    found = class_weights([1, 2, 400], rule="effective_number", beta=0.5)
    assert (found / found[0]).tolist() == pytest.approx([1, 1 / 1.5, 1 / 2])


def test_effective_number_lies_between_no_weights_and_the_inverse():
    pixels = [10**6, 10**3, 10]
    assert class_weights(pixels, rule="effective_number", beta=0).tolist() == pytest.approx([1, 1, 1])
    limit = class_weights(pixels, rule="effective_number", beta=1 - 1e-12)
    assert limit.tolist() == pytest.approx(class_weights(pixels).tolist(), rel=1e-4)


def test_class_weights_take_what_counts_come_in():
    counts = np.array([5, 0, 7])
    counts.flags.writeable = False
    for other in (counts, torch.tensor([5, 0, 7]), (5, 0, 7)):
        assert torch.equal(class_weights(other), class_weights([5, 0, 7]))


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        ([1, 2], {"rule": "median"}, "unknown rule 'median'; use one of 'inverse', 'sqrt_inverse', 'eff"),
        ([1, 2], {"beta": 1.0}, r"beta must be in \[0, 1\), got 1.0"),
        ([1, -2], {}, "pixels must be finite and not negative"),
        ([0, 0], {}, "one at least positive"),
        ([[1, 2]], {}, r"pixels must have shape \(K,\)"),
    ],
)
def test_class_weights_refuse(pixels, options, message):
    with pytest.raises(ValueError, match=message):
        class_weights(pixels, **options)


def by_sorting(logits, target, threshold, min_kept):
    """Sort the labelled pixels by the probability of their own class, pixel by pixel on the host."""
    own = []
    for image, labels in zip(logits.tolist(), target.tolist(), strict=True):
        for y, row in enumerate(labels):
            for x, label in enumerate(row):
                if label != 255:
                    exponents = [math.exp(channel[y][x]) for channel in image]
                    own.append(exponents[label] / sum(exponents))
    own.sort()
    hard = [p for p in own if p < threshold]
    kept = hard if len(hard) >= min_kept else own[:min_kept]
    return sum(-math.log(p) for p in kept) / len(kept) if kept else 0.0


@pytest.mark.parametrize("min_kept", [0, 5, 1000])
def test_ohem_shows_a_network_that_diverged(min_kept):
    """A nan compares with nothing, and would be no hard pixel: the loss of the others, or 0."""
    logits, target = streets(2, 4, 6, 7, seed=3, void=0.2)
    y, x = (target[0] != 255).nonzero()[0].tolist()
    logits[0, :, y, x] = torch.nan
    assert ohem_cross_entropy(logits, target, min_kept=min_kept).isnan()


def two_classes(*own):
    """One row of pixels of class 0, each with a given probability of it."""
    p = torch.tensor(own, dtype=torch.float64)
    return torch.stack([p, 1 - p]).log()[None, :, None], torch.zeros(1, 1, len(own), dtype=torch.long)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    void=st.sampled_from([0.0, 0.3, 1.0]),
    threshold=st.floats(0.05, 1),
    min_kept=st.integers(0, 100),
)
def test_hard_is_the_mean_over_what_a_sort_keeps(seed, void, threshold, min_kept):
    logits, target = streets(2, 4, 6, 7, seed=seed, void=void)
    found = ohem_cross_entropy(logits, target, threshold=threshold, min_kept=min_kept)
    assert found.item() == pytest.approx(by_sorting(logits, target, threshold, min_kept), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("min_kept", "kept"),
    [
        (0, [0.6, 0.2]),
        (2, [0.6, 0.2]),  # as many hard ones as are wanted: no more
        (3, [0.8, 0.6, 0.2]),  # filled up with the next hardest
        (9, [0.9, 0.8, 0.7, 0.6, 0.2]),  # fewer pixels than wanted: all
    ],
)
def test_hard_by_hand(min_kept, kept):
    logits, target = two_classes(0.9, 0.6, 0.8, 0.2, *([0.7] if min_kept == 9 else []))
    found = ohem_cross_entropy(logits, target, min_kept=min_kept)
    assert found.item() == pytest.approx(-sum(map(math.log, kept)) / len(kept))


def test_no_hard_pixel_and_none_wanted_is_zero():
    logits, target = two_classes(0.9, 0.8)
    logits.requires_grad_()
    loss = ohem_cross_entropy(logits, target, min_kept=0)
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_keeping_every_pixel_is_cross_entropy():
    logits, target = streets(2, 4, 6, 7, void=0.3, seed=0)
    torch.testing.assert_close(
        ohem_cross_entropy(logits, target, threshold=1.0), cross_entropy(logits, target)
    )


def test_counts_are_of_the_batch_and_default_to_ten_thousand():
    generator = torch.Generator().manual_seed(0)
    logits = torch.rand(2, 3, 80, 90, generator=generator)
    logits[:, 1] += 4  # every pixel is easy
    target = torch.ones(2, 80, 90, dtype=torch.long)
    target[:, :2] = 255
    ohem_cross_entropy(logits.requires_grad_(), target).backward()
    kept = logits.grad[:, 1] != 0
    assert kept.sum() == 10_000
    own = logits.detach().softmax(1)[:, 1]
    assert own[kept].max() <= own[~kept & (target == 1)].min()


def test_pixels_of_one_loss_make_up_the_number_and_no_more():
    """Saturated pixels have a loss of exactly zero: were ties kept too, they would dilute the mean."""
    logits = torch.zeros(1, 2, 1, 1000)
    logits[:, 0] = 200.0
    logits[..., :10] = 0.0
    target = torch.zeros(1, 1, 1000, dtype=torch.long)
    found = ohem_cross_entropy(logits, target, min_kept=100)
    assert found.item() == pytest.approx(10 * math.log(2) / 100)


def test_gradient_is_that_of_the_kept_pixels():
    logits, target = streets(2, 4, 6, 7, void=0.3, seed=0)
    logits.requires_grad_()
    ohem_cross_entropy(logits, target, threshold=0.3, min_kept=5).backward()
    own = logits.detach().softmax(1).gather(1, target.where(target != 255, 0)[:, None]).squeeze(1)
    kept = (own < 0.3) & (target != 255)
    assert kept.sum() > 5
    rest = logits.detach().softmax(1) - F.one_hot(target.where(target != 255, 0), 4).movedim(-1, 1)
    torch.testing.assert_close(logits.grad, rest * kept[:, None] / kept.sum())


@pytest.mark.parametrize("min_kept", [3, 30])
def test_hard_gradcheck(min_kept):
    logits, target = streets(2, 3, 3, 5, void=0.2, seed=0)
    assert torch.autograd.gradcheck(
        lambda x: ohem_cross_entropy(x, target, threshold=0.4, min_kept=min_kept), logits.requires_grad_()
    )


def test_hard_all_void_is_zero():
    logits, target = streets(2, 4, 6, 7, seed=0)
    loss = ohem_cross_entropy(logits.requires_grad_(), torch.full_like(target, 255))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_hard_another_void_label():
    logits, target = streets(2, 4, 6, 7, void=0.3, seed=0)
    other = target.where(target != 255, -1)
    options = {"threshold": 0.5, "min_kept": 4}
    assert ohem_cross_entropy(logits, target, **options) == ohem_cross_entropy(
        logits, other, ignore_index=-1, **options
    )


def test_hard_nan_is_not_hidden():
    logits, target = streets(2, 4, 6, 7, seed=0)
    logits[0, 1, 2, 3] = torch.nan
    assert ohem_cross_entropy(logits, target, min_kept=1).isnan()


def test_hard_is_float32_under_autocast():
    logits, target = streets(2, 4, 6, 7, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = ohem_cross_entropy(logits.bfloat16(), target, threshold=0.5, min_kept=4)
    assert loss.dtype == torch.float32
    expected = by_sorting(logits.bfloat16(), target, 0.5, 4)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, math.nan])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ValueError, match=rf"\(0, 1\], got {threshold}"):
        ohem_cross_entropy(*two_classes(0.5), threshold=threshold)


def test_a_number_of_pixels_is_not_negative():
    with pytest.raises(ValueError, match="min_kept must be an int of at least 0, got -1"):
        ohem_cross_entropy(*two_classes(0.5), min_kept=-1)
