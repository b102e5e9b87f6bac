"""The paper's partitions, the rule for other label sets, and the shipped statistics behind them."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aucseg.data.files import MOST_TEXT
from aucseg.data.spec import groups_by_pixel_share, load_spec
from aucseg.errors import OptionError
from aucseg.longtail.counter import count
from aucseg.longtail.partitions import (
    auto_partition,
    auto_thresholds,
    choose_tail,
    groups_by_images,
    partition,
    share_partition,
    threshold_ranges,
)
from aucseg.longtail.statistics import list_statistics, load_statistics
from aucseg.longtail.tally import Tally
from aucseg.streets import SyntheticStreets
from tests.repository import ROOT

TABLES = {"cityscapes": 8, "ade20k": 9, "coco_stuff": 10}
COUNTS = {"cityscapes": "cityscapes_train", "ade20k": "ade20k_train", "coco_stuff": "cocostuff164k_train"}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def joined(name: str) -> list[dict[str, str]]:
    """Rows of the printed table in the order of the train ids."""
    found = rows(ROOT / "data/published/aucseg/class_id_map.csv")
    found = [r for r in found if r["table"] == str(TABLES[name])]
    return sorted(found, key=lambda r: int(r["index_0based"]))


@pytest.mark.parametrize("name", TABLES)
def test_statistics_are_the_published_ones(name: str) -> None:
    known = load_statistics(name)
    printed = joined(name)
    counted = rows(ROOT / "data/class_stats" / f"{COUNTS[name]}.csv")
    assert known.names == tuple(r["name"].strip() for r in counted)  # the source of ADE20K's says "bed "
    assert known.pixels.tolist() == [int(r["pixels"]) for r in counted]
    assert known.images.tolist() == [int(r["images"]) for r in counted]
    assert partition(name).groups == known.groups == tuple(r["partition"] for r in printed)
    assert known.tail == tuple(i for i, r in enumerate(counted) if r["aucseg_release_tail"] == "1")
    sizes = [len(partition(name).group(g)) for g in ("head", "middle", "tail")]
    assert sizes == {"cityscapes": [6, 6, 7], "ade20k": [9, 17, 124], "coco_stuff": [19, 29, 123]}[name]
    images = {
        r["class_id"]: int(r["num_images"])
        for r in rows(ROOT / f"data/published/aucseg/table_0{TABLES[name] - 3}.csv")
    }
    ids = [r["class_id_in_tables_5_to_7"] for r in printed]
    assert known.images.tolist() == [images[i] for i in ids]


# (above, up to] of the printed percentages: every threshold in it reproduces the group
PRINTED = {
    "cityscapes": {"head": (0.85, 3.63), "tail": (0.24, 0.40)},
    "ade20k": {"head": (1.95, 2.15), "tail": (0.59, 0.65)},
    "coco_stuff": {"head": (0.94, 1.02), "tail": (0.49, 0.50)},
}


@pytest.mark.parametrize("name", TABLES)
def test_thresholds_that_reproduce_the_printed_groups(name: str) -> None:
    shares = np.array([float(r["pixel_ratio_percent"]) for r in joined(name)])
    known = replace(load_statistics(name), pixels=np.rint(shares * 100).astype(np.int64))
    assert known.pixels.sum() == pytest.approx(10_000, abs=30)  # percentages of two digits
    whole = float(known.pixels.sum()) / 10_000
    ranges = threshold_ranges(known)
    for group, (above, up_to) in PRINTED[name].items():
        assert np.array(ranges[group]) * 100 * whole == pytest.approx((above, up_to))
    found = groups_by_pixel_share(
        shares / 100, head=PRINTED[name]["head"][1] / 100, tail=PRINTED[name]["tail"][1] / 100
    )
    assert found == known.groups


@pytest.mark.parametrize("source", ["printed", "counted"])
def test_no_single_pair_of_thresholds_gives_all_three(source: str) -> None:
    ranges = {n: threshold_ranges(load_statistics(n)) for n in TABLES}
    if source == "printed":
        ranges = PRINTED

    def common(group: str, *names: str) -> bool:
        return max(ranges[n][group][0] for n in names) < min(ranges[n][group][1] for n in names)

    assert not common("head", "ade20k", "coco_stuff")
    assert not common("tail", "ade20k", "coco_stuff")
    assert not common("tail", "ade20k", "cityscapes")
    assert common("head", "cityscapes", "ade20k")  # 2 %
    # a head from 1 % gives Cityscapes and COCO-Stuff by Table 8, whose shares are not those of Cityscapes;
    # a tail below 0.495 % gives both by the counts only
    assert common("head", "cityscapes", "coco_stuff") == (source == "printed")
    assert common("tail", "cityscapes", "coco_stuff") == (source == "counted")


@pytest.mark.parametrize(
    ("name", "same", "tail_differs"),
    [
        ("cityscapes", 19, ()),
        ("ade20k", 148, ("sea", "mirror")),
        ("coco_stuff", 164, ("food-other",)),
    ],
)
def test_auto_is_close_to_the_paper(name: str, same: int, tail_differs: tuple[str, ...]) -> None:
    known, paper = load_statistics(name), partition(name)
    auto = auto_partition([float(s) for s in known.pixel_share], known.names)
    assert sum(a == b for a, b in zip(auto.groups, paper.groups, strict=True)) == same
    assert {known.names[i] for i in set(auto.tail) ^ set(paper.tail)} == set(tail_differs)


def test_auto_thresholds_follow_the_even_share() -> None:
    assert auto_thresholds(50) == (0.02, 0.005)
    assert auto_thresholds(4) == pytest.approx((0.1, 0.025))
    assert auto_thresholds(1000) == pytest.approx((0.004, 0.001))
    assert auto_partition([0.7, 0.2, 0.09, 0.01]).groups == ("head", "head", "middle", "tail")
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        auto_thresholds(1)


def test_a_rule_without_a_tail() -> None:
    """The groups of a folder may have no tail; who asks for one is told."""
    found = share_partition([0.6, 0.4], ["sky", "road"], of="train")
    assert found.groups == ("head", "head")
    assert found.tail == ()
    assert found.source == "pixel shares of train, tail < 5 %, head >= 20 %"
    with pytest.raises(ValueError, match=r"no class is tail by pixel shares, tail < 5 %.*'road' with 40 %"):
        auto_partition([0.6, 0.4], ["sky", "road"])


def test_reasons_name_class_share_and_threshold() -> None:
    auto = auto_partition([0.9, 0.0999, 0.0001], ["sky", "car", "cone"], tail=0.001)
    assert auto.reasons[2] == "cone: 0.01 % of the pixels is below 0.1 %, so it is tail"
    assert auto.source == "pixel shares, tail < 0.1 %, head >= 13.33 %"
    assert "Table 9 has it as tail" in partition("ade20k").reasons[149]
    never = auto_partition([0.9, 0.1, 0.0], ["sky", "car", "cone"])
    assert never.reasons[2].startswith("cone: 0 % of the pixels")


@pytest.mark.parametrize(
    ("shares", "options", "message"),
    [
        ([0.5, 0.5], {}, "the rarest is 'class 0' with 50 % of the pixels, so there is no tail"),
        ([0.0, 0.0], {}, "are all 0: no pixel is labelled"),
        ([90, 10], {}, "give fractions in"),
        ([0.9, 0.1], {"names": ["a"]}, "1 names but 2 pixel shares"),
        ([0.9, 0.1], {"head": 0.1, "tail": 0.2}, "need 0 < tail <= head < 1"),
    ],
)
def test_bad_shares(shares: list[float], options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        auto_partition(shares, **options)  # type: ignore[arg-type]


def test_choose_tail() -> None:
    spec = load_spec("cityscapes")
    for choice in ("auto", "spec", "cityscapes"):
        assert choose_tail(choice, spec).tail == spec.tail
    named = choose_tail(["rider", 5], spec)
    assert named.tail == (5, 12)
    assert named.groups[spec.index("bus")] == "middle"
    assert named.reasons[5] == "pole: named as tail"
    assert choose_tail("rider", spec) == choose_tail(["rider"], spec)
    turned = replace(spec, names=spec.names[::-1], groups=spec.groups[::-1], image_share=(), pixel_share=())
    assert choose_tail("cityscapes", turned).tail == turned.tail == tuple(sorted(18 - i for i in spec.tail))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ([], "tail_classes is empty"),
        ([3, "wall"], r"holds 3 \('wall'\) twice"),
        ([19], "holds 19; the classes are 0 to 18"),
        (["ridre"], "did you mean 'rider'"),
        ("ridre", "did you mean 'rider'"),
        ("ade20k", "does not have the classes of AUCSeg, Table 9"),
        ("cityscape", "did you mean 'cityscapes'"),
    ],
)
def test_bad_choice(choice: list[int] | str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_tail(choice, load_spec("cityscapes"))


def test_auto_needs_pixel_shares() -> None:
    with pytest.raises(ValueError, match="needs the pixel shares of 'cityscapes'"):
        choose_tail("auto", replace(load_spec("cityscapes"), pixel_share=()))


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="did you mean 'ade20k'"):
        load_statistics("ade")
    with pytest.raises(ValueError, match="no published partition 'voc'"):
        partition("voc")
    assert list_statistics() == tuple(TABLES)


def test_presence_of_cityscapes_is_the_counted_one(shared_pack: Path) -> None:
    path = shared_pack / "data/class_stats/cityscapes_train_per_image.csv"
    if not path.is_file():
        pytest.skip(f"the shared pack has no counts by image at {path}")
    known = load_statistics("cityscapes")
    counts = Tally.read_table(path, known.spec)
    assert counts.presence is not None
    assert known.presence is not None

    def patterns(presence: np.ndarray) -> list[bytes]:
        return sorted(row.tobytes() for row in presence)

    assert patterns(counts.presence) == patterns(known.presence)
    assert counts.pixel_share == pytest.approx(known.pixel_share, abs=2e-4)


def test_statistics_of_the_streets() -> None:
    streets = SyntheticStreets(12, size=(32, 64))
    items = [streets[i] for i in range(12)]
    known = count(streets)
    masks = [np.asarray(mask) for _, mask in items]
    for k in range(19):
        held = [m for m in masks if (m == k).any()]
        assert known.images[k] == len(held)
        assert known.pixels[k] == sum(int((m == k).sum()) for m in held)
    road = known.names.index("road")
    assert known.area_share[road] == pytest.approx(
        known.pixels[road] / known.images[road] / (sum(int((m < 19).sum()) for m in masks) / 12)
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(("head", "middle", "tail")), st.integers(0, 9)), min_size=2, max_size=12
    )
)
def test_groups_by_images_are_as_many_and_in_order(classes):
    groups, images = zip(*classes, strict=True)
    found = groups_by_images(groups, images)
    assert sorted(found) == sorted(groups)
    rank = {"head": 0, "middle": 1, "tail": 2}
    for first, second in itertools.permutations(range(len(groups)), 2):
        if images[first] > images[second]:
            assert rank[found[first]] <= rank[found[second]]
        if images[first] == images[second] and rank[groups[first]] < rank[groups[second]]:
            assert rank[found[first]] <= rank[found[second]]
    assert groups_by_images(groups, np.array(images) / 10) == found


def test_groups_by_images_of_cityscapes():
    """Wall and fence are in fewer images than traffic light and bicycle, and poles are everywhere."""
    spec = load_spec("cityscapes")
    found = dict(zip(spec.names, groups_by_images(spec.groups, spec.image_share), strict=True))
    moved = {name: group for name, group in found.items() if group != spec.groups[spec.index(name)]}
    assert moved == {
        **{"wall": "tail", "fence": "tail", "traffic light": "middle", "bicycle": "middle"},
        **{"pole": "head", "sky": "middle"},
    }
    with pytest.raises(OptionError, match="2 numbers of images for 19 classes"):
        groups_by_images(spec.groups, [1, 2])
    with pytest.raises(OptionError, match="finite and not negative"):
        groups_by_images(("head", "tail"), [1, -2])


def test_a_table_of_many_images_is_longer_than_one_of_classes(tmp_path):
    """A row for each image of a large data set: its limit is its own, and not that of a table of classes."""
    spec = load_spec("camvid")
    table = tmp_path / "images.csv"
    zeros = ",0" * (spec.num_classes - 1)
    header = ",".join(["file", *(f"c{i}" for i in range(spec.num_classes))])
    long = "a_folder_with_a_long_name/" * 8
    table.write_text("\n".join([header, *(f"{long}{i},3{zeros}" for i in range(80_000))]) + "\n")
    assert table.stat().st_size > MOST_TEXT
    assert Tally.read_table(table, spec).num_images == 80_000
