"""One pass over masks against brute force: counts, partial results, what is kept, bad files."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster
from PIL import Image
from scipy import ndimage

from aucseg.catalog import open_dataset, resolve
from aucseg.data.classes import read_classes
from aucseg.data.dataset import CachedDataset
from aucseg.data.reading import read_ids
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError
from aucseg.longtail import CountError, MaskFiles, Tally, count
from aucseg.longtail.counter import Chunk, count_chunk
from aucseg.streets import SyntheticStreets
from tests.longtail.tallies import label_set

K = 5
SPEC = label_set([f"c{i}" for i in range(K)], ("head", "middle", "tail", "tail", "middle"))


def brute_regions(mapped: np.ndarray) -> list[int]:
    return [ndimage.label(mapped == c, np.ones((3, 3)))[1] for c in range(K)]


def blobs(seed: int, shape: tuple[int, int] = (24, 31)) -> np.ndarray:
    """Smooth patches of K classes, some void, without the class ``seed % K``."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, K, (shape[0] // 4 + 1, shape[1] // 4 + 1)).astype(np.uint8)
    mask = np.kron(small, np.ones((4, 4), np.uint8))[: shape[0], : shape[1]].copy()
    mask[rng.random(shape) < 0.03] = 255
    mask[mask == seed % K] = 255
    return mask


@pytest.fixture
def files(tmp_path: Path) -> MaskFiles:
    """Eleven masks of different sizes."""
    (tmp_path / "masks").mkdir()
    places = [tmp_path / "masks" / f"{i}.png" for i in range(11)]
    for i, place in enumerate(places):
        Image.fromarray(blobs(i, (20 + i, 33 - i))).save(place)
    read = partial(read_ids, table=None)
    return MaskFiles(SPEC, [p.stem for p in places], places, read)


def test_scan_is_brute_force(files: MaskFiles) -> None:
    seen: list[tuple[int, int]] = []
    tally = count(files, regions=True, chunk_size=3, progress=lambda *now: seen.append(now))
    masks = [np.asarray(Image.open(place)) for place in files.places]
    pixels = np.array([[(m == c).sum() for c in range(K)] for m in masks])
    assert tally.by_image.toarray().tolist() == pixels.tolist()
    assert tally.pixels.tolist() == pixels.sum(0).tolist()
    assert tally.presence.tolist() == (pixels > 0).tolist()
    assert tally.images.tolist() == (pixels > 0).sum(0).tolist()
    assert tally.void_by_image.tolist() == [int((m == 255).sum()) for m in masks]
    both = [[sum((p[a] > 0) and (p[b] > 0) for p in pixels) for b in range(K)] for a in range(K)]
    assert tally.co_occurrence.tolist() == both
    assert tally.regions.tolist() == np.sum([brute_regions(m) for m in masks], 0).tolist()
    assert tally.image_size is None
    assert tally.max_image_pixels == max(m.size for m in masks)
    assert tally.mean_region_size == pytest.approx(pixels.sum(0) / tally.regions)
    expected = np.stack([pixels[:, [0]].sum(1), pixels[:, [1, 4]].sum(1), pixels[:, [2, 3]].sum(1)], 1)
    assert tally.group_pixels.tolist() == expected.tolist()
    assert seen[0] == (0, 11)
    assert seen[-1] == (11, 11)
    plain = count(files, workers=1)
    assert plain.same(replace(tally, regions_by_image=None))
    assert not plain.same(tally)
    with pytest.raises(ValueError, match="count with regions=True"):
        _ = plain.regions


class Interrupted(Exception):
    """What a killed scan looks like from inside."""


def read_counting(place: Path, log: Path) -> np.ndarray:
    with log.open("a") as file:
        file.write(f"{place.name}\n")
    return read_ids(place, None)


