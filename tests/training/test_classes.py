"""What is counted of a training split: when, how often, and what of it a checkpoint keeps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from aucseg.data import load_spec
from aucseg.experiments import make_config
from aucseg.longtail import Tally
from aucseg.training import ClassInfo, RunConfig, SegmentationDataModule, classes

SPEC = load_spec("cityscapes")


@pytest.fixture(autouse=True)
def _nothing_counted_yet(monkeypatch, tmp_path):
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(classes, "TALLIES", {})


@pytest.fixture
def counted(monkeypatch) -> list:
    """The data sets that were counted."""
    calls, count = [], classes.count
    monkeypatch.setattr(
        classes, "count", lambda data, **options: calls.append(data) or count(data, **options)
    )
    return calls


def own(folder, **changes) -> RunConfig:
    return RunConfig.from_dict(
        {
            "data": {"name": "folder", "root": str(folder), "size": (30, 40)} | changes,
            "optim": {"steps": 2000},
        }
    )


def test_counts_are_those_of_the_masks_at_the_size_of_the_training(tiny_camvid):
    data = SegmentationDataModule(own(tiny_camvid))
    masks = np.stack([np.asarray(data.train_set[i][1]) for i in range(len(data.train_set))])
    k = data.spec.num_classes
    assert data.classes.pixels.tolist() == [(masks == label).sum() for label in range(k)]
    assert data.classes.images.tolist() == [(masks == label).any((1, 2)).sum() for label in range(k)]
    assert data.classes.num_images == len(masks)
    assert (data.classes.num_classes, data.classes.ignore_index) == (k, 255)
    assert data.classes.tail == data.spec.tail
    assert data.presence.tolist() == [[bool((mask == label).any()) for label in range(k)] for mask in masks]


def test_no_image_is_opened(tiny_camvid, monkeypatch):
    """Not even where images are too many to be kept in memory."""
    monkeypatch.setattr("aucseg.training.splits.CACHE_BYTES", 0)
    monkeypatch.setattr("aucseg.data.dataset.read_image", lambda path: pytest.fail(f"opened {path}"))
    data = SegmentationDataModule(own(tiny_camvid, sampling="stratified"))
    assert data.presence.shape == (len(data.train_set), data.spec.num_classes)
    assert len(list(data.sampler())) == 2000


def test_masks_are_counted_when_a_number_is_asked_for_and_once(tiny_camvid, counted):
    config = own(tiny_camvid)
    data = SegmentationDataModule(config)
    assert data.classes.tail == data.spec.tail
    assert data.classes.state()["counts"] is None
    assert not counted
    first = data.classes.pixels
    assert data.presence.any()
    again = SegmentationDataModule(config)  # another run of a table
    assert np.array_equal(again.classes.pixels, first)
    assert len(counted) == 1
    assert SegmentationDataModule(own(tiny_camvid, size=(60, 80))).classes.pixels.sum() > first.sum()
    assert SegmentationDataModule(own(tiny_camvid, train_images=1)).classes.num_images == 1
    assert len(counted) == 3


def test_counts_of_a_large_split_are_kept_and_follow_its_masks(tiny_camvid, counted, monkeypatch, tmp_path):
    monkeypatch.setattr(classes, "KEPT_FROM", 2)
    config = own(tiny_camvid)
    first = SegmentationDataModule(config).classes.pixels
    (file,) = (tmp_path / "home" / "runs" / "counts").iterdir()
    written = file.stat().st_mtime_ns
    classes.TALLIES.clear()  # another process
    assert np.array_equal(SegmentationDataModule(config).classes.pixels, first)
    assert file.stat().st_mtime_ns == written
    classes.TALLIES.clear()
    mask = next((tiny_camvid / "annotations" / "train").iterdir())
    with Image.open(mask) as image:
        ids = np.asarray(image)
    Image.fromarray(np.full_like(ids, ids[0, 0])).save(mask)
    assert not np.array_equal(SegmentationDataModule(config).classes.pixels, first)


def test_a_checkpoint_keeps_the_sums():
    tally = Tally(SPEC, np.arange(19), np.ones(19, np.int64), 7)
    info = ClassInfo(SPEC, lambda: tally)
    assert ClassInfo.from_state(info.state()).state() == {"spec": SPEC.to_dict(), "counts": None}
    assert info.pixels[3] == 3
    state = json.loads(json.dumps(info.state()))
    again = ClassInfo.from_state(state)
    assert again.spec == SPEC
    assert np.array_equal(again.pixels, info.pixels)
    assert np.array_equal(again.images, info.images)
    assert again.num_images == 7
    assert again.state() == info.state()
    assert ClassInfo.from_state({"spec": SPEC.to_dict()}).tail == SPEC.tail  # of an earlier version


def test_classes_that_were_not_counted_say_so():
    with pytest.raises(ValueError, match=r"'cityscapes' were not counted; give ClassInfo a tally"):
        _ = ClassInfo(SPEC).pixels


def test_streets_are_counted_without_pictures(counted, monkeypatch):
    monkeypatch.setattr("aucseg.streets.dataset.SyntheticStreets.render", lambda *a: pytest.fail("drawn"))
    data = SegmentationDataModule(make_config("streets", "smoke", data={"size": (40, 56)}))
    assert data.classes.num_images == 8
    assert len(counted) == 1
