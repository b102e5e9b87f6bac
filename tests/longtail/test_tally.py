"""Tallies: what does not fit, joining, reordering, files, tables of counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from aucseg.errors import DataError
from aucseg.longtail import Tally, join
from tests.longtail.tallies import label_set, sums

SPEC = label_set(("a", "b", "c"), ("head", "middle", "tail"))
PIXELS = np.array([[3, 0, 1], [2, 5, 0]])


@pytest.fixture
def tally() -> Tally:
    return Tally.of_images(
        SPEC,
        PIXELS,
        regions=np.array([[2, 0, 1], [1, 1, 0]]),
        void=np.array([4, 0]),
        names=("x", "y"),
        image_size=(2, 4),
        max_image_pixels=8,
    )


def test_sums_by_hand(tally: Tally) -> None:
    assert tally.pixels.tolist() == [5, 5, 1]
    assert tally.images.tolist() == [2, 1, 1]
    assert tally.presence is not None
    assert tally.presence.tolist() == (PIXELS > 0).tolist()
    assert tally.regions.tolist() == [3, 1, 1]
    assert tally.group_pixels.tolist() == PIXELS.tolist()
    assert tally.pixel_share == pytest.approx([5 / 11, 5 / 11, 1 / 11])
    assert (tally.void, tally.num_images, tally.tail) == (4, 2, (2,))


def test_sums_alone() -> None:
    known = sums("abc", SPEC.groups, [5, 5, 1], [2, 1, 1], 2)
    assert known.presence is None
    assert known.void == 0
    for ask in (lambda: known.group_pixels, lambda: known.co_occurrence, lambda: known.save("x.npz")):
        with pytest.raises(ValueError, match=r"(not known; count the masks)"):
            ask()
    held = sums("abc", SPEC.groups, [5, 5, 1], [2, 1, 1], 2, PIXELS > 0)
    assert held.pixels_by_image is None
    assert held.co_occurrence.tolist() == [[2, 1, 1], [1, 1, 0], [1, 0, 1]]
    with pytest.raises(ValueError, match="the pixels of single images are not known"):
        _ = held.group_pixels


def test_what_does_not_fit(tally: Tally) -> None:
    for change, message in (
        ({"image_names": ("x",)}, "1 image names for 2 images"),
        ({"pixels": np.array([4, 4])}, "3 names but 2 pixels"),
        ({"images": np.array([1, 2, 1])}, "by_image does not add up to the image counts"),
        ({"num_images": 0}, "num_images=0 images, got counts from 1 to 2"),
        ({"by_image": csr_array(PIXELS[:1])}, r"by_image of shape \(1, 3\) for 3 classes in 2 images"),
        ({"regions_by_image": csr_array(np.ones((2, 3)))}, "regions_by_image does not add up"),
        ({"void_by_image": np.zeros(3)}, "3 void counts for 2 images"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(tally, **change)  # type: ignore[arg-type]


def test_join(tally: Tally) -> None:
    both = join([tally, tally])
    assert both.pixels.tolist() == [10, 10, 2]
    assert both.regions.tolist() == [6, 2, 2]
    assert both.image_names == ("x", "y", "x", "y")
    assert (both.void, both.image_size, both.max_image_pixels) == (8, (2, 4), 8)
    other = replace(tally, image_size=(3, 3), max_image_pixels=9)
    assert (join([tally, other]).image_size, join([tally, other]).max_image_pixels) == (None, 9)
    with pytest.raises(ValueError, match="nothing was counted"):
        join([])
    with pytest.raises(ValueError, match="different classes"):
        join([tally, Tally.of_images(label_set("abd"), PIXELS)])
    with pytest.raises(ValueError, match="1 of 2 parts have regions"):
        join([tally, replace(tally, regions_by_image=None)])


def test_another_label_set_of_the_same_classes(tally: Tally) -> None:
    spec = label_set(("c", "a", "b"), ("tail", "tail", "head"), "other")
    turned = tally.with_spec(spec)
    assert turned.name == "other"
    assert turned.pixels.tolist() == [1, 5, 5]
    assert turned.by_image is not None
    assert turned.by_image.toarray().tolist() == PIXELS[:, [2, 0, 1]].tolist()
    assert turned.regions.tolist() == [1, 3, 1]
    assert turned.with_spec(SPEC).same(tally)
    with pytest.raises(ValueError, match="count with the same label set"):
        tally.with_spec(label_set("abd"))


def test_saved_tallies_come_back(tally: Tally, tmp_path: Path) -> None:
    for each in (
        tally,
        replace(tally, regions_by_image=None, image_size=None),
        Tally.of_images(SPEC, PIXELS),
    ):
        path = each.save(tmp_path / "deep" / "counts.npz", key="k")
        back = Tally.load(path, SPEC)
        assert back.same(each)
        assert (back.image_size, back.max_image_pixels) == (each.image_size, each.max_image_pixels)
        kept = Tally.load_kept(path, SPEC, "k")
        assert kept is not None
        assert kept.same(each)
        assert Tally.load_kept(path, SPEC, "other") is None
    (tmp_path / "broken.npz").write_bytes(path.read_bytes()[:-40])
    (tmp_path / "text.npz").write_text("pixels")
    for name in ("broken.npz", "text.npz"):
        with pytest.raises(DataError, match="not counts of masks"):
            Tally.load(tmp_path / name, SPEC)
    with pytest.raises(DataError, match="no such file; count the masks first"):
        Tally.load(tmp_path / "none.npz", SPEC)
    with pytest.raises(
        DataError, match=r"the classes are \('a', 'b', 'c'\)\.\.\., wanted are \('a', 'b', 'd'\)"
    ):
        Tally.load(path, label_set("abd"))
    with np.load(path) as old:
        np.savez(tmp_path / "old.npz", **{**old, "version": np.array(1)})
    with pytest.raises(DataError, match="version 1 of the counts, this is 2"):
        Tally.load(tmp_path / "old.npz", SPEC)
    assert Tally.load_kept(tmp_path / "old.npz", SPEC, "k") is None
    with pytest.raises(DataError, match="cannot be written"):
        tally.save(tmp_path / "text.npz" / "counts.npz")


def test_table_of_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,c0,c1,c2\na,3,0,1\nb,2,0,0\n")
    counts = Tally.read_table(path, SPEC)
    assert counts.pixels.tolist() == [5, 0, 1]
    assert counts.presence is not None
    assert counts.presence.tolist() == [[True, False, True], [True, False, False]]
    assert counts.image_names == ("a", "b")
    for text, message in (
        ("file,c0\na,-1,1\n", "line 2"),
        ("file,c0\na,1,2,3\n", "line 2"),
        ("f\n", "no image"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            Tally.read_table(path, label_set("ab"))
    with pytest.raises(DataError, match="no such file"):
        Tally.read_table(tmp_path / "none.csv", SPEC)
