"""The smallest batch from a presence matrix: all batches of tiny sets, and the simulation against them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.longtail import load_statistics
from aucseg.theory import (
    CoverageTimes,
    batch_sizes_of_set,
    coverage_probability,
    exact_batch_size,
    missing_distribution,
    simulate_coverage,
)


def draw_matrix(seed: int, images: int, classes: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    presence = rng.random((images, classes)) < rng.uniform(0.1, 0.7, classes)
    presence[rng.integers(images, size=classes), np.arange(classes)] = True
    return presence


def complete(presence: np.ndarray, size: int, replacement: bool) -> float:
    """Share of all batches that hold every class."""
    rows = range(len(presence))
    batches = itertools.product(rows, repeat=size) if replacement else itertools.combinations(rows, size)
    return float(np.mean([presence[list(batch)].any(0).all() for batch in batches]))


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 999),
    images=st.integers(2, 5),
    classes=st.integers(2, 4),
    percent=st.integers(3, 60),
    replacement=st.booleans(),
)
def test_exact_size_against_all_batches(
    seed: int, images: int, classes: int, percent: int, replacement: bool
) -> None:
    presence = draw_matrix(seed, images, classes)
    delta = percent / 100 + 0.0033
    size = exact_batch_size(presence, delta, replacement=replacement)
    if size > 5:  # with replacement the list of batches grows too long to go through
        assert coverage_probability(presence, size - 1, replacement=True) < 1 - delta
        return
    assert complete(presence, size, replacement) >= 1 - delta
    assert size == 1 or complete(presence, size - 1, replacement) < 1 - delta


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), images=st.integers(2, 4), classes=st.integers(2, 3), size=st.integers(1, 3))
def test_distribution_with_replacement(seed: int, images: int, classes: int, size: int) -> None:
    presence = draw_matrix(seed, images, classes)
    found = missing_distribution(presence, size, replacement=True)
    missing = [
        (~presence[list(batch)].any(0)).sum() for batch in itertools.product(range(images), repeat=size)
    ]
    assert found == pytest.approx(np.bincount(missing, minlength=classes + 1) / len(missing))


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 999),
    images=st.integers(3, 5),
    classes=st.integers(2, 4),
    size=st.integers(1, 3),
    replacement=st.booleans(),
)
def test_probability_against_all_batches(
    seed: int, images: int, classes: int, size: int, replacement: bool
) -> None:
    presence = draw_matrix(seed, images, classes)
    found = coverage_probability(presence, size, replacement=replacement)
    assert found == pytest.approx(complete(presence, size, replacement), abs=1e-15)


def test_classes_in_every_image_and_in_none() -> None:
    """The first are never missing, however many they are; the second always."""
    presence = np.zeros((4, 40), bool)
    presence[:, 2:] = presence[1, 1] = True
    found = missing_distribution(presence, 2)
    assert found.shape == (41,)
    assert found[:3] == pytest.approx([0, 0.5, 0.5])  # one image of four holds the second class
    assert not found[3:].any()


def test_probability_at_the_exact_size() -> None:
    presence = load_statistics("cityscapes").presence
    assert presence is not None
    assert coverage_probability(presence, 93) >= 0.99 > coverage_probability(presence, 92)
    assert coverage_probability(presence, 95, replacement=True) >= 0.99
    assert coverage_probability(presence, 94, replacement=True) < 0.99
    assert coverage_probability(presence, len(presence)) == 1


@pytest.mark.parametrize("replacement", [False, True])
def test_simulation_agrees_with_the_exact_size(replacement: bool) -> None:
    presence = draw_matrix(5, 40, 6)
    times = simulate_coverage(presence, draws=4000, seed=1, replacement=replacement)
    for size in (5, 10, 20):
        exact = coverage_probability(presence, size, replacement=replacement)
        assert times.probability(size) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4000))
    found = times.batch_size(0.05)
    assert found.low <= exact_batch_size(presence, 0.05, replacement=replacement) <= found.high
    assert found.low <= found.value <= found.high


def test_interval_covers_as_often_as_it_says() -> None:
    """Of 200 simulations with few draws each, about 95 in 100 intervals hold the exact size."""
    presence = draw_matrix(8, 12, 4)
    exact = exact_batch_size(presence, 0.2)
    hits = 0
    for seed in range(200):
        found = simulate_coverage(presence, draws=60, seed=seed).batch_size(0.2)
        hits += found.low <= exact <= found.high
    assert (
        hits >= 180
    )  # at 95 % fewer than 181 of 200 come about once in 160 times; sizes are whole, so more hit


def test_a_rare_class_needs_several_blocks_of_images() -> None:
    presence = np.zeros((400, 2), bool)
    presence[:, 0] = presence[7, 1] = True
    times = simulate_coverage(presence, draws=3000, seed=0)
    assert times.times.min() >= 1
    assert times.times.max() <= 400
    assert times.times.mean() == pytest.approx(200.5, abs=8)  # the place of one image among 400
    again = simulate_coverage(presence, draws=2000, seed=0, replacement=True)
    assert again.times.mean() == pytest.approx(400, abs=40)  # geometric


def test_cityscapes() -> None:
    known = load_statistics("cityscapes")
    assert known.presence is not None
    assert exact_batch_size(known.presence, 0.01) == 93
    assert exact_batch_size(known.presence, 0.01, replacement=True) == 95
    sizes = batch_sizes_of_set(known.images, known.num_images, 0.01)
    assert sizes.necessary <= 93 <= sizes.union


def test_crops_are_rows_like_images() -> None:
    crops = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    assert exact_batch_size(crops, 0.4) == 2  # two of four miss a class in one of three batches
    assert exact_batch_size(crops, 0.3) == 3


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"classes \[1\] are in no image: .* batch size infinite"):
        exact_batch_size([[1, 0], [1, 0]], 0.01)
    with pytest.raises(ValueError, match=r"classes \[1\] are in no image"):
        simulate_coverage([[1, 0], [1, 0]])
    with pytest.raises(ValueError, match=r"shape \(images, classes\)"):
        exact_batch_size([1, 0], 0.01)
    with pytest.raises(ValueError, match="pixel counts"):
        exact_batch_size([[3, 1], [1, 1]], 0.01)
    with pytest.raises(ValueError, match="at least 2 images"):
        exact_batch_size([[1, 1]], 0.01)
    with pytest.raises(ValueError, match="got 21; use simulate_coverage"):
        exact_batch_size(np.eye(21), 0.01)
    with pytest.raises(ValueError, match="delta is 0"):
        exact_batch_size(np.eye(2), 0)
    with pytest.raises(ValueError, match="batch_size is 3; without replacement a batch has at most 2"):
        coverage_probability(np.eye(2), 3)
    with pytest.raises(ValueError, match="batch_size is 0"):
        coverage_probability(np.eye(2), 0)
    with pytest.raises(ValueError, match="got 21; use simulate_coverage"):
        coverage_probability(np.eye(21), 2)
    with pytest.raises(ValueError, match=r"classes \[1\] are in no image"):
        coverage_probability([[1, 0], [1, 0]], 1)
    with pytest.raises(ValueError, match="draws is 0"):
        simulate_coverage(np.eye(2), draws=0)
    with pytest.raises(ValueError, match="10 draws are too few"):
        simulate_coverage(np.eye(2), draws=10).batch_size(0.01)
    with pytest.raises(ValueError, match="confidence must be"):
        CoverageTimes(np.arange(1, 100), 200, False).batch_size(0.5, confidence=1)
    with pytest.raises(ValueError, match=r"shape \(images, classes\)"):
        missing_distribution([1, 0], 1)