def test_a_killed_scan_goes_on(files: MaskFiles, tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "parts"
    source = replace(files, read=partial(read_counting, log=log))
    expected = count(files)

    def kill(done: int, total: int) -> None:
        if done >= 6:
            raise Interrupted

    with pytest.raises(Interrupted):
        count(source, folder=folder, workers=1, chunk_size=2, progress=kill)
    kept = {name for file in folder.glob("*.npz") for name in Tally.load(file, SPEC).image_names}
    assert 6 <= len(kept) < 11
    log.unlink()
    # a mask that changed in between is read again, and the other one of its chunk
    changed = {name for name in files.names if int(name) // 2 == int(min(kept)) // 2}
    os.utime(files.places[int(min(kept))], ns=(1, 1))
    assert count(source, folder=folder, workers=1, chunk_size=2).same(expected)
    again = {Path(name).stem for name in log.read_text().split()}
    assert again == (set(files.names) - kept) | changed


def test_a_cluster_counts_the_same(files: MaskFiles) -> None:
    options = {"processes": False, "dashboard_address": None, "protocol": "tcp://", "silence_logs": 50}
    with LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster:
        address = cluster.scheduler_address
        expected = count(files, regions=True)
        # one mask in a task: more tasks than are let loose at once
        assert count(files, regions=True, scheduler=address, chunk_size=1).same(expected)
        files.places[4].write_bytes(b"")
        with pytest.raises(CountError, match=r"4\.png: unreadable mask"):
            count(files, scheduler=address)
    with (
        LocalCluster(n_workers=0, **options) as idle,
        pytest.raises(DataError, match=r"has no workers; start some with `dask worker tcp:"),
    ):
        count(files, scheduler=idle.scheduler_address)


def test_nothing_else_in_the_folder_is_touched(files: MaskFiles, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.npz").write_text("x")
    count(files, folder=tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.npz"]
    count(files, folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match="cannot keep partial results"):
        count(files, folder=tmp_path / "mine" / "thesis.npz")


def test_bad_masks_are_all_named(files: MaskFiles, tmp_path: Path) -> None:
    files.places[2].write_bytes(b"x")
    Image.fromarray(np.full((4, 4), 9, np.uint8)).save(files.places[7])
    files.places[9].unlink()
    with pytest.raises(CountError) as caught:
        count(files, chunk_size=2, folder=tmp_path / "parts")
    assert len(caught.value.failures) == 3
    for part in ("3 of 11 masks", "2.png: unreadable mask", "label outside the classes: 9", "9.png"):
        assert part in str(caught.value)
    # those that were good are kept, so only the chunks of the bad ones are read again once they are mended
    assert len(list((tmp_path / "parts").glob("*.npz"))) == 3
    with pytest.raises(DataError, match="no masks to count"):
        count(replace(files, names=(), places=()))
    with pytest.raises(ValueError, match="at least 1 mask, got 0"):
        count(files, chunk_size=0)


def brute(root: Path, split: str) -> np.ndarray:
    """Pixels of each value in each mask of a folder, by NumPy alone."""
    names = (root / f"splits/{split}.txt").read_text().split()
    masks = [np.asarray(Image.open(root / f"annotations/{split}/{name}.png")) for name in names]
    return np.array([np.bincount(mask.ravel(), minlength=256) for mask in masks])


def test_folder_masks_are_brute_force(tiny_camvid: Path) -> None:
    expected = brute(tiny_camvid, "train")
    tally = count(resolve(tiny_camvid).masks("train"))
    assert tally.pixels.tolist() == expected.sum(0)[:11].tolist()
    assert tally.presence.tolist() == (expected[:, :11] > 0).tolist()
    assert tally.void == expected.sum(0)[11]
    assert (tally.image_size, tally.max_image_pixels) == ((64, 96), 64 * 96)
    names = tuple(row.name for row in read_classes(tiny_camvid).classes)[::-1]
    spec = ClassSpec("turned", names, ((0, 0, 0),) * 11, ("head",) * 5 + ("tail",) * 6)
    turned = count(resolve(tiny_camvid, spec=spec).masks("train"))
    assert turned.pixels.tolist() == tally.pixels.tolist()[::-1]
    assert turned.num_images == 4
    assert tally.with_spec(spec).same(turned)
    assert tally.with_spec(spec).tail == spec.tail


class Held:
    """Masks in memory, as a data set shows them."""

    spec = SPEC

    def __init__(self, masks: list[np.ndarray]) -> None:
        self.masks = masks
        self.names = [f"m{i}" for i in range(len(masks))]

    def mask(self, index: int) -> np.ndarray:
        return self.masks[index]

    def fingerprint(self) -> str:
        return str(sum(int(m.sum()) for m in self.masks))


def test_a_data_set_is_counted_by_its_masks(files: MaskFiles, tmp_path: Path) -> None:
    masks = [np.asarray(Image.open(place)) for place in files.places]
    tally = count(Held(masks), regions=True)
    assert tally.same(count(replace(files, names=[f"m{i}" for i in range(11)]), regions=True))
    masks[3] = np.full((4, 4), 9, np.uint8)
    with pytest.raises(CountError, match=r"^m3: label outside the classes: 9 \(16 pixels\)"):
        count(Held(masks))


def test_what_every_data_set_shows(tiny_camvid: Path) -> None:
    """At the size that it shows: streets, files resized, the first of them in memory."""
    streets = SyntheticStreets(3, size=(32, 64))
    small = open_dataset("folder", tiny_camvid, "train", size=(16, 24))
    for data in (streets, small, CachedDataset(small, num_images=2), CachedDataset(streets)):
        masks = [np.asarray(data[i][1]) for i in range(len(data))]
        k = data.spec.num_classes
        expected = [np.bincount(m.ravel(), minlength=256)[:k].tolist() for m in masks]
        assert count(data).by_image.toarray().tolist() == expected


def test_no_image_is_opened(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    for path in (tiny_camvid / "images").rglob("*.jpg"):
        path.unlink()
    assert count(data).num_images == 4


def test_a_kept_tally_is_read_until_a_mask_changes(files: MaskFiles, tmp_path: Path) -> None:
    log, file = tmp_path / "log", tmp_path / "kept.npz"
    source = replace(files, read=partial(read_counting, log=log))
    count(source, file=file, write=False)
    assert not file.exists()
    fresh = count(source, file=file, workers=1)
    log.unlink()
    kept = count(source, file=file)
    assert not log.exists()
    assert kept.same(fresh)
    assert kept.void == fresh.void
    # other questions and other masks have other answers
    assert count(source, file=file, regions=True, write=False).has_regions
    os.utime(files.places[3], ns=(1, 1))
    assert count(source, file=file).same(fresh)
    assert len(log.read_text().split()) == 22
    # what an older version kept is counted again, what is damaged says so
    with np.load(file) as old:
        np.savez(file, **{**old, "version": np.array(1)})
    assert count(source, file=file).same(fresh)
    assert len(log.read_text().split()) == 33
    file.write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"not counts of masks.*delete it"):
        count(source, file=file)


def test_a_kept_tally_knows_the_size_of_its_data_set(tiny_camvid: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.npz"
    sizes = ((16, 24), (32, 48))
    for size in (*sizes, *sizes):
        data = open_dataset("folder", tiny_camvid, "train", size=size)
        for shown in (data, CachedDataset(data)):
            assert count(shown, file=file).same(count(shown))


def test_files_that_do_not_fit(files: MaskFiles) -> None:
    with pytest.raises(ValueError, match="10 names but 11 places"):
        replace(files, names=files.names[:10])
    with pytest.raises(ValueError, match="lookup has shape"):
        replace(files, lookup=np.zeros(5, np.int16))


def test_what_a_task_leaves_holds_nothing_else(tiny_camvid: Path) -> None:
    """A view into the table of a task would keep 2 KiB a mask: 200 MiB for the masks of COCO-Stuff."""
    masks = resolve(tiny_camvid).masks("train")
    assert masks.lookup is not None
    chunk = Chunk(masks.spec, tuple(masks.names), tuple(masks.places), masks.read, masks.lookup, True)
    tally = count_chunk(chunk).tally
    assert tally is not None
    tables = (tally.by_image, tally.regions_by_image)
    for array in (*(a for t in tables for a in (t.data, t.indices, t.indptr)), tally.void_by_image):
        held = array if array.base is None else array.base
        assert held.nbytes <= 2 * array.nbytes
