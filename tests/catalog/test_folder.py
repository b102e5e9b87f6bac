"""Groups of a folder: from its tables, or by counting its masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aucseg.catalog import open_dataset
from aucseg.data.layouts.own import read_split
from aucseg.data.spec import load_spec
from aucseg.errors import DataError
from tests.data.folders import read_mask, replace_text


def test_spec_from_the_folder_counts_the_training_masks(tiny_camvid: Path) -> None:
    spec = open_dataset("folder", tiny_camvid, "val").spec
    assert spec.names == load_spec("camvid").names
    pixels = np.bincount(
        np.concatenate([read_mask(tiny_camvid, n).ravel() for n in read_split(tiny_camvid, "train")]),
        minlength=12,
    )[:11]
    np.testing.assert_allclose(spec.pixel_share, pixels / pixels.sum())
    expected = ["head" if s >= 0.1 else "tail" if s < 0.02 else "middle" for s in pixels / pixels.sum()]
    assert list(spec.groups) == expected
    assert spec.image_share[10] == 0.25


def test_groups_from_class_stats_or_the_column(tiny_camvid: Path) -> None:
    names = load_spec("camvid").names
    rows = [f"{n},{20 if i < 4 else 1}" for i, n in enumerate(names)]
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


def test_groups_that_cannot_be_known(tiny_camvid: Path) -> None:
    (tiny_camvid / "splits" / "train.txt").unlink()
    with pytest.raises(DataError, match="add the column group"):
        open_dataset("folder", tiny_camvid, "val")
    (tiny_camvid / "class_stats.csv").write_text("name,train_pct_labelled\nSky,10\n")
    with pytest.raises(DataError, match=r"no train_pct_labelled for class 'Building'; .*--write"):
        open_dataset("folder", tiny_camvid, "val")


def test_camvid_pack_groups_agree_with_the_shipped_ones(camvid_pack: Path) -> None:
    ours, shipped = (
        open_dataset("folder", camvid_pack, "train").spec,
        open_dataset("camvid", camvid_pack).spec,
    )
    assert ours.groups == shipped.groups
    np.testing.assert_allclose(ours.pixel_share, shipped.pixel_share, atol=1e-6)
