"""Groups of a folder: from its tables, or by counting its masks."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aucseg.catalog import open_dataset, resolve
from aucseg.data.layouts.own import read_split
from aucseg.data.spec import load_spec
from aucseg.errors import DataError
from aucseg.longtail import auto_thresholds, count, share_partition
from aucseg.training import DataConfig
from aucseg.training.splits import build_dataset
from tests.data.folders import read_mask, replace_text


def test_spec_from_the_folder_counts_the_training_masks(tiny_camvid: Path) -> None:
    spec = open_dataset("folder", tiny_camvid, "val").spec
    assert spec.names == load_spec("camvid").names
    pixels = np.bincount(
        np.concatenate([read_mask(tiny_camvid, n).ravel() for n in read_split(tiny_camvid, "train")]),
        minlength=12,
    )[:11]
    np.testing.assert_allclose(spec.pixel_share, pixels / pixels.sum())
    head, tail = auto_thresholds(11)
    expected = ["head" if s >= head else "tail" if s < tail else "middle" for s in pixels / pixels.sum()]
    assert list(spec.groups) == expected
    assert spec.image_share[10] == 0.25


def test_groups_from_class_stats_or_the_column(tiny_camvid: Path) -> None:
    names = load_spec("camvid").names
    rows = [f"{n},{20 if i < 4 else 0.5}" for i, n in enumerate(names)]
    (tiny_camvid / "class_stats.csv").write_text("name,train_pct_labelled\n" + "\n".join(rows) + "\n")
    assert open_dataset("folder", tiny_camvid, "train").spec.groups == ("head",) * 4 + ("tail",) * 7
    lines = (tiny_camvid / "classes.csv").read_text().splitlines()
    (tiny_camvid / "classes.csv").write_text(
        "\n".join([lines[0] + ",group", *(line + ",middle" for line in lines[1:])])
    )
    assert open_dataset("folder", tiny_camvid, "train").spec.groups == ("middle",) * 11
    replace_text(tiny_camvid / "classes.csv", "Sky,128,128,128,0,middle", "Sky,128,128,128,0,big")
    with pytest.raises(DataError, match="'Sky' has the group 'big'; use one of head, middle, tail"):
        open_dataset("folder", tiny_camvid, "train")


def test_a_table_that_does_not_fit(tiny_camvid: Path) -> None:
    (tiny_camvid / "class_stats.csv").write_text("name,train_pct_labelled\nSky,10\n")
    with pytest.raises(DataError, match=r"no train_pct_labelled for class 'Building'; .*--write"):
        open_dataset("folder", tiny_camvid, "val")
    # A table of another program says nothing of the split: the masks do.
    (tiny_camvid / "class_stats.csv").write_text("name,share\nSky,10\n")
    spec = open_dataset("folder", tiny_camvid, "val").spec
    (tiny_camvid / "class_stats.csv").unlink()
    assert open_dataset("folder", tiny_camvid, "val").spec == spec


def test_camvid_pack_shares_agree_with_the_shipped_ones(camvid_pack: Path) -> None:
    """Its groups by name are those that its recorded runs have; a folder of one's own follows the rule."""
    ours, shipped = resolve("folder", camvid_pack), resolve("camvid", camvid_pack)
    np.testing.assert_allclose(ours.spec.pixel_share, shipped.spec.pixel_share, atol=1e-6)
    assert shipped.partition.source == "the label set of camvid"
    assert shipped.spec.groups == shipped.partition.groups == load_spec("camvid").groups
    assert ours.spec.groups == share_partition(shipped.spec.pixel_share).groups


TRAINING = {
    "called train": (("train", "val"), None, "train"),
    "the only one": (("all",), None, "all"),
    "named": (("a", "b"), "b", "b"),
    "named beside train": (("train", "b"), "b", "b"),
    "none of several": (("a", "b"), None, "no split is called 'train' among a, b; say which one trains"),
    "not there": (("train", "val"), "trian", "no split 'trian' to train on; did you mean 'train'"),
    "none at all": ((), None, "is no data set yet: it has no list of a split; `aucseg data init"),
}


@pytest.mark.parametrize("case", TRAINING)
def test_which_split_trains(case: str, tiny_camvid: Path) -> None:
    """Groups follow from it in every way to open a folder, and it is never guessed."""
    splits, named, wanted = TRAINING[case]
    for old in ("train", "val", "test"):
        (tiny_camvid / f"splits/{old}.txt").unlink()
    for i, split in enumerate(splits):
        (tiny_camvid / f"splits/{split}.txt").write_text(f"x{i}\n")
        for kind, suffix in (("images", ".jpg"), ("annotations", ".png")):
            place = tiny_camvid / kind / split / f"x{i}{suffix}"
            place.parent.mkdir(exist_ok=True)
            shutil.copy(tiny_camvid / kind / "test" / f"test_{i:03d}{suffix}", place)
    located = resolve(tiny_camvid, train_split=named)
    if wanted not in splits:
        for ask in (lambda: located.training_split, lambda: located.spec, lambda: located.count()):
            with pytest.raises(DataError, match=wanted):
                ask()
        return
    counted = count(located.masks(wanted))
    assert located.training_split == wanted
    assert located.spec.groups == share_partition(counted.pixel_share).groups
    assert located.spec.pixel_share == tuple(counted.pixel_share)
    assert located.count().same(counted)
    assert located.partition.source.startswith(f"pixel shares of {wanted}, tail < ")
    for split in splits:
        opened = open_dataset(tiny_camvid, split=split, train_split=named)
        assert opened.spec == located.spec
    config = DataConfig(
        name="folder", root=tiny_camvid, size=(32, 48), train_split=wanted, eval_split=splits[0]
    )
    assert build_dataset(config, splits[0], None).spec == located.spec
    # and the same from the table, which holds no less
    located.keep()
    again = resolve(tiny_camvid, train_split=named)
    assert again.spec == replace(located.spec, image_share=())
    assert again.partition.reasons == located.partition.reasons


def test_a_table_of_another_program_is_not_overwritten(tiny_camvid: Path) -> None:
    path = tiny_camvid / "class_stats.csv"
    path.write_text("id,name,train_pixels,colour\n0,Sky,3,blue\n")
    with pytest.raises(DataError, match=r"class_stats\.csv: has other columns .* is not overwritten"):
        resolve(tiny_camvid).keep()
    assert "blue" in path.read_text()
    path.unlink()
    resolve(tiny_camvid).keep()
    resolve(tiny_camvid).keep()
