"""Data sets of files, and those that are kept in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aucseg.catalog import open_dataset
from aucseg.data import CachedDataset
from aucseg.errors import DataError
from aucseg.streets import SyntheticStreets


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
