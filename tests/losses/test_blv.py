"""Balancing logit variation: the formula, its readings by name, and the stream of noise."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from aucseg.functional import draw_noise, noise_mean, rarity
from aucseg.longtail import load_statistics
from aucseg.losses import BLVLoss, class_counts, cross_entropy
from tests.functional.oracle import streets
from tests.losses.base import CountedLossTester

COUNTS = (900.0, 40.0, 7.0, 3.0)


class TestBLVWithoutVariation(CountedLossTester):
    """Every property that a loss has; the noise is constant."""

    factory = staticmethod(lambda counts, **options: BLVLoss(counts, variation="constant", seed=0, **options))
    stateful = True
    never_seen = 0.02  # of the sum of the counts the formula has the logarithm


class Fresh(BLVLoss):
    """Draws the same noise at every call."""

    def forward(self, logits, target):
        self.count.calls = 0
        return super().forward(logits, target)


class TestBLV(CountedLossTester):
    """The noise is one for each place: what moves pixels or classes meets other noise."""

    factory = staticmethod(lambda counts, **options: Fresh(counts, seed=3, **options))
    stateful = True
    compiles = False
    never_seen = 0.02
    test_permutation_of_labels = None
    test_order_of_images_and_pixels = None


@pytest.fixture
def batch():
    logits, target = streets(2, 4, 6, 7, seed=3, void=0.2)
    return logits.requires_grad_(), target


def flat(target):
    return target.where(target != 255, 4).flatten(1)


W = [math.log(950 / q) / math.log(950 / 3) for q in COUNTS]  # Eq. 3, by hand


def test_value_and_gradient_are_those_of_the_noisy_logits(batch):
    logits, target = batch
    loss = BLVLoss(COUNTS, sigma=2.0, seed=1)
    noise = loss.noise(logits.flatten(2), flat(target))
    assert 0 < noise.min() < 0.1
    assert noise[:, 3].max() == 1  # the rarest class has a weight of 1
    torch.testing.assert_close(noise.amax((0, 2)), torch.tensor(W, dtype=torch.float64), rtol=1e-12, atol=0)
    expected = F.cross_entropy(logits + noise.view_as(logits), target, ignore_index=255)
    found = loss(logits, target)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    grads = [torch.autograd.grad(value, logits)[0] for value in (found, expected)]
    torch.testing.assert_close(*grads, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 0},
        {"counts": [5, 5, 5, 5], "variation": "constant"},  # the same for all logits
        {"schedule": "linear"},  # sigma is 0 at step 0
        {"counts": [7, 0, 0, 0]},  # no class is known to be rarer than another
    ],
)
def test_no_noise_is_cross_entropy(options, batch):
    logits, target = batch
    values = [loss(logits, target) for loss in (BLVLoss(**({"counts": COUNTS} | options)), cross_entropy)]
    torch.testing.assert_close(*values, rtol=1e-12, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in values))


def test_evaluation_has_no_noise(batch):
    loss = BLVLoss(COUNTS)
    loss.eval()
    torch.testing.assert_close(loss(*batch), cross_entropy(*batch))
    assert loss.count.calls == 0


def test_cityscapes_weights_are_those_worked_out():
    """methods: w of all 19 classes, from the true pixel counts, to two digits."""
    expected = {
        "road": 0.14, "building": 0.21, "vegetation": 0.27, "car": 0.38, "sidewalk": 0.40, "sky": 0.46,
        "pole": 0.64, "person": 0.64, "terrain": 0.64, "fence": 0.68, "wall": 0.73, "traffic sign": 0.75,
        "bicycle": 0.79, "truck": 0.86, "bus": 0.87, "train": 0.88, "traffic light": 0.89, "rider": 0.95,
        "motorcycle": 1.0,
    }  # fmt: skip
    statistics = load_statistics("cityscapes")
    w = dict(zip(statistics.names, rarity(class_counts(statistics)).tolist(), strict=True))
    assert w == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    ("coefficient", "c"),
    [
        ("formula", [math.log(950) - math.log(q) for q in COUNTS]),
        ("listing", [math.log(950 - math.log(q)) for q in COUNTS]),
        ("release", [math.log(900) - math.log(q) for q in COUNTS]),
        ("ones", [1.0] * 4),
        ("mean", [sum(W) / 4] * 4),
    ],
)
def test_coefficients(coefficient, c):
    top = 1.0 if coefficient == "mean" else max(c)
    assert BLVLoss(COUNTS, coefficient=coefficient).coefficients().tolist() == pytest.approx(
        [value / top for value in c], rel=1e-12
    )


def test_the_listings_coefficient_tells_no_class_from_another():
    w = rarity(class_counts(load_statistics("cityscapes")), "listing")
    assert 1 - w.min() < 5e-10


def test_a_class_never_seen_is_the_rarest_and_out_of_the_maximum():
    w = rarity(torch.tensor([900.0, 0.0, 40.0], dtype=torch.float64))
    assert w.tolist() == pytest.approx([math.log(940 / 900) / math.log(940 / 40), 1, 1])


SAMPLE = 200_000


def drawn(**options):
    return draw_noise(torch.empty(SAMPLE), torch.Generator().manual_seed(0), **options)


@pytest.mark.parametrize(
    ("sigma", "ones", "mean", "deviation"),
    [(3, 0.740, 0.869, 0.266), (4, 0.804, 0.901, 0.237), (5, 0.842, 0.921, 0.216), (6, 0.868, 0.934, 0.199)],
)
def test_how_far_the_gaussian_saturates(sigma, ones, mean, deviation):
    noise = drawn(sigma=sigma)
    assert (noise == 1).float().mean().item() == pytest.approx(ones, abs=0.003)
    assert noise.std().item() == pytest.approx(deviation, abs=0.003)
    assert noise_mean("gaussian", sigma) == pytest.approx(mean, abs=0.001)


def test_the_listing_has_zeros_for_half():
    noise = drawn(order="listing")
    assert (noise == 0).float().mean().item() == pytest.approx(0.5, abs=0.004)
    assert noise_mean("gaussian", 6, "listing") == pytest.approx(0.467, abs=0.0006)


@pytest.mark.parametrize("variation", ["gaussian", "uniform", "beta", "exponential", "constant", "mean"])
@pytest.mark.parametrize("order", ["formula", "listing"])
def test_means_of_the_variations(variation, order):
    noise = drawn(variation=variation, order=order)
    assert noise.min() >= 0
    assert noise.max() <= 1
    expected = noise_mean(variation, order=order)
    assert noise.double().mean().item() == pytest.approx(expected, abs=4 * 0.5 / SAMPLE**0.5 + 1e-6)


@pytest.mark.parametrize(
    ("variation", "distribution"),
    [
        ("gaussian", lambda x: math.erf(x / (6 * math.sqrt(2)))),
        ("uniform", lambda x: x),
        ("beta", lambda x: 2 / math.pi * math.asin(math.sqrt(x))),
        ("exponential", lambda x: -math.expm1(-x)),
    ],
)
def test_distributions_of_the_variations(variation, distribution):
    noise = drawn(variation=variation)
    for x in (0.05, 0.3, 0.5, 0.8, 0.99):
        assert (noise <= x).double().mean().item() == pytest.approx(distribution(x), abs=2 / SAMPLE**0.5)


@pytest.mark.parametrize("variation", ["gaussian", "uniform", "beta", "exponential", "constant"])
def test_variations_of_one_mean(variation):
    """A fair comparison of variations: the coefficients are scaled, not the draws."""
    loss = BLVLoss(COUNTS, variation=variation, common_mean=0.5, seed=0)
    logits, rows = torch.zeros(1, 4, 40_000), torch.zeros(1, 40_000, dtype=torch.long)
    assert loss.noise(logits, rows)[:, 3].mean().item() == pytest.approx(0.5, abs=0.01)


def test_what_shares_a_draw():
    logits, rows = torch.zeros(2, 4, 30), torch.zeros(2, 30, dtype=torch.long)
    weights = torch.tensor(W)[:, None]
    every, pixel, classes = (
        BLVLoss(COUNTS, sigma=1.0, draws=draws, seed=0).noise(logits, rows) / weights
        for draws in ("pixel_class", "pixel", "class")
    )
    assert every.unique().numel() > 100
    torch.testing.assert_close(pixel, pixel[:, :1].expand_as(pixel))
    assert pixel.std(2).min() > 0.1
    torch.testing.assert_close(classes, classes[:1, :, :1].expand_as(classes))
    assert classes[0].std() > 0


@pytest.mark.parametrize(
    ("schedule", "sigmas"),
    [
        ("constant", [6, 6, 6, 6, 6]),
        ("linear", [0, 3, 6, 3, 0]),
        ("cosine", [0, 3, 6, 3, 0]),
    ],
)
def test_sigma_over_the_steps(schedule, sigmas):
    loss = BLVLoss(COUNTS, schedule=schedule)
    assert [loss.sigma_at(t) for t in (0, 15_000, 30_000, 35_000, 40_000)] == pytest.approx(sigmas)
    assert loss.sigma_at(50_000) == (6 if schedule == "constant" else 0)
    quarter = {"constant": 6, "linear": 1.5, "cosine": 6 * (1 - math.cos(math.pi / 4)) / 2}[schedule]
    assert loss.sigma_at(7_500) == pytest.approx(quarter)


def test_noise_follows_the_schedule():
    loss = BLVLoss(COUNTS, schedule="linear", seed=0)
    logits, rows = torch.zeros(1, 4, 5000), torch.zeros(1, 5000, dtype=torch.long)
    ones = []
    for step in (0, 15_000, 30_000, 39_999):
        loss.at_step(step)
        ones.append((loss.noise(logits, rows)[:, 3] == 1).double().mean().item())
    expected = [0, *(math.erfc(1 / (s * math.sqrt(2))) for s in (3, 6, 6e-4))]
    assert ones == pytest.approx(expected, abs=0.03)


def test_draws_differ_from_call_to_call_and_not_by_the_global_generator(batch):
    logits, target = batch

    def values(scramble):
        loss = BLVLoss(COUNTS, sigma=1.0, seed=5)
        for _ in range(3):
            torch.randn(scramble)
            yield loss(logits, target).item()

    first, second = list(values(0)), list(values(7))
    assert first == second
    assert len(set(first)) == 3


def test_the_seed_follows_the_global_generator_where_none_is_given(batch):
    logits, target = batch
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(BLVLoss(COUNTS, sigma=1.0)(logits, target).item())
    assert values[0] == values[1] != values[2]


def test_a_resumed_training_draws_what_one_without_a_stop_would(batch, tmp_path):
    logits, target = batch
    options = {"sigma": 2.0, "schedule": "linear", "peak_step": 4, "last_step": 8}
    loss = BLVLoss(COUNTS, **options)
    values = []
    for step in range(6):
        if step == 3:
            torch.save(loss.state_dict(), tmp_path / "loss.pt")
        values.append(loss(logits, target).item())
    torch.manual_seed(99)
    resumed = BLVLoss(COUNTS, **options)
    resumed.load_state_dict(torch.load(tmp_path / "loss.pt", weights_only=True))
    assert [resumed(logits, target).item() for _ in range(3)] == values[3:]


def test_half_precision_and_double_meet_the_same_noise(batch):
    logits, target = batch
    values = [Fresh(COUNTS, seed=0)(logits.bfloat16().to(dtype), target).item() for dtype in
              (torch.bfloat16, torch.float32, torch.float64)]  # fmt: skip
    assert values == pytest.approx([values[2]] * 3, rel=1e-6)


def test_noise_does_not_depend_on_threads():
    logits, target = streets(1, 4, 300, 300, seed=0)
    before = torch.get_num_threads()
    try:
        values = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            values.append(BLVLoss(COUNTS, seed=0).noise(logits.flatten(2), flat(target)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*values)


def test_large_batches_go_strip_by_strip(monkeypatch, batch):
    """Strips that are shorter draw other noise, and nothing else changes."""
    logits, target = batch
    monkeypatch.setattr("aucseg.functional.logits.STRIP_MIN_PIXELS", 5)
    monkeypatch.setattr("aucseg.functional.logits.STRIP_SCORES_CPU", 1)
    loss = BLVLoss(COUNTS, sigma=2.0, seed=1)
    noise = loss.noise(logits.flatten(2), flat(target))
    expected = F.cross_entropy(logits + noise.view_as(logits), target, ignore_index=255)
    found = loss(logits, target)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(v, logits)[0] for v in (found, expected)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -1}, "sigma must be a number of at least 0, got -1"),
        ({"variation": "laplace"}, "unknown variation 'laplace'; use one of 'gaussian', 'uniform'"),
        ({"order": "clip"}, "unknown order 'clip'; use one of 'formula', 'listing'"),
        ({"coefficient": "log"}, "unknown coefficient 'log'"),
        ({"draws": "image"}, "unknown draws 'image'; use one of 'pixel_class', 'pixel', 'class'"),
        ({"schedule": "step"}, "unknown schedule 'step'"),
        ({"schedule": "linear", "variation": "beta"}, "of sigma, which variation 'beta' does not have"),
        ({"peak_step": 5, "last_step": 5}, "0 < peak_step < last_step, got 5 and 5"),
        ({"common_mean": -1}, "common_mean must be a number of at least 0"),
        ({"common_mean": 0.5, "sigma": 0}, "cannot be reached with sigma=0"),
        ({"seed": -1}, "seed must be an int from 0 to"),
        ({"seed": 1.5}, "seed must be an int from 0 to"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        BLVLoss(COUNTS, **options)


def test_repr_names_the_reading():
    assert "sigma=4.0, variation='beta', order='formula'" in repr(BLVLoss(COUNTS, sigma=4, variation="beta"))
