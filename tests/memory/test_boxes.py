from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.memory.boxes import Box, spans_by_corners, spans_by_tables, survey


def tail_boxes(target, tail):
    """The boxes of a survey, whose numbers agree with a search for each class."""
    found = survey(target, tail)
    for labels, (boxes, areas, labelled) in zip(target, found, strict=True):
        assert areas == {label: int((labels == label).sum()) for label in boxes}
        assert labelled == int((labels != 255).sum())
    return [boxes for boxes, _, _ in found]


def brute(target, tail):
    found = []
    for labels in target:
        boxes = {}
        for label in tail:
            place = (labels == label).nonzero()
            if len(place):
                (top, left), (bottom, right) = place.amin(0).tolist(), (place.amax(0) + 1).tolist()
                boxes[label] = Box(top, bottom, left, right)
        found.append(boxes)
    return found


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(0, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    tail=st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True),
    seed=st.integers(0, 2**31),
)
def test_equals_a_search_for_each_class(batch, height, width, tail, seed):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 40, (batch, height, width), generator=generator)
    target[target == 39] = 255
    assert tail_boxes(target, tuple(tail)) == brute(target, tail)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)),
    labels=st.integers(1, 40),
    dtype=st.sampled_from([torch.uint8, torch.int16, torch.int32, torch.int64]),
    turned=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_both_ways_to_the_boxes_agree(shape, labels, dtype, turned, seed):
    """Whatever the neighbours of a pixel are, and wherever in memory they lie."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, labels, shape, generator=generator)
    target = target.where(torch.rand(shape, generator=generator) < 0.8, -1).to(dtype)
    target = target.transpose(1, 2) if turned else target
    tail = tuple(torch.randperm(20, generator=generator)[:5].tolist())
    corners, tables = spans_by_corners(target, tail), spans_by_tables(target, tail)
    present = tables[..., 1] > 0
    assert torch.equal(corners[..., 1] > 0, present)
    assert torch.equal(corners[present], tables[present])


def test_a_box_that_reaches_every_border():
    target = torch.full((1, 4, 6), 2)
    assert tail_boxes(target, (2,)) == [{2: Box(0, 4, 0, 6)}]
    target[0, 1:3, 1:5] = 0  # a ring
    assert tail_boxes(target, (2, 0)) == [{2: Box(0, 4, 0, 6), 0: Box(1, 3, 1, 5)}]
    assert tail_boxes(target[:, :1, 3:4], (2,)) == [{2: Box(0, 1, 0, 1)}]


def test_by_hand():
    target = torch.zeros(2, 5, 6, dtype=torch.long)
    target[0, 1:3, 2:5] = 7
    target[0, 4, 0] = 9
    target[0, 2, 3] = 3  # a hole in the object does not matter
    target[1, 0, 5] = target[1, 4, 0] = 7  # two pieces of a class share one box
    assert tail_boxes(target, (9, 7)) == [{9: Box(4, 5, 0, 1), 7: Box(1, 3, 2, 5)}, {7: Box(0, 5, 0, 6)}]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_label_255_and_dtypes(dtype):
    target = torch.zeros(1, 3, 3, dtype=dtype)
    target[0, 1, 1] = 254
    target[0, 2, 2] = 255
    assert tail_boxes(target, (254,)) == [{254: Box(1, 2, 1, 2)}]
    assert tail_boxes(target, (255, 0)) == [{255: Box(2, 3, 2, 3), 0: Box(0, 3, 0, 3)}]


def test_labels_outside_the_table_are_other_labels():
    target = torch.tensor([[[-100, 5000, 2, -1]]])
    assert tail_boxes(target, (2, 600)) == [{2: Box(0, 1, 2, 3)}]


def test_no_pixels():
    assert tail_boxes(torch.zeros(2, 0, 4, dtype=torch.long), (1,)) == [{}, {}]


def test_target_is_untouched():
    target = torch.full((1, 2, 2), 300)
    tail_boxes(target, (3,))
    assert (target == 300).all()
