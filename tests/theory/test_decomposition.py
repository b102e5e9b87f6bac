"""Lemma 4 against loops over every pair of pixels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.theory import split_pairs

few = settings(max_examples=40, deadline=None)


def draw(seed: int, images: int, pixels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (images, pixels))
    labels[0, 0], labels[-1, -1] = 1, 0
    return rng.random((images, pixels)), labels


maps = st.tuples(st.integers(0, 999), st.integers(2, 5), st.integers(2, 6), st.integers(2, 4))


@few
@given(maps)
def test_against_loops_over_pairs(shape: tuple[int, int, int, int]) -> None:
    scores, labels = draw(*shape)
    places = list(np.ndindex(labels.shape))
    pairs = [(m, n) for m, n in itertools.product(places, places) if labels[m] == 1 and labels[n] == 0]
    size = len(scores)
    losses = {pair: (1 - (scores[pair[0]] - scores[pair[1]])) ** 2 for pair in pairs}
    found = split_pairs(scores, labels, 1, 0)
    assert found.whole == pytest.approx(sum(losses.values()) / len(pairs))
    for image in range(size):
        inside = sum(loss for (m, n), loss in losses.items() if m[0] == n[0] == image)
        assert found.inner_losses[image] == pytest.approx(size * inside / len(pairs))
    for first, second in itertools.permutations(range(size), 2):
        between = sum(loss for (m, n), loss in losses.items() if (m[0], n[0]) == (first, second))
        expected = size * (size - 1) * between / len(pairs)
        assert found.inter_losses[first, second] == pytest.approx(expected)
    # the weights of Lemma 5: how many of all pairs lie in an image, times N
    counts = {i: sum(m[0] == n[0] == i for m, n in pairs) for i in range(size)}
    assert found.rho_inner == pytest.approx(size * max(counts.values()) / len(pairs))


@few
@given(maps)
def test_the_parts_are_the_whole(shape: tuple[int, int, int, int]) -> None:
    scores, labels = draw(*shape)
    found = split_pairs(scores, labels, 1, 0)
    assert found.inner + found.inter == pytest.approx(found.whole, rel=1e-12)
    n = len(scores)
    assert found.printed == pytest.approx(found.inner / n + found.inter / (n * (n - 1)))
    assert found.printed < found.whole
    # range of the weighted losses, which Lemma 7 asks for: at most 4 rho
    assert found.inner_losses.max() <= 4 * found.rho_inner + 1e-12
    assert np.nanmax(found.inter_losses) <= 4 * found.rho_inter + 1e-12


@few
@given(maps)
def test_weights_are_at_most_tau(shape: tuple[int, int, int, int]) -> None:
    """At most tau / N for an image, tau (1 - 1/N) for two images; tau of these two classes."""
    scores, labels = draw(*shape)
    counts = np.array([(labels == c).sum(1) for c in (1, 0)])
    tau = float((counts.max(1) / counts.mean(1)).max() ** 2)
    found = split_pairs(scores, labels, 1, 0)
    n = len(scores)
    assert found.rho_inner <= tau / n + 1e-12
    assert found.rho_inter <= tau * (1 - 1 / n) + 1e-12


def test_bad_input_is_refused_in_words() -> None:
    scores, labels = draw(0, 2, 3, 2)
    with pytest.raises(ValueError, match="class 7 has no pixel"):
        split_pairs(scores, labels, 7, 0)
    with pytest.raises(ValueError, match="got 1 twice"):
        split_pairs(scores, labels, 1, 1)
    with pytest.raises(ValueError, match="at least 2 images"):
        split_pairs(scores[:1], labels[:1], 1, 0)
    with pytest.raises(ValueError, match="finite"):
        split_pairs(scores * np.nan, labels, 1, 0)
