"""Label sets in data files agree with the counts, the papers' tables, and each other."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from torchvision.datasets import Cityscapes

from aucseg.data import ClassSpec, list_specs, load_spec
from aucseg.data.layouts.voc import interleaved_palette
from aucseg.data.spec import choose_flip_pairs, find_flip_pairs
from aucseg.errors import OptionError
from aucseg.longtail import auto_partition, choose_tail, list_tails, load_statistics
from tests.data.layouts.writers import LAYOUTS
from tests.repository import ROOT


@pytest.mark.parametrize("name", ["cityscapes", "ade20k", "coco_stuff"])
def test_specs_are_the_counted_ones(name: str) -> None:
    spec, known = load_spec(name), load_statistics(name)
    assert spec.names == known.names
    assert all(n == n.strip() for n in spec.names)
    assert spec.groups == known.groups
    assert spec.pixel_share == pytest.approx(known.pixel_share, abs=1e-8)
    assert spec.image_share == pytest.approx(known.image_share, abs=1e-6)


def test_coco_stuff_10k_shares_are_counted_on_its_own_images() -> None:
    with (ROOT / "data/class_stats/cocostuff10k_train.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["id0"]]
    spec = load_spec("coco_stuff_10k")
    assert spec.names == load_spec("coco_stuff").names == tuple(r["name"] for r in rows)
    pixels = np.array([int(r["pixels"]) for r in rows])
    assert spec.pixel_share == pytest.approx(pixels / pixels.sum(), abs=1e-9)
    assert spec.image_share == pytest.approx([int(r["images"]) / 9000 for r in rows], abs=1e-6)
    assert spec.groups == load_spec("coco_stuff").groups


@pytest.mark.parametrize(
    "name", ["../specs/voc", "voc_checksums", "camvid_checksums", "/etc/passwd", "", "."]
)
def test_a_label_set_is_one_of_the_list(name: str) -> None:
    """No path to another file beside them or elsewhere, and none of the files that hold sums."""
    with pytest.raises(OptionError, match=f"unknown label set {name!r}; "):
        load_spec(name)


@pytest.mark.parametrize("name", list_specs())
def test_colours_tell_classes_apart(name: str) -> None:
    spec = load_spec(name)
    twins = {(a, b) for a in range(spec.num_classes) for b in range(a) if spec.colors[a] == spec.colors[b]}
    # ADE20K's own table gives road and skyscraper the same gray
    assert {(spec.names[b], spec.names[a]) for a, b in twins} == (
        {("road", "skyscraper")} if name == "ade20k" else set()
    )


def test_every_layout_has_its_label_set() -> None:
    for layout in LAYOUTS.values():
        spec = layout.spec
        assert sorted(set(layout.lookup.tolist()) - {-1, 255}) == list(range(spec.num_classes))
        assert layout.grouped == (spec.name != "voc")  # nobody has published groups of it
    assert {layout.spec.name for layout in LAYOUTS.values()} == set(list_specs()) - {"camvid"}
    sizes = {n: load_spec(n).num_classes for n in list_specs()}
    assert sizes == {
        "ade20k": 150,
        "camvid": 11,
        "carla": 19,
        "ccp": 55,
        "cityscapes": 19,
        "coco_stuff": 171,
        "coco_stuff_10k": 171,
        "salient": 2,
        "voc": 21,
    }


def test_voc_palette_by_hand() -> None:
    """The first colours and the void colour as the VOC development kit's documentation prints them."""
    palette = interleaved_palette()
    first = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
    assert [tuple(c) for c in palette[:6].tolist()] == first
    assert tuple(palette[15]) == (192, 128, 128)
    assert tuple(palette[20]) == (0, 64, 128)
    assert tuple(palette[255]) == (224, 224, 192)
    assert len({tuple(c) for c in palette.tolist()}) == 256
    assert load_spec("voc").colors == tuple(tuple(c) for c in palette[:21].tolist())


def test_cityscapes_colours_are_torchvisions() -> None:
    theirs = {c.name: c.color for c in Cityscapes.classes}
    spec = load_spec("cityscapes")
    assert spec.colors == tuple(theirs[n] for n in spec.names)


