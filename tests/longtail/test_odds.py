"""The odds of a batch: every closed form against all batches of a tiny data set, or against simulation."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.longtail import Tally, load_statistics
from aucseg.longtail.odds import (
    BankModel,
    batch_odds,
    mean_product,
    missing_beside,
    simulate_missing,
    stored_after,
    wilson,
)
from aucseg.theory import miss_probability, missing_distribution
from tests.longtail.tallies import sums as make_sums


def make(presence: np.ndarray, tail: tuple[int, ...] = ()) -> Tally:
    k = presence.shape[1]
    groups = tuple("tail" if i in tail else "head" for i in range(k))
    names = tuple(f"c{i}" for i in range(k))
    images = presence.sum(0)
    return make_sums(names, groups, images * 10, images, len(presence), presence)


def draw_matrix(seed: int, images: int, classes: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    presence = rng.random((images, classes)) < rng.uniform(0.1, 0.7, classes)
    presence[rng.integers(images, size=classes), np.arange(classes)] = True
    return presence


def batches(presence: np.ndarray, size: int) -> np.ndarray:
    """All batches without replacement, (number, size, K)."""
    return presence[list(itertools.combinations(range(len(presence)), size))]


cases = given(seed=st.integers(0, 999), images=st.integers(2, 8), classes=st.integers(2, 5), data=st.data())
few = settings(max_examples=25, deadline=None)


@cases
@few
def test_without_bank_against_all_batches(seed: int, images: int, classes: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, images))
    presence = draw_matrix(seed, images, classes)
    missing = ~batches(presence, size).any(1)
    odds = batch_odds(make(presence), size)
    assert odds.missing == pytest.approx(missing.mean(0), abs=1e-12)
    assert odds.expected_missing == pytest.approx(missing.sum(1).mean(), abs=1e-12)
    assert odds.all_present.method == "exact"
    assert odds.all_present.value == pytest.approx((~missing).all(1).mean(), abs=1e-12)
    counts = np.bincount(missing.sum(1), minlength=classes + 1) / len(missing)
    assert missing_distribution(presence, size) == pytest.approx(counts, abs=1e-12)


def stays_missing(batch: np.ndarray, tail: list[int], c: int, bank: BankModel) -> Fraction:
    """By all draws of a batch (B, K): the probability that no draw gives class c, which the batch misses."""
    units = [[t for t in tail if not row[t]] for row in batch]
    if bank.scope == "batch":
        units = [[t for t in tail if not batch[:, t].any()]]
    chance = Fraction(1)
    for lost in units:
        count = math.ceil(Fraction(len(lost)) * Fraction(bank.sample_ratio).limit_denominator(1000))
        sets = list(itertools.combinations(lost, count))
        chance *= Fraction(sum(c not in s for s in sets), len(sets))
    return chance


@cases
@few
def test_bank_by_images_against_all_batches_and_draws(
    seed: int, images: int, classes: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, min(3, images)))
    ratio = data.draw(st.sampled_from([0.05, 0.3, 0.5, 0.75, 1.0]))
    stored = data.draw(st.sampled_from([0.0, 0.4, 1.0]))
    presence = draw_matrix(seed, images, classes)
    tail = list(range(1, classes))
    bank = BankModel(ratio, stored=stored)
    odds = batch_odds(make(presence, tuple(tail)), size, bank=bank, draws=10)
    each = batches(presence, size)
    for c in range(classes):
        wanted = 0.0
        for batch in each[~each.any(1)[:, c]]:
            kept = float(stays_missing(batch, tail, c, bank)) if c in tail else 1.0
            wanted += (1 - stored + stored * kept if c in tail else 1.0) / len(each)
        assert odds.missing[c] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("scope", ["image", "batch"])
def test_simulated_bank_agrees_with_all_draws(scope: str) -> None:
    presence = draw_matrix(5, 7, 5)
    tail, bank = [1, 2, 4], BankModel(0.4, scope, stored=(1.0, 0.5, 1.0))
    stored = dict(zip(tail, (1.0, 0.5, 1.0), strict=True))
    each = batches(presence, 2)
    wanted = np.zeros(5)
    for batch in each:
        for c in np.flatnonzero(~batch.any(0)):
            kept = float(stays_missing(batch, tail, c, bank)) if c in tail else 1.0
            wanted[c] += (1 - stored.get(c, 0) * (1 - kept)) / len(each)
    bank = BankModel(0.4, scope, tail=tuple(tail), stored=(1.0, 0.5, 1.0))
    found = simulate_missing(
        presence, 2, 20_000, 1, bank=bank, tail=tuple(tail), stored=np.array([1, 0.5, 1])
    ).mean(0)
    assert found == pytest.approx(wanted, abs=4 * 0.5 / math.sqrt(20_000))


def test_joint_odds_with_bank_by_all_draws() -> None:
    """Two tail classes, one drawn for each image: the draws exclude each other, which no product shows."""
    presence = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0]], bool)
    odds = batch_odds(make(presence, (1, 2)), 2, bank=BankModel(0.5), draws=20_000)
    # pairs of images: 00 needs two different draws (1/2); 0 with 1 or 2, four pairs: the image with class 1
    # misses only class 2 and draws it; 1 with 2: complete
    wanted = (0.5 + 4 * 1 + 1) / 6
    assert odds.all_present.method == "monte carlo"
    assert odds.all_present.low < wanted < odds.all_present.high


def test_independent_classes_against_simulation() -> None:
    share = np.array([0.9, 0.3, 0.15, 0.05])
    known = make(np.random.default_rng(0).random((4000, 4)) < share, (1, 2, 3))
    sums = make_sums(known.names, known.groups, known.pixels, known.images, 4000)
    for scope in ("image", "batch"):
        bank = BankModel(0.4, scope)
        wanted = batch_odds(known, 4, bank=bank, draws=6000)
        found = batch_odds(sums, 4, bank=bank)
        assert found.missing_method == "independent"
        assert found.missing == pytest.approx(wanted.missing, abs=0.03)
        assert found.all_present.value == pytest.approx(wanted.all_present.value, abs=0.04)
    plain, real = batch_odds(sums, 4), batch_odds(known, 4)
    assert plain.missing == real.missing
    assert plain.all_present.low <= real.all_present.value <= plain.all_present.high


def test_bounds_hold_however_classes_occur_together() -> None:
    """Nested image sets reach the upper bound, disjoint ones come near the lower."""
    nested = np.tri(10, 10, dtype=bool)[:, [9, 8, 6]]
    for presence in (nested, draw_matrix(3, 10, 4)):
        known = make(presence)
        sums = make_sums(known.names, known.groups, known.pixels, known.images, 10)
        for size in (1, 3, 6):
            bound, real = batch_odds(sums, size).all_present, batch_odds(known, size).all_present
            assert bound.low - 1e-12 <= real.value <= bound.high + 1e-12
    sums = make_sums(known.names[:3], ("head",) * 3, nested.sum(0), nested.sum(0), 10)
    assert batch_odds(make(nested), 2).all_present.value == pytest.approx(
        batch_odds(sums, 2).all_present.high
    )


def test_proposition_1_asks_for_752_not_759() -> None:
    """The paper's example: K = 19, delta = 0.01, min p = 0.01; images drawn independently."""

    def bound(size: int) -> float:
        return 1 - 19 * 0.99**size

    assert bound(751) < 0.99 <= bound(752)
    assert 0.99**458 > 0.01 >= 0.99**459  # the rarest class alone needs this many
    # and without replacement from a large set the lower bound of the odds is that bound
    images = np.full(19, 100_000)
    known = make_sums("abcdefghijklmnopqrs", ("tail",) * 19, images, images, 10_000_000)
    odds = batch_odds(known, 752).all_present
    assert odds.low == pytest.approx(bound(752), abs=1e-5)
    assert odds.low < odds.value == pytest.approx((1 - 0.99**752) ** 19, abs=1e-5)


