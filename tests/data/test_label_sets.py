"""Classes that data sets share, beside the table that came with one of them and beside single pixels."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from aucseg.data.label_sets import LABEL_SETS, RelabelledDataset, find_label_set
from aucseg.data.spec import load_spec
from aucseg.errors import OptionError
from aucseg.streets import SyntheticStreets

WANTED = {"camvid11": 11, "camvid10": 10, "synthia16": 16, "synthia13": 13}


@pytest.mark.parametrize("name", LABEL_SETS)
def test_a_label_set_is_part_of_its_base(name):
    labels = LABEL_SETS[name]
    base, spec = load_spec(labels.base), labels.spec
    assert spec.num_classes == WANTED[name]
    for k, kept in enumerate(spec.names):
        assert spec.colors[k] == base.colors[base.index(kept)]
        assert spec.groups[k] == base.groups[base.index(kept)]
    assert sum(spec.pixel_share) == pytest.approx(1)
    assert spec.tail
    table = labels.table(base)
    for train_id, of_base in enumerate(base.names):
        expected = spec.names.index(of_base) if of_base in spec.names else 255
        assert table[train_id] == expected
    assert (table[base.num_classes :] == 255).all()


def test_classes_of_synthia_are_those_of_its_protocol():
    left_out = {name: set(load_spec("cityscapes").names) - set(LABEL_SETS[name].classes) for name in WANTED}
    assert left_out["synthia16"] == {"terrain", "truck", "train"}
    assert left_out["synthia13"] == {"terrain", "truck", "train", "wall", "fence", "pole"}


def test_tags_of_carla_go_where_the_table_that_came_with_them_says(shared_pack):
    table = LABEL_SETS["camvid10"].table(load_spec("carla"))
    names = LABEL_SETS["camvid10"].spec.names
    with (shared_pack / "data" / "carla" / "class_stats.csv").open() as file:
        rows = {row["name"]: row["camvid_name"] for row in csv.DictReader(file)}
    for train_id, tag in enumerate(load_spec("carla").names):
        found = table[train_id]
        assert ("" if found == 255 else names[found]) == rows[tag], tag
    assert {names[k] for k in table if k != 255} == set(names)  # ten of CamVid's eleven


def test_masks_of_the_streets_in_classes_of_camvid():
    streets = SyntheticStreets(2, size=(48, 96))
    seen = RelabelledDataset(streets, LABEL_SETS["camvid11"])
    assert len(seen) == 2
    assert seen.names == streets.names
    names = seen.spec.names
    of = {"road": "Road", "bus": "Car", "rider": "Bicyclist", "terrain": "Tree", "wall": "Building"}
    for i in range(2):
        image, mask = seen[i]
        own_image, own = streets[i]
        assert torch.equal(image, own_image)
        assert torch.equal(mask, seen.mask(i))
        for there, here in of.items():
            assert (mask[own == streets.spec.index(there)] == names.index(here)).all()
        assert torch.equal(mask == 255, own == 255)


def test_another_table_is_another_content():
    streets = SyntheticStreets(2, size=(48, 96))
    prints = {
        RelabelledDataset(streets, LABEL_SETS[name]).fingerprint() for name in ("camvid11", "synthia16")
    }
    assert len({*prints, streets.fingerprint()}) == 3
    again = RelabelledDataset(SyntheticStreets(2, size=(48, 96)), LABEL_SETS["camvid11"])
    assert again.fingerprint() in prints


def test_what_a_map_misses_is_named():
    with pytest.raises(OptionError, match=r"'camvid10' does not say what class 'road' of 'cityscapes' is"):
        LABEL_SETS["camvid10"].table(load_spec("cityscapes"))
    with pytest.raises(OptionError, match=r"unknown label set 'camvid1'.*camvid1[01]"):
        find_label_set("camvid1")
    assert np.array_equal(find_label_set("camvid11").table(load_spec("camvid"))[:11], np.arange(11))
