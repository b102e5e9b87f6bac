"""Which images keep their labels: nested, by seed, and by lists of other people."""

from __future__ import annotations

from itertools import pairwise

import pytest

from aucseg.catalog import open_dataset
from aucseg.data.parts import (
    FRACTIONS,
    choose_labelled,
    find_listed,
    read_fraction,
    write_labelled,
)
from aucseg.errors import OptionError
from aucseg.streets import SyntheticStreets

NAMES = tuple(f"city_{i:06d}" for i in range(2975))


def test_numbers_are_those_of_the_usual_partitions_of_cityscapes():
    assert [len(choose_labelled(NAMES, f)) for f in FRACTIONS] == [186, 372, 744, 1488]


def test_a_fraction_is_part_of_a_larger_one_whatever_the_order():
    parts = [set(choose_labelled(NAMES, f, seed=3)) for f in FRACTIONS]
    assert all(a < b for a, b in pairwise(parts))
    assert set(choose_labelled(NAMES[::-1], "1/8", seed=3)) == parts[1]
    assert choose_labelled(NAMES, "1/8", 3) == tuple(n for n in NAMES if n in parts[1])
    overlap = len(parts[3] & set(choose_labelled(NAMES, "1/2", seed=4)))
    assert 600 < overlap < 900  # half of 1488, if the two have nothing to do with each other


def test_lists_can_be_written_and_taken_again(tmp_path):
    streets = SyntheticStreets(32, (32, 48), 1)
    files = write_labelled(tmp_path, streets.names, seed=2)
    assert [f.name for f in files] == ["1_16_seed2.txt", "1_8_seed2.txt", "1_4_seed2.txt", "1_2_seed2.txt"]
    lines = files[1].read_text().split()
    assert len(lines) == 4
    places = find_listed(streets, lines)
    assert {streets.names[i] for i in places} == set(choose_labelled(streets.names, "1/8", 2))


def test_published_lists_name_image_and_mask(tiny_camvid):
    data = open_dataset("camvid", tiny_camvid, "train")
    lines = ["images/train/train_001.jpg annotations/train/train_001.png", "train_003"]
    assert find_listed(data, lines) == (1, 3)
    with pytest.raises(OptionError, match="'train_009'"):
        find_listed(data, ["train_009"])
    with pytest.raises(OptionError, match="twice"):
        find_listed(SyntheticStreets(2, (32, 48), 1), ["1-00001", "1-00001"])


@pytest.mark.parametrize("text", ["0", "1/0", "3/2", "half", "-1/2"])
def test_a_fraction_is_between_none_and_all(text):
    with pytest.raises(OptionError, match="labelled fraction"):
        read_fraction(text)
