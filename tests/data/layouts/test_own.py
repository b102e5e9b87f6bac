"""The package's own layout: lists, names, missing files, ids by the class table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from aucseg.catalog import open_dataset
from aucseg.data.layouts.own import read_split
from aucseg.data.spec import ClassSpec, load_spec
from aucseg.errors import DataError
from tests.data.folders import read_mask, replace_text, write_mask


def test_items_are_tv_tensors_with_void_255(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    image, mask = data[0]
    assert len(data) == 4
    assert isinstance(image, tv_tensors.Image)
    assert isinstance(mask, tv_tensors.Mask)
    assert image.dtype == mask.dtype == torch.uint8
    assert image.shape == (3, 64, 96)
    file = read_mask(tiny_camvid)
    np.testing.assert_array_equal(mask.numpy(), np.where(file == 11, 255, file))
    np.testing.assert_array_equal(
        image.numpy(), np.array(Image.open(tiny_camvid / "images/train/train_000.jpg")).transpose(2, 0, 1)
    )
    assert len(list(data)) == 4
    torch.testing.assert_close(data[-1][1], data[3][1])
    with pytest.raises(IndexError, match="index 4 out of range for 4 items"):
        data[4]


def test_file_ids_map_to_train_ids_by_name(tiny_camvid: Path) -> None:
    """A void row first, gaps in the ids, and a spec in another order."""
    (tiny_camvid / "classes.csv").write_text(
        "id,name,r,g,b,ignore\n0,nothing,0,0,0,1\n7,car,1,1,1,0\n3,road,2,2,2,0\n200,tree,3,3,3,0\n"
    )
    ids = np.array([[0, 7], [3, 200], [255, 7]], np.uint8)
    Image.fromarray(np.zeros((3, 2, 3), np.uint8)).save(tiny_camvid / "images/train/train_000.jpg")
    for name in read_split(tiny_camvid, "train"):
        write_mask(tiny_camvid, ids, name)
    assert open_dataset("folder", tiny_camvid, "train")[0][1].tolist() == [[255, 0], [1, 2], [255, 0]]
    spec = ClassSpec("mine", ("tree", "car", "road"), ((0, 0, 0),) * 3, ("head",) * 3)
    assert open_dataset("folder", tiny_camvid, "train", spec=spec)[0][1].tolist() == [
        [255, 1],
        [2, 0],
        [255, 1],
    ]


def test_without_class_table_a_spec_is_enough(tiny_camvid: Path) -> None:
    (tiny_camvid / "classes.csv").unlink()
    with pytest.raises(DataError, match=r"no data set yet: it has no classes\.csv; `aucseg data init"):
        open_dataset("folder", tiny_camvid, "train")
    data = open_dataset("folder", tiny_camvid, "train", spec=load_spec("camvid"))
    with pytest.raises(DataError, match=r"train_000\.png: label outside the classes: 11 .* 0 to 10, 255"):
        data[0]


def test_missing_root_split_and_empty_split(tiny_camvid: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder; check the path"):
        open_dataset("folder", tiny_camvid / "nowhere", "train")
    with pytest.raises(DataError, match=r"trian\.txt: no such split file; splits found: train, val, test"):
        open_dataset("folder", tiny_camvid, "trian")
    (tiny_camvid / "splits/train.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"train\.txt: the split is empty"):
        open_dataset("folder", tiny_camvid, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_000\ntrain_000\n", "'train_000' stands there 2 times"),
        ("../secret\n", "leads outside the folder"),
    ],
)
def test_bad_names_in_a_split(tiny_camvid: Path, text: str, message: str) -> None:
    (tiny_camvid / "splits/train.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        open_dataset("folder", tiny_camvid, "train")


def test_names_with_dots_and_folders(tiny_camvid: Path) -> None:
    for kind, suffix in (("images", ".jpg"), ("annotations", ".png")):
        (tiny_camvid / kind / "train/aachen").mkdir()
        old = tiny_camvid / kind / f"train/train_000{suffix}"
        old.rename(tiny_camvid / kind / f"train/aachen/frame.0001{suffix}")
    replace_text(tiny_camvid / "splits/train.txt", "train_000", "aachen/frame.0001")
    assert open_dataset("folder", tiny_camvid, "train")[0][0].shape == (3, 64, 96)


def test_missing_image_and_mask(tiny_camvid: Path) -> None:
    (tiny_camvid / "images/train/train_001.jpg").unlink()
    with pytest.raises(DataError, match=r"train_001\.jpg: missing image .*take 'train_001' out of"):
        open_dataset("folder", tiny_camvid, "train")
    (tiny_camvid / "annotations/val/val_001.png").unlink()
    with pytest.raises(DataError, match=r"val_001\.png: missing mask; add it or take"):
        open_dataset("folder", tiny_camvid, "val")
