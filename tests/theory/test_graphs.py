"""Graphs whose fractional chromatic number is known, cliques against every set of vertices, and Lemma 8.

Of Lemma 8: the linear programme, the tournament that proves it, and where the paper's proof gets stuck.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.theory import (
    fractional_chromatic_number,
    greedy_groups,
    janson_sum,
    ordered_pairs,
    pair_chromatic_number,
    pair_dependency_graph,
    round_robin_cover,
    stuck_groups,
)
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


@pytest.mark.parametrize(("images", "value"), [(2, 2), (3, 6), (4, 6), (5, 10), (6, 10), (7, 14), (8, 14)])
def test_linear_programme_agrees_with_the_closed_form(images: int, value: int) -> None:
    assert pair_chromatic_number(images) == value
    assert fractional_chromatic_number(pair_dependency_graph(images)).value == pytest.approx(value)


@pytest.mark.parametrize("images", [2, 3, 4, 5, 6, 7, 12, 31, 60])
def test_the_tournament_is_a_cover_by_independent_groups(images: int) -> None:
    groups = round_robin_cover(images)
    assert len(groups) == pair_chromatic_number(images)
    for group in groups:
        members = list(itertools.chain.from_iterable(group))
        assert len(group) == images // 2
        assert len(set(members)) == len(members)
    assert sorted(itertools.chain.from_iterable(groups)) == sorted(ordered_pairs(images))


def test_graph_by_hand() -> None:
    graph = pair_dependency_graph(4)
    pairs = ordered_pairs(4)
    for a, b in itertools.permutations(range(12), 2):
        assert graph[a, b] == bool(set(pairs[a]) & set(pairs[b]))
    assert not graph.diagonal().any()


def test_the_groups_of_the_paper_for_four_images() -> None:
    """Its example lists 1-2, 3-4 and so on, there and back: six groups."""
    listed = {frozenset(group) for group in round_robin_cover(4)}
    paper = [[(1, 2), (3, 4)], [(1, 3), (2, 4)], [(1, 4), (2, 3)]]
    unordered = {frozenset(frozenset((a - 1, b - 1)) for a, b in group) for group in paper}
    assert len(listed) == 6
    assert {frozenset(frozenset(pair) for pair in group) for group in listed} == unordered


def test_the_proof_gets_stuck_where_the_counterexample_says() -> None:
    found = stuck_groups()
    assert found.stuck
    assert len(found.groups) == 6 < pair_chromatic_number(6)
    taken = list(itertools.chain.from_iterable(found.groups))
    assert len(set(taken)) == len(taken) == 18
    assert sorted([*taken, *found.left]) == sorted(ordered_pairs(6))
    for group in found.groups:
        assert sorted(itertools.chain.from_iterable(group)) == list(range(6))
    # every image is equally frequent in what is left, as the proof says, and still there is no group of three
    assert set(np.bincount(np.ravel(found.left))) == {4}
    for group in itertools.combinations(found.left, 3):
        assert len(set(itertools.chain.from_iterable(group))) < 6


def test_random_groups() -> None:
    for images in (2, 4):  # here nothing can go wrong
        assert not any(greedy_groups(images, seed).stuck for seed in range(50))
    outcomes = [greedy_groups(6, seed) for seed in range(60)]
    assert any(one.stuck for one in outcomes)
    for one in outcomes:
        taken = list(itertools.chain.from_iterable(one.groups))
        assert sorted([*taken, *one.left]) == sorted(ordered_pairs(6))
        assert one.stuck == (len(one.groups) < 10)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(0, 999))
def test_janson_on_the_tournament(images: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=images * (images - 1))
    place = {pair: i for i, pair in enumerate(ordered_pairs(images))}
    sets = [[place[pair] for pair in group] for group in round_robin_cover(images)]
    found = janson_sum(values, sets, np.ones(len(sets)))
    assert found.total == pytest.approx(values.sum())
    assert found.parts == pytest.approx([values[members].sum() for members in sets])


def test_janson_on_the_cover_of_the_linear_programme() -> None:
    """A fractional cover: its weights are not whole, and cover each vertex of the ring exactly once."""
    ring = np.roll(np.eye(5, dtype=bool), 1, axis=1)
    found = fractional_chromatic_number(ring | ring.T)
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    parts = janson_sum(values, found.sets, found.weights)
    assert parts.total == pytest.approx(31)
    assert 0 < parts.weights.min() < 1


def test_bad_covers_are_refused_in_words() -> None:
    for call in (ordered_pairs, pair_dependency_graph, pair_chromatic_number, round_robin_cover):
        with pytest.raises(ValueError, match="num_images is 1; it must be at least 2"):
            call(1)
    with pytest.raises(ValueError, match="2, 4, 6 or 8, got 5"):
        greedy_groups(5, 0)
    with pytest.raises(ValueError, match="position 1 add up to 0"):
        janson_sum([1.0, 2.0], [(0,)], [1.0])
    with pytest.raises(ValueError, match=r"weights must be in \(0, 1\], got 2"):
        janson_sum([1.0], [(0,)], [2.0])
    with pytest.raises(ValueError, match="repeats a position or leaves 0 to 1"):
        janson_sum([1.0, 2.0], [(0, 0)], [1.0])
    with pytest.raises(ValueError, match="do not fit"):
        janson_sum([1.0, 2.0], [(0, 1)], [1.0, 1.0])
