"""Data sets of files, and those that are kept in memory."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._utils import ExceptionWrapper
from torchvision import tv_tensors

from aucseg.catalog import open_dataset
from aucseg.data import CachedDataset
from aucseg.data.dataset import resize_item
from aucseg.errors import DataError
from aucseg.streets import SyntheticStreets
from tests.data.folders import read_mask, replace_text, write_mask


class Counting(SyntheticStreets):
    """Streets that count how often one is drawn."""

    drawn = 0

    def __getitem__(self, index: int) -> Any:
        self.drawn += 1
        return super().__getitem__(index)


def test_each_item_is_made_once() -> None:
    streets = Counting(3, size=(32, 48))
    cached = CachedDataset(streets)
    first = [cached[i] for i in (0, 2, 0, 2)]
    assert streets.drawn == 2
    assert first[0][0] is first[2][0]
    assert len(cached) == 3
    assert cached.spec == streets.spec
    assert cached.fingerprint() == streets.fingerprint()


def test_a_mask_alone_draws_no_image() -> None:
    streets = Counting(3, size=(32, 48))
    cached = CachedDataset(streets, num_images=2)
    assert cached.names == streets.names[:2]
    alone = cached.mask(1)
    assert streets.drawn == 0
    assert (alone == cached[1][1]).all()
    assert cached.mask(1) is cached[1][1]
    with pytest.raises(IndexError, match="2 images"):
        cached.mask(2)


def test_keep_nothing() -> None:
    streets = Counting(3, size=(32, 48))
    cached = CachedDataset(streets, keep=False)
    assert all((a == b).all() for a, b in zip(cached[1], cached[1], strict=True))
    assert streets.drawn == 2


def test_the_first_images_are_other_data() -> None:
    streets = SyntheticStreets(3, size=(32, 48))
    part = CachedDataset(streets, num_images=2)
    assert len(part) == 2
    assert part.fingerprint() != streets.fingerprint()
    assert part.fingerprint() != CachedDataset(streets, num_images=1).fingerprint()
    with pytest.raises(IndexError, match="2 images"):
        part[2]


@pytest.mark.parametrize("count", [0, 4])
def test_bad_number_of_images(count: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to 3, got {count}"):
        CachedDataset(SyntheticStreets(3, size=(32, 48)), num_images=count)


def test_a_file_that_is_gone_has_no_fingerprint(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "val")
    (tiny_camvid / "images/val/val_001.jpg").unlink()
    with pytest.raises(DataError, match=r"val_001\.jpg: cannot be read \(No such file or directory\); check"):
        data.fingerprint()


def test_resize_against_pixel_centres(tiny_camvid: Path) -> None:
    """Oracle: the mask pixel that holds each new centre, found by index arithmetic."""
    full = open_dataset("folder", tiny_camvid, "train")[1]
    image, mask = open_dataset("folder", tiny_camvid, "train", size=(24, 40))[1]
    assert image.shape == (3, 24, 40)
    assert isinstance(image, tv_tensors.Image)
    rows = ((np.arange(24) + 0.5) * 64 / 24).astype(int)
    columns = ((np.arange(40) + 0.5) * 96 / 40).astype(int)
    np.testing.assert_array_equal(mask.numpy(), full[1].numpy()[np.ix_(rows, columns)])
    assert abs(float(image.float().mean()) - float(full[0].float().mean())) < 2
    with pytest.raises(ValueError, match=r"\(height, width\).*got \(0, 4\)"):
        open_dataset("folder", tiny_camvid, "train", size=(0, 4))


def test_resize_keeps_a_constant_image() -> None:
    image, mask = resize_item(torch.full((3, 10, 14), 77).byte(), torch.full((10, 14), 5).byte(), (7, 5))
    assert image.unique().tolist() == [77]
    assert mask.unique().tolist() == [5]


def test_cache_gives_equal_items_that_are_copies(tiny_camvid: Path) -> None:
    plain = open_dataset("folder", tiny_camvid, "train", size=(32, 48))
    cached = open_dataset("folder", tiny_camvid, "train", size=(32, 48), cache=True)
    first = [plain[i] for i in range(4)]
    shutil.rmtree(tiny_camvid / "images")
    for i in range(4):
        image, mask = cached[i]
        torch.testing.assert_close(image, first[i][0])
        torch.testing.assert_close(mask, first[i][1])
        image.zero_()
        mask.fill_(255)
    torch.testing.assert_close(cached[0][0], first[0][0])
    torch.testing.assert_close(cached[0][1], first[0][1])


def test_cache_finds_a_bad_file_at_once(tiny_camvid: Path) -> None:
    path = tiny_camvid / "images/train/train_002.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train_002\.jpg: unreadable image"):
        open_dataset("folder", tiny_camvid, "train", cache=True)


def test_fingerprint_follows_content_only(tiny_camvid: Path, tmp_path: Path) -> None:
    first = open_dataset("folder", tiny_camvid, "train").fingerprint()
    assert len(first) == 64
    int(first, 16)
    moved = tmp_path / "elsewhere"
    shutil.copytree(tiny_camvid, moved)
    assert open_dataset("folder", moved, "train", size=(8, 8), cache=True).fingerprint() == first
    assert open_dataset("folder", moved, "val").fingerprint() != first

    names = (moved / "splits/train.txt").read_text()
    (moved / "splits/train.txt").write_text("\n".join(reversed(names.split())))
    assert open_dataset("folder", moved, "train").fingerprint() != first
    (moved / "splits/train.txt").write_text(names)
    assert open_dataset("folder", moved, "train").fingerprint() == first

    mask = read_mask(moved)
    mask[0, 0] = 0
    write_mask(moved, mask)
    assert open_dataset("folder", moved, "train").fingerprint() != first
    shutil.copy(tiny_camvid / "annotations/train/train_000.png", moved / "annotations/train/train_000.png")
    replace_text(moved / "classes.csv", "10,Bicyclist,0,128,192,0", "10,Bicyclist,0,128,192,1")
    assert open_dataset("folder", moved, "train").fingerprint() != first


def test_an_error_survives_a_loader_worker(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    (tiny_camvid / "images/train/train_003.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        data[3]
    error = caught.value
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.file, copy.remedy) == (str(error), error.file, error.remedy)
    # what a loader worker sends to the main process, which makes the error anew from its message
    wrapped = ExceptionWrapper((caught.type, error, caught.tb), where="in a worker")
    with pytest.raises(DataError, match=r"train_003\.jpg: unreadable image"):
        wrapped.reraise()
