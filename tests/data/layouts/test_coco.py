"""COCO's annotation format, against its official tools."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as official

from aucseg.catalog import open_dataset, resolve
from aucseg.data.layouts.coco import load_coco, read_coco, run_lengths
from aucseg.errors import DataError
from tests.data.layouts.annotated import SQUARE, coco_file, pictures, table
from tests.data.layouts.writers import HEIGHT, WIDTH

VALUES = {"background": 0, "cat": 1, "dog": 2, "eel": 3}


def _decode(part: dict[str, Any]) -> np.ndarray:
    """What the official tools make of run lengths, without their warning about NumPy 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return official.decode(part).astype(bool)


def _drawn(tmp_path: Path, *annotations: dict[str, Any], **options: Any) -> np.ndarray:
    file = coco_file(tmp_path / "a.json", ["x.jpg"], [{"image_id": 0, **each} for each in annotations])
    return read_coco(file / "x", VALUES, **options)


@given(npst.arrays(bool, npst.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_run_lengths_are_those_of_the_official_tools(mask: np.ndarray) -> None:
    part = official.encode(np.asfortranarray(mask.astype(np.uint8)))
    runs = run_lengths(part["counts"])
    assert runs.sum() == mask.size
    expanded = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(mask.shape[::-1]).T
    np.testing.assert_array_equal(expanded, mask)


@given(st.binary(max_size=12))
def test_no_run_lengths(text: bytes) -> None:
    """Whatever stands there, the answer are numbers that somebody can check, and at once."""
    assert run_lengths(text).dtype == np.int64


def test_polygons_are_those_of_the_official_tools(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for trial in range(30):
        polygons = [
            (rng.random((rng.integers(3, 8), 2)) * (WIDTH + 4, HEIGHT + 4) - 2).round(2).ravel().tolist()
            for _ in range(rng.integers(1, 4))
        ]
        parts = official.frPyObjects(polygons, HEIGHT, WIDTH)
        expected = _decode(official.merge(parts))
        place = tmp_path / str(trial)
        np.testing.assert_array_equal(
            _drawn(place, {"category_id": 2, "segmentation": polygons}), np.where(expected, 2, 0)
        )
        whole = official.merge(parts)
        for counts in (whole["counts"].decode(), run_lengths(whole["counts"]).tolist()):
            segmentation = {"size": [HEIGHT, WIDTH], "counts": counts}
            drawn = _drawn(place / "rle", {"category_id": 2, "segmentation": segmentation})
            np.testing.assert_array_equal(drawn, np.where(expected, 2, 0))


def test_the_smaller_one_lies_above_the_larger_one(tmp_path: Path) -> None:
    small = {"category_id": 1, "segmentation": [[4, 4, 7, 4, 7, 7, 4, 7]]}
    large = {"category_id": 2, "segmentation": [SQUARE]}
    for i, order in enumerate(((small, large), (large, small))):
        drawn = _drawn(tmp_path / str(i), *order)
        assert drawn[5, 5] == 1
        assert drawn[3, 3] == 2
        assert drawn[0, 0] == 0
    assert _drawn(tmp_path / "2", small, large, overlap="order")[5, 5] == 2
    assert _drawn(tmp_path / "3", large, small, overlap="order")[5, 5] == 1
    same = {**large, "category_id": 3}
    assert _drawn(tmp_path / "4", large, same)[5, 5] == 3  # of as many pixels: the later one


def test_holes(tmp_path: Path) -> None:
    ring = [1, 1, 14, 1, 14, 11, 1, 11, 1, 1, 5, 4, 10, 4, 10, 8, 5, 8, 5, 4]
    drawn = _drawn(tmp_path, {"category_id": 1, "segmentation": [ring]})
    assert drawn[6, 7] == 0
    assert drawn[2, 2] == drawn[10, 12] == 1


def test_crowds(tmp_path: Path) -> None:
    """They lie under everything, however small, and are void unless something else is asked for."""
    runs = {"size": [HEIGHT, WIDTH], "counts": [0, 4 * HEIGHT, (WIDTH - 4) * HEIGHT]}
    crowd = {"category_id": 1, "iscrowd": 1, "segmentation": runs}
    square = {"category_id": 2, "segmentation": [SQUARE]}
    for i, (choice, value) in enumerate((("void", 255), ("class", 1), ("skip", 0))):
        drawn = _drawn(tmp_path / str(i), square, crowd, crowd=choice)
        assert drawn[0, 0] == value
        assert drawn[3, 3] == 2
    # a category of crowds alone needs no row
    other = {**crowd, "category_id": 0}
    assert _drawn(tmp_path / "x", other)[0, 0] == 255
    with pytest.raises(DataError, match=r"'things' has no row in classes\.csv"):
        _drawn(tmp_path / "x", other, crowd="class")


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"segmentation": []}, "is a box without an outline; outline it, or write `without_area: skip`"),
        ({"segmentation": None}, "is a box without an outline"),
        ({}, "is a box without an outline"),
        ({"segmentation": [[1, 2, 3, 4]]}, "has under three points"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "x=5, y=nan, far outside an image of 16x12"),
        ({"segmentation": [[1, 2, 3, 4, 1e9, 6]]}, r"x=1e\+09, y=6, far outside"),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "has under three points"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "points that are no pairs"),
        ({"segmentation": [["a", 2, 3, 4, 5, 6]]}, "points that are no pairs"),
        ({"segmentation": "x"}, "a segmentation of type str"),
        ({"segmentation": {"size": [3, 4], "counts": [12]}}, r"size \[3, 4\], the image has \[12, 16\]"),
        ({"segmentation": {"size": [12, 16], "counts": [3, 4]}}, "of 7 pixels, the image has 192"),
        ({"segmentation": {"size": [12, 16], "counts": [-3, 195]}}, "run lengths of 192 pixels"),
        ({"segmentation": {"size": [12, 16], "counts": "zzz~"}}, "run lengths of"),
        ({"segmentation": {"size": [12, 16], "counts": None}}, "run lengths of"),
    ],
)
def test_what_cannot_be_drawn(tmp_path: Path, annotation: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        _drawn(tmp_path, {"category_id": 1, **annotation})


def test_boxes_may_be_passed_over(tmp_path: Path) -> None:
    box = {"category_id": 1, "segmentation": []}
    square = {"category_id": 2, "segmentation": [SQUARE, [1, 1, 2, 2]]}
    assert set(np.unique(_drawn(tmp_path, box, square, skip_without_area=True))) == {0, 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is no COCO annotation file: it holds a list"),
        ("{", "no JSON"),
        ('{"images": []}', "has no list 'annotations'"),
        ('{"images": [], "annotations": [1], "categories": []}', "has no list 'annotations'"),
    ],
)
def test_no_annotation_file(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=message):
        load_coco(tmp_path / "a.json")
    with pytest.raises(DataError, match="missing COCO annotation file"):
        load_coco(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"images": [{"id": 0, "file_name": "x.jpg"}]}, "x.jpg has the height None and the width None"),
        ({"images": [{"id": 0}]}, "an entry has no id or no file_name"),
        ({"images": [{"id": 0, "file_name": "x.jpg", "height": 0, "width": 4}]}, "the height 0"),
        ({"images": []}, "annotation 0 has the image_id 0, which is none"),
        ({"categories": [{"id": 9, "name": "cat"}]}, "annotation 0 has the category_id 1, which is none"),
        ({"categories": [{"id": i, "name": "cat"} for i in (1, 2)]}, "two categories are called 'cat'"),
        ({"categories": [{"id": 1, "name": n} for n in "ab"]}, "a and b have the id 1"),
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    file = coco_file(tmp_path / "a.json", ["x.jpg"], **more)
    with pytest.raises(DataError, match=message):
        load_coco(file)


