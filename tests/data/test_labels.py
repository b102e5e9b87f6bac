"""Values of mask files to train ids, against a loop over the pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.data.labels import (
    NOT_A_LABEL,
    VOID,
    by_train_id,
    to_train_ids,
    train_id_table,
    value_table,
    without_meaning,
)
from aucseg.errors import DataError

FILE = Path("masks/7.png")


@settings(deadline=None, max_examples=30)
@given(
    train_ids=st.dictionaries(st.integers(0, 255), st.sampled_from([0, 1, 2, 18, VOID]), min_size=1),
    seed=st.integers(0, 99),
)
def test_every_way_through_the_table(train_ids: dict[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = value_table(train_ids)
    assert table.dtype == np.int16
    assert [int(table[v]) for v in range(256)] == [train_ids.get(v, NOT_A_LABEL) for v in range(256)]
    masks = rng.choice(list(train_ids), (3, 7, 5)).astype(np.uint8)
    mapped = np.array([[[train_ids[int(v)] for v in row] for row in mask] for mask in masks])
    for mask, wanted in zip(masks, mapped, strict=True):
        np.testing.assert_array_equal(to_train_ids(mask, table, FILE), wanted.astype(np.uint8), strict=True)
    pixels = np.array([np.bincount(mask.ravel(), minlength=256) for mask in masks])
    wanted_pixels = np.array([[(mask == k).sum() for k in range(256)] for mask in mapped])
    np.testing.assert_array_equal(by_train_id(pixels, table), wanted_pixels)
    np.testing.assert_array_equal(by_train_id(pixels[0], table), wanted_pixels[0])
    assert not without_meaning(pixels[0], table).size


def test_values_without_meaning_are_named_with_their_pixels() -> None:
    table = value_table({0: 4, 1: VOID, 2: 5, 7: 0, VOID: VOID})
    mask = np.array([[0, 3, 3], [9, 2, 255]], np.uint8)
    with pytest.raises(DataError) as caught:
        to_train_ids(mask, table, FILE)
    assert str(caught.value) == (
        "masks/7.png: label outside the classes: 3 (2 pixels), 9 (1 pixels); "
        "allowed are 0 to 2, 7, 255: correct the mask or add a row to classes.csv"
    )
    pixels = np.bincount(mask.ravel(), minlength=256)
    assert without_meaning(pixels, table).tolist() == [3, 9]
    assert np.flatnonzero(by_train_id(pixels, table)).tolist() == [4, 5, VOID]
    with pytest.raises(DataError, match=r"3 \(1 pixels\).*11 \(1 pixels\), \.\.\.; allowed"):
        to_train_ids(np.arange(3, 20, dtype=np.uint8)[None], table, FILE)


def test_train_ids_stand_for_themselves() -> None:
    table = train_id_table(3)
    assert np.flatnonzero(table != NOT_A_LABEL).tolist() == [0, 1, 2, VOID]
    mask = np.array([[0, 2, 1, 255]], np.uint8)
    np.testing.assert_array_equal(to_train_ids(mask, table, FILE), mask)