def test_groups_of_clothing_follow_the_rule() -> None:
    spec = load_spec("ccp")
    assert spec.groups == auto_partition(spec.pixel_share).groups
    assert [len(spec.group(g)) for g in ("head", "middle", "tail")] == [5, 10, 40]


def test_tail_of_blv_is_selectable() -> None:
    """The nine classes of Section 4.1, by the train ids of Cityscapes."""
    assert list_tails() == ("cityscapes_blv",)
    spec = load_spec("cityscapes")
    chosen = choose_tail("cityscapes_blv", spec)
    assert chosen.tail == (3, 6, 7, 12, 14, 15, 16, 17, 18)
    assert chosen.source == "BLV, Section 4.1"
    assert chosen.reasons[3] == "wall: tail in BLV, Section 4.1"
    assert chosen.groups[0] == "head"
    with (ROOT / "data/published/prose_facts.csv").open(newline="") as file:
        told = [
            r["quantity"]
            for r in csv.DictReader(file)
            if r["paper"] == "blv" and "tail classes" in r["quantity"]
        ]
    assert told == [f"tail classes ({', '.join(spec.names[i] for i in chosen.tail)})"]
    # AUCSeg's seven tail classes are among them
    assert set(spec.tail) < set(chosen.tail)
    with pytest.raises(ValueError, match="'camvid' has no class 'wall' of the tail in BLV"):
        choose_tail("cityscapes_blv", load_spec("camvid"))
    with pytest.raises(ValueError, match="did you mean 'cityscapes_blv'"):
        choose_tail("cityscapes_bvl", replace(spec, name="x"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Left-shoe", "Right-shoe"),
        ("leftHand", "right hand"),
        ("arm (left)", "ARM_RIGHT"),
        ("lefteye", "righteye"),
        ("l_brow", "r_brow"),
        ("Kidney L", "Kidney R"),
        ("LEye", "REye"),
        ("ctx-lh-cuneus", "ctx-rh-cuneus"),
        ("left lane, right of a left turn", "right lane, left of a right turn"),
    ],
)
def test_sides_are_found_by_name(one: str, other: str) -> None:
    assert find_flip_pairs(["sky", one, "road", other]) == ((1, 3),)
    assert find_flip_pairs([other, one]) == ((0, 1),)
    assert find_flip_pairs([one, "road"]) == ()


@pytest.mark.parametrize(
    "names",
    [
        ("lamp", "ramp", "lock", "rock", "load", "road"),
        ("upright", "bright", "light"),
        ("L1", "R1"),  # vertebrae and roots; nobody's sides
        ("left arm", "Left-Arm", "right arm"),  # which of the two?
    ],
)
def test_what_is_no_side(names: tuple[str, ...]) -> None:
    assert find_flip_pairs(names) == ()


@pytest.mark.parametrize("name", list_specs())
def test_published_label_sets_have_no_sides(name: str) -> None:
    """So that their records keep their meaning."""
    assert load_spec(name).flip_pairs == ()


def test_pairs_of_a_label_set_are_found_given_or_none() -> None:
    names = ("hair", "left arm", "right arm")
    spec = ClassSpec("body", names, ((0, 0, 0),) * 3, ("head",) * 3)
    assert spec.flip_pairs == ((1, 2),)
    assert replace(spec, flip_pairs=()).flip_pairs == ()
    assert replace(spec, flip_pairs=((0, 2),)).flip_pairs == ((0, 2),)
    for each in (spec, replace(spec, flip_pairs=())):
        assert ClassSpec.from_dict(each.to_dict()) == each
    old = {key: value for key, value in spec.to_dict().items() if key != "flip_pairs"}
    assert ClassSpec.from_dict(old) == spec
    with pytest.raises(ValueError, match=r"two different classes from 0 to 2, got \(0, 3\)"):
        replace(spec, flip_pairs=((0, 3),))
    assert choose_flip_pairs("auto", names) == choose_flip_pairs([["left arm", 2]], names) == ((1, 2),)
    assert choose_flip_pairs("none", names) == ()
    with pytest.raises(ValueError, match="no class 'left leg'; did you mean 'left arm'"):
        choose_flip_pairs([["left leg", 2]], names)
    with pytest.raises(ValueError, match="'auto', 'none' or pairs of classes, got 'yes'"):
        choose_flip_pairs("yes", names)