def test_two_images_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.png and x\.jpg are images of one name"):
        load_coco(coco_file(tmp_path / "a.json", ["x.jpg", "x.png"]))


def test_a_file_is_parsed_once_until_it_changes(tmp_path: Path) -> None:
    file = coco_file(tmp_path / "a.json", ["x.jpg"])
    first = load_coco(file)
    assert load_coco(file) is first
    coco_file(file, ["x.jpg", "y.jpg"])
    assert set(load_coco(file).images) == {"x", "y"}


def test_a_folder_of_annotations_is_a_data_set(tmp_path: Path) -> None:
    names = pictures(tmp_path / "images", 4)
    file = coco_file(tmp_path / "a.json", [f"C:\\upload\\{name}" for name in names])
    table(tmp_path, "background", "cat", "dog", "eel")
    (tmp_path / "aucseg.yaml").write_text("layout: coco\nimages: images/{name}.png\nmasks: a.json\n")
    located = resolve(tmp_path)
    report = located.verify()
    assert report.ok, report.problems
    assert report.layout == "coco"
    assert report.splits == {"all": 4}
    data = open_dataset(tmp_path, split="all")
    image, mask = data[1]
    assert image.shape == (3, HEIGHT, WIDTH)
    assert mask.unique().tolist() == [0, 2]
    # whatever is kept of the masks, or known by their content, follows the file and the way they are drawn
    before = data.fingerprint(), located.masks("all").state(data.files[0][1])
    (tmp_path / "aucseg.yaml").write_text(
        "layout: coco\nimages: images/{name}.png\nmasks: a.json\noverlap: order\n"
    )
    other = open_dataset(tmp_path, split="all").fingerprint(), resolve(tmp_path).masks("all")
    assert before[0] != other[0]
    assert before[1] != other[1].state(data.files[0][1])
    coco_file(file, [*names, "never.png"])
    problems = resolve(tmp_path).verify().problems
    assert [(Path(p.file).name, p.what) for p in problems] == [("never", "mask without image")]


def test_each_split_has_its_file(tmp_path: Path) -> None:
    for folder, number in (("train", 3), ("valid", 2)):
        coco_file(tmp_path / folder / "_annotations.coco.json", pictures(tmp_path / folder, number))
    table(tmp_path, "background", "cat", "dog", "eel")
    (tmp_path / "aucseg.yaml").write_text(
        'layout: coco\nimages: "{split}/{name}.png"\nmasks: "{split}/_annotations.coco.json"\n'
        "splits: {train: train, val: valid}\n"
    )
    assert resolve(tmp_path).splits == ("train", "val")
    assert len(open_dataset(tmp_path, split="val")) == 2
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "small.txt").write_text("000\n")
    (tmp_path / "splits" / "train.txt").write_text("001\n002\n")
    assert resolve(tmp_path).splits == ("train", "val", "small")
    assert open_dataset(tmp_path).names == ("001", "002")