def test_cityscapes_with_its_co_occurrence() -> None:
    known = load_statistics("cityscapes")
    assert known.presence is not None
    odds = batch_odds(known, 16)
    missing = simulate_missing(known.presence, 16, 4000, 3)
    estimate = wilson(int((~missing.any(1)).sum()), 4000)
    assert estimate.low - 0.01 < odds.all_present.value < estimate.high + 0.01
    assert missing_distribution(known.presence, 16) @ np.arange(20) == pytest.approx(odds.expected_missing)
    # every image that misses tail classes draws all of them: what may miss is not tail
    with_bank = batch_odds(known, 2, bank=BankModel(1.0))
    assert all(with_bank.missing[c] == 0 for c in known.tail)
    rest = [c for c in range(19) if c not in known.tail]
    assert with_bank.all_present == batch_odds(known, 2, classes=rest).all_present


def test_parts() -> None:
    assert miss_probability(np.array([0, 3, 5]), 5, 3) == pytest.approx([1, 0, 0])
    assert miss_probability(np.array([1]), 5, 3) == pytest.approx(math.comb(4, 3) / math.comb(5, 3))
    assert missing_beside([0.5, 0.5, 0.5]) == pytest.approx(np.array([1, 3, 3, 1]) / 8)
    weights = np.random.default_rng(0).random((6, 2))
    wanted = np.mean([weights[list(s)].prod(0) for s in itertools.combinations(range(6), 4)], axis=0)
    assert mean_product(weights, 4) == pytest.approx(wanted)
    assert (wilson(0, 50).low, wilson(50, 50).high) == (0.0, 1.0)
    assert wilson(5, 10).low == pytest.approx(0.2366, abs=1e-4)  # scipy's binomtest(5, 10), wilson
    assert stored_after(make(draw_matrix(0, 8, 3), (1, 2)), 2, 4) == (1.0, 1.0)
    first = stored_after(load_statistics("cityscapes"), 2, 1)
    assert first[0] == pytest.approx(1 - (2975 - 1658) * (2974 - 1658) / (2975 * 2974))


