"""Proposition 1 against brute force: all batches of a tiny set, all sets of classes, whole-number powers."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.longtail import load_statistics
from aucseg.theory import (
    all_present_probability,
    batch_sizes,
    batch_sizes_of_set,
    minimum_batch_size,
    miss_probability,
    necessary_batch_size,
    proposition1,
)

few = settings(max_examples=40, deadline=None)
shares = st.lists(st.floats(0.02, 1), min_size=2, max_size=6)


@few
@given(k=st.integers(2, 200), percent=st.integers(1, 99), per_mille=st.integers(5, 1000))
def test_minimum_is_the_smallest_by_exact_arithmetic(k: int, percent: int, per_mille: int) -> None:
    miss, limit = 1 - Fraction(per_mille, 1000), Fraction(percent, 100)
    size = minimum_batch_size(k, percent / 100, per_mille / 1000)
    assert k * miss**size <= limit
    assert size == 1 or k * miss ** (size - 1) > limit
    alone = necessary_batch_size(percent / 100, per_mille / 1000)
    assert miss**alone <= limit
    assert alone == 1 or miss ** (alone - 1) > limit


def test_the_formula_is_rounded_up() -> None:
    shares = np.array([0.001, 0.01, 142 / 2975, 0.5, 1])
    for k in (2, 19, 150):
        found = proposition1(k, 0.01, shares)
        assert found.shape == (5,)
        assert [minimum_batch_size(k, 0.01, float(p)) for p in shares] == [
            max(1, math.ceil(b)) for b in found
        ]
    alone = proposition1(1, 0.01, 0.01)
    assert necessary_batch_size(0.01, 0.01) == math.ceil(alone) == 459
    assert proposition1(19, 0.01, 0.01) == pytest.approx(math.log(0.01 / 19) / math.log(0.99))


def test_a_sufficient_batch_suffices_in_a_simulation() -> None:
    rng, k, p = np.random.default_rng(0), 5, 0.2
    held = rng.random((4_000, minimum_batch_size(k, 0.1, p), k)) < p
    failure = 1 - held.any(axis=1).all(axis=1).mean()
    assert 0.02 < failure <= 0.1  # a bound, but not a loose one


@pytest.mark.parametrize(
    ("k", "delta", "p", "size"), [(100, 0.01, 0.99, 2), (10, 0.1, 0.9, 2), (2, 0.5, 0.5, 2)]
)
def test_ties_count_as_reached(k: int, delta: float, p: float, size: int) -> None:
    """K (1 - p)^B equals delta in decimals; in binary floating point it does not."""
    assert minimum_batch_size(k, delta, p) == size


def test_tiny_and_certain_probabilities() -> None:
    assert minimum_batch_size(19, 0.01, 1.0) == 1
    size = minimum_batch_size(19, 0.01, 1e-12)
    assert size == pytest.approx(math.log(1900) * 1e12, rel=1e-9)
    assert minimum_batch_size(2, 0.01, 1e-300) == pytest.approx(math.log(200) * 1e300, rel=1e-9)


@few
@given(probabilities=shares, delta=st.floats(0.005, 0.9))
def test_the_four_sizes_are_ordered_and_smallest(probabilities: list[float], delta: float) -> None:
    sizes = batch_sizes(probabilities, delta)
    assert sizes.necessary <= sizes.independent <= sizes.union <= sizes.sufficient
    p = np.array(probabilities)

    def together(size: int) -> float:
        return float(np.prod(1 - (1 - p) ** size))

    assert together(sizes.independent) >= 1 - delta - 1e-12
    assert sizes.independent == 1 or together(sizes.independent - 1) < 1 - delta + 1e-12
    assert ((1 - p) ** sizes.union).sum() <= delta + 1e-12
    assert sizes.union == 1 or ((1 - p) ** (sizes.union - 1)).sum() > delta - 1e-12


@few
@given(probabilities=st.lists(st.floats(0.05, 0.95), min_size=2, max_size=3), size=st.integers(1, 3))
def test_independent_classes_by_listing_all_batches(probabilities: list[float], size: int) -> None:
    total = 0.0
    for held in itertools.product((False, True), repeat=len(probabilities) * size):
        batch = np.reshape(held, (size, -1))
        chance = np.where(batch, probabilities, 1 - np.array(probabilities)).prod()
        total += float(chance) if batch.any(0).all() else 0.0
    assert all_present_probability(probabilities, size) == pytest.approx(total, abs=1e-12)


@few
@given(st.data())
def test_without_replacement_by_exact_arithmetic(data: st.DataObject) -> None:
    total = data.draw(st.integers(2, 30))
    images = data.draw(st.lists(st.integers(1, total), min_size=2, max_size=5))
    delta = data.draw(st.integers(1, 99)) / 100  # many are the probability itself: ties count as reached
    sizes = batch_sizes_of_set(images, total, delta)

    def miss(size: int) -> list[Fraction]:
        return [Fraction(math.comb(total - n, size), math.comb(total, size)) for n in images]

    limit = Fraction(repr(delta))
    reached = {
        "necessary": lambda m: max(m) <= limit,
        "independent": lambda m: math.prod(1 - x for x in m) >= 1 - limit,
        "union": lambda m: sum(m) <= limit,
        "sufficient": lambda m: len(m) * max(m) <= limit,
    }
    for name, enough in reached.items():
        expected = next(size for size in range(total + 1) if enough(miss(size)))
        assert getattr(sizes, name) == expected, name


@pytest.mark.parametrize(
    ("images", "total", "delta", "size"),
    [(1, 200, 0.005, 199), (1, 10, 0.1, 9), (1, 5, 0.6, 2), (2, 5, 0.3, 2), (1, 100, 0.01, 99)],
)
def test_ties_without_replacement(images: int, total: int, delta: float, size: int) -> None:
    """(N - B) / N equals delta for one image; floating point alone would ask for one image more."""
    found = batch_sizes_of_set([images, total], total, delta)
    assert (found.necessary, found.independent, found.union) == (size, size, size)


@few
@given(
    tenths=st.lists(st.integers(1, 10), min_size=2, max_size=4),
    percent=st.integers(1, 99),
    scale=st.booleans(),
)
def test_independent_draws_by_exact_arithmetic(tenths: list[int], percent: int, scale: bool) -> None:
    """Decimals whose sums and products equal delta now and then; with ``scale`` all are a tenth as large."""
    base = 100 if scale else 10
    sizes = batch_sizes([t / base for t in tenths], percent / 100)
    misses, limit = [1 - Fraction(t, base) for t in tenths], Fraction(percent, 100)
    reached = {
        "necessary": lambda b: max(misses) ** b <= limit,
        "independent": lambda b: math.prod(1 - m**b for m in misses) >= 1 - limit,
        "union": lambda b: sum(m**b for m in misses) <= limit,
        "sufficient": lambda b: len(misses) * max(misses) ** b <= limit,
    }
    for name, enough in reached.items():
        assert getattr(sizes, name) == next(b for b in itertools.count(1) if enough(b)), name


@few
@given(st.data())
def test_miss_probability_by_whole_numbers(data: st.DataObject) -> None:
    """To the ten digits that the smallest sizes rely on, and exact where nothing is left to chance."""
    total = data.draw(st.sampled_from([1, 7, 2_975, 118_287]))
    images = data.draw(st.lists(st.integers(0, total), min_size=1, max_size=4))
    size = data.draw(st.integers(0, total))
    expected = []
    for n in images:  # the smaller of both as factors, so that the product is short
        few, many = sorted((n, size))
        parts = [(total - many - i, total - i) for i in range(min(few, 400))]
        expected.append(math.prod((Fraction(max(a, 0), b) for a, b in parts), start=Fraction(1)))
    found = miss_probability(images, total, size)
    for value, n, chance in zip(found, images, expected, strict=True):
        if min(n, size) <= 400:
            assert value == pytest.approx(float(chance), rel=1e-10, abs=1e-300)
        assert value == {0: 1.0, total: float(size == 0)}.get(n, value)
    assert (miss_probability(images, total, 0) == 1).all()


def test_a_batch_of_all_images_is_always_enough() -> None:
    assert batch_sizes_of_set([1, 1], 7, 1e-9).sufficient == 7


@pytest.mark.parametrize(
    ("name", "printed", "needed", "of_set"),
    [("cityscapes", 155, 95, 93), ("ade20k", 4736, 2268, 2146), ("coco_stuff", 9524, 4500, 4416)],
)
def test_sizes_of_the_three_data_sets(name: str, printed: int, needed: int, of_set: int) -> None:
    """From Tables 5 to 7; drawing without replacement needs fewer."""
    known = load_statistics(name)
    drawn = batch_sizes(known.image_share, 0.01)
    assert (drawn.sufficient, drawn.necessary) == (printed, needed)
    limited = batch_sizes_of_set(known.images, known.num_images, 0.01)
    assert limited.necessary == of_set
    assert limited.sufficient < drawn.sufficient


@pytest.mark.parametrize("delta", [0, 1, -0.1, 1.5, math.nan])
def test_delta_outside_its_range(delta: float) -> None:
    with pytest.raises(ValueError, match="delta is"):
        minimum_batch_size(19, delta, 0.1)
    with pytest.raises(ValueError, match="delta is"):
        batch_sizes([0.5, 0.5], delta)
    with pytest.raises(ValueError, match="delta is"):
        batch_sizes_of_set([1, 2], 4, delta)


def test_a_class_that_never_occurs_makes_the_batch_infinite() -> None:
    for call in (
        lambda: minimum_batch_size(19, 0.01, 0),
        lambda: necessary_batch_size(0.01, 0),
        lambda: batch_sizes([0.5, 0.0], 0.01),
        lambda: batch_sizes_of_set([3, 0], 4, 0.01),
        lambda: all_present_probability([0.5, 0.0], 3),
    ):
        with pytest.raises(ValueError, match="never occurs makes the batch size infinite"):
            call()


def test_other_bad_input_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="num_classes is 1; it must be at least 2"):
        minimum_batch_size(1, 0.01, 0.1)
    with pytest.raises(ValueError, match=r"num_classes is 2\.5; it must be a whole number"):
        minimum_batch_size(2.5, 0.01, 0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"probability is 1\.2 at \[1\]"):
        batch_sizes([0.5, 1.2], 0.01)
    with pytest.raises(ValueError, match="number of classes is 1"):
        batch_sizes([0.5], 0.01)
    with pytest.raises(ValueError, match="in 9 of 4 images"):
        batch_sizes_of_set([9, 1], 4, 0.01)
    with pytest.raises(ValueError, match="num_images is 1"):
        batch_sizes_of_set([1, 1], 1, 0.01)
    with pytest.raises(ValueError, match=r"shape \(classes,\)"):
        batch_sizes([[0.5, 0.5]], 0.01)
    with pytest.raises(ValueError, match="batch_size must be from 0 to the 3 images"):
        miss_probability([1], 3, 4)
