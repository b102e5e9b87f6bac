"""Splits that all hold the tail."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.data.stratify import split_sizes, stratified_split
from aucseg.errors import OptionError

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


@given(st.integers(0, 500), st.floats(0, 1), st.floats(0, 1))
def test_sizes_are_within_one_of_their_shares(number: int, val: float, test: float) -> None:
    val, test = val / 2, test / 2
    shares = {"train": 1 - val - test, "val": val, "test": test}
    sizes = split_sizes(number, shares)
    assert sum(sizes.values()) == number
    for name, share in shares.items():
        low = min(share > 0, number >= 3)
        assert (sizes[name] == 0) if share == 0 else sizes[name] >= low
        if number * min(s for s in shares.values() if s) >= 1:  # nobody had to give one away
            assert abs(sizes[name] - number * share) < 1


def test_sizes_that_make_no_whole() -> None:
    for shares in ({"train": 0.7, "val": 0.1}, {"train": 1.2, "val": -0.2}, {"train": float("nan")}, {}):
        with pytest.raises(OptionError, match="shares of splits are from 0 to 1 and make 1"):
            split_sizes(10, shares)
    with pytest.raises(OptionError, match=r"splits of \[1, 1\] images do not make 3"):
        stratified_split(np.ones((3, 2), bool), [1, 1])


@st.composite
def _tails(draw: st.DrawFn) -> np.ndarray:
    """Presence of head classes anywhere, and of tail classes, three images or more, one to an image."""
    tail = draw(st.lists(st.integers(3, 6), min_size=1, max_size=6))
    heads = draw(st.integers(0, 4))
    number = 10 * (len(tail) + heads) + draw(st.integers(0, 60))  # the smallest split has room for all
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    rare = np.zeros((number, len(tail)), bool)
    rare[np.arange(sum(tail)), np.repeat(np.arange(len(tail)), tail)] = True
    head = rng.random((number, heads)) < 0.6
    return np.concatenate([head, rare], 1)[rng.permutation(number)]


@settings(max_examples=60)
@given(_tails(), st.integers(0, 10))
def test_every_class_is_in_every_split(presence: np.ndarray, seed: int) -> None:
    sizes = list(split_sizes(len(presence), SHARES).values())
    splits = stratified_split(presence, sizes, seed=seed)
    np.testing.assert_array_equal(np.bincount(splits, minlength=3), sizes)
    for s in range(3):
        held = presence[splits == s].any(0)
        assert held[presence.sum(0) >= 3].all()
    np.testing.assert_array_equal(splits, stratified_split(presence, sizes, seed=seed))


def _covered(presence: np.ndarray, splits: np.ndarray) -> int:
    enough = presence.sum(0) >= 3
    return sum(int((presence[splits == s].any(0) & enough).sum()) for s in range(3))


def test_as_good_as_the_best_of_all_cuts() -> None:
    """Images with many rare classes at once, against every cut there is."""
    rng = np.random.default_rng(7)
    for trial in range(60):
        number = int(rng.integers(5, 9))
        presence = rng.random((number, int(rng.integers(2, 8)))) < rng.choice([0.2, 0.35, 0.5])
        sizes = list(split_sizes(number, {"train": 0.6, "val": 0.2, "test": 0.2}).values())
        best = 0
        for val in combinations(range(number), sizes[1]):
            for test in combinations(set(range(number)) - set(val), sizes[2]):
                cut = np.zeros(number, int)
                cut[list(val)], cut[list(test)] = 1, 2
                best = max(best, _covered(presence, cut))
        assert _covered(presence, stratified_split(presence, sizes, seed=trial)) == best, trial


def test_shares_of_classes_follow_the_sizes() -> None:
    """Common classes are cut in proportion, where chance alone would be off by tens of images."""
    rng = np.random.default_rng(0)
    presence = rng.random((2000, 12)) < np.geomspace(0.9, 0.005, 12)
    sizes = list(split_sizes(2000, SHARES).values())
    splits = stratified_split(presence, sizes)
    held = np.stack([presence[splits == s].sum(0) for s in range(3)])
    wanted = np.array(sizes)[:, None] / 2000 * presence.sum(0)
    assert np.abs(held - wanted).max() <= 4
    other = stratified_split(presence, sizes, seed=1)
    assert (splits != other).any()


def test_fewer_images_than_splits_go_to_training_first() -> None:
    presence = np.zeros((20, 3), bool)
    presence[0, 0] = presence[1:3, 1] = presence[3:, 2] = True
    splits = stratified_split(presence, [14, 2, 4])
    assert splits[0] == 0
    assert sorted(splits[1:3]) == [0, 2]


def test_nothing_to_cut() -> None:
    assert stratified_split(np.zeros((0, 3), bool), [0, 0, 0]).tolist() == []
    assert sorted(stratified_split(np.zeros((4, 2), bool), [2, 1, 1])) == [0, 0, 1, 2]