def test_ratio_in_binary_does_not_draw_one_more() -> None:
    assert BankModel(0.07).draws(100) == 7
    assert [BankModel(0.05).draws(m) for m in (0, 1, 20, 21)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be from 1 to the 4 images, got 0"),
        ({"batch_size": 5}, "without replacement"),
        ({"batch_size": 2, "classes": []}, "no class"),
        ({"batch_size": 2, "classes": [3]}, "class 3 is outside the classes 0 to 2"),
        ({"batch_size": 2, "classes": [1, 1]}, "given twice"),
        ({"batch_size": 2}, "'c2' is in no image: no batch of any size holds it"),
        ({"batch_size": 2, "classes": [0], "draws": 0}, "draws must be at least 1"),
    ],
)
def test_bad_input(options: dict[str, object], message: str) -> None:
    presence = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 0]], bool)
    with pytest.raises(ValueError, match=message):
        batch_odds(make(presence), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sample_ratio": 1.5}, "sample_ratio must be in"),
        ({"sample_ratio": 1, "scope": "epoch"}, "scope must be one of"),
        ({"sample_ratio": 1, "stored": 2.0}, "probabilities"),
        ({"sample_ratio": 1, "tail": (1, 2), "stored": (0.5,)}, "2 tail classes but 1"),
    ],
)
def test_bad_bank(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BankModel(**values)  # type: ignore[arg-type]


def test_too_many_classes_for_inclusion_exclusion() -> None:
    with pytest.raises(ValueError, match="at most 20 classes, got 21"):
        missing_distribution(np.eye(3, 21, dtype=bool), 2)
    wide = draw_matrix(0, 40, 24)
    odds = batch_odds(make(wide), 6, draws=500).all_present
    assert odds.method == "monte carlo"
    assert odds.low <= odds.value <= odds.high
