"""Graphs whose fractional chromatic number is known, and cliques against every set of vertices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.theory import fractional_chromatic_number
from aucseg.theory.graphs import maximal_cliques


def cycle(size: int) -> np.ndarray:
    ring = np.roll(np.eye(size, dtype=bool), 1, axis=1)
    return ring | ring.T


def kneser(n: int, k: int) -> np.ndarray:
    sets = [set(s) for s in itertools.combinations(range(n), k)]
    return np.array([[not a & b for b in sets] for a in sets])


@pytest.mark.parametrize(
    ("graph", "value"),
    [
        (cycle(5), 5 / 2),
        (cycle(7), 7 / 3),
        (cycle(6), 2),
        (~np.eye(4, dtype=bool), 4),
        (np.zeros((3, 3)), 1),
        (kneser(5, 2), 5 / 2),  # the Petersen graph; its chromatic number is 3
        (kneser(6, 2), 3),
        (np.zeros((1, 1)), 1),
    ],
)
def test_known_numbers(graph: np.ndarray, value: float) -> None:
    found = fractional_chromatic_number(graph)
    assert found.value == pytest.approx(value)
    assert found.weights.sum() == pytest.approx(value)
    cover = np.zeros(len(graph))
    for members, weight in zip(found.sets, found.weights, strict=True):
        assert not np.asarray(graph, bool)[np.ix_(members, members)].any()
        cover[list(members)] += weight
    assert (cover >= 1 - 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(0, 999))
def test_cliques_against_every_set(size: int, seed: int) -> None:
    upper = np.triu(np.random.default_rng(seed).random((size, size)) < 0.5, 1)
    graph = upper | upper.T
    cliques = [
        set(chosen)
        for count in range(1, size + 1)
        for chosen in itertools.combinations(range(size), count)
        if all(graph[a, b] for a, b in itertools.combinations(chosen, 2))
    ]
    largest = sorted(tuple(sorted(c)) for c in cliques if not any(c < other for other in cliques))
    assert maximal_cliques(graph) == largest


def test_bad_input_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for graph in (np.eye(3), np.triu(np.ones((3, 3)), 1)):
        with pytest.raises(ValueError, match="symmetric, and False between a vertex and itself"):
            fractional_chromatic_number(graph)
    with pytest.raises(ValueError, match=r"shape \(vertices, vertices\)"):
        fractional_chromatic_number(np.ones((2, 3)))
    monkeypatch.setattr("aucseg.theory.graphs.MAX_SETS", 3)
    with pytest.raises(ValueError, match="more than 3 maximal sets"):
        fractional_chromatic_number(cycle(7))
