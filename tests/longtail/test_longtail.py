"""One pass over masks against brute force: runs, regions, scan, partial results, bad files."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy import ndimage

from aucseg.data.classes import read_classes
from aucseg.data.reading import read_ids
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError
from aucseg.longtail import (
    MaskCounts,
    MaskSource,
    ScanError,
    folder_masks,
    join,
    scan_masks,
    train_id_lookup,
)
from aucseg.longtail.chunk import count_chunk, cut
from aucseg.longtail.label_counts import count_labels
from aucseg.longtail.runs import encode_runs, region_classes, value_histogram

K = 5
EIGHT, FOUR = np.ones((3, 3)), ndimage.generate_binary_structure(2, 1)
MAPS = st.tuples(st.integers(1, 9), st.integers(1, 21)).flatmap(
    lambda size: arrays(np.uint8, size, elements=st.sampled_from([0, 1, 2, 3, 4, 7, 255]))
)
# 7 is another name of class 2, so that runs of different values can be one run of a class
LOOKUP = train_id_lookup(K)
LOOKUP[7] = 2


def brute_regions(mapped: np.ndarray, structure: np.ndarray) -> list[int]:
    return [ndimage.label(mapped == c, structure)[1] for c in range(K)]


@settings(deadline=None, max_examples=150)
@given(MAPS)
def test_histogram_is_a_bincount(ids: np.ndarray) -> None:
    assert value_histogram(ids).tolist() == np.bincount(ids.ravel(), minlength=256).tolist()
    assert value_histogram(ids.T).tolist() == value_histogram(ids).tolist()


def test_histogram_of_nothing() -> None:
    assert value_histogram(np.zeros((0, 4), np.uint8)).sum() == 0


@settings(deadline=None, max_examples=150)
@given(MAPS)
def test_regions_are_those_of_scipy_class_by_class(ids: np.ndarray) -> None:
    runs = encode_runs(ids, LOOKUP, K)
    mapped = LOOKUP[ids]
    drawn = np.full(ids.size, 255)
    for c, start, end in zip(runs.classes, runs.starts, runs.ends, strict=True):
        drawn[start:end] = c
    assert (drawn.reshape(ids.shape) == mapped).all()
    for connectivity, structure in ((8, EIGHT), (4, FOUR)):
        found = np.bincount(region_classes(runs, connectivity=connectivity), minlength=K)
        assert found.tolist() == brute_regions(mapped, structure)


def test_regions_of_a_hand_worked_map() -> None:
    ids = np.array([[0, 1, 0, 255], [1, 0, 255, 1], [1, 1, 0, 0]], np.uint8)
    # corners join the zeros and the ones on the left; the one at the right stands alone
    assert np.bincount(region_classes(encode_runs(ids, LOOKUP, K))).tolist() == [1, 2]
    assert np.bincount(region_classes(encode_runs(ids, LOOKUP, K), connectivity=4)).tolist() == [4, 3]
    with pytest.raises(ValueError, match="connectivity is 4 or 8, got 6"):
        region_classes(encode_runs(ids, LOOKUP, K), connectivity=6)


def blobs(seed: int, shape: tuple[int, int] = (24, 31)) -> np.ndarray:
    """Smooth patches of K classes, some void, without the class ``seed % K``."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, K, (shape[0] // 4 + 1, shape[1] // 4 + 1)).astype(np.uint8)
    mask = np.kron(small, np.ones((4, 4), np.uint8))[: shape[0], : shape[1]].copy()
    mask[rng.random(shape) < 0.03] = 255
    mask[mask == seed % K] = 255
    return mask


@pytest.fixture
def files(tmp_path: Path) -> MaskSource:
    """Eleven masks of different sizes."""
    (tmp_path / "masks").mkdir()
    places = [tmp_path / "masks" / f"{i}.png" for i in range(11)]
    for i, place in enumerate(places):
        Image.fromarray(blobs(i, (20 + i, 33 - i))).save(place)
    read = partial(read_ids, table=None)
    names = tuple(f"c{i}" for i in range(K))
    return MaskSource([p.stem for p in places], places, read, train_id_lookup(K), names)


def test_scan_is_brute_force(files: MaskSource) -> None:
    seen: list[tuple[int, int]] = []
    counts = scan_masks(files, regions=True, chunk_size=3, progress=lambda *now: seen.append(now))
    masks = [np.asarray(Image.open(place)) for place in files.places]
    pixels = np.array([[(m == c).sum() for c in range(K)] for m in masks])
    assert counts.matrix.toarray().tolist() == pixels.tolist()
    assert counts.pixels.tolist() == pixels.sum(0).tolist()
    assert counts.presence.tolist() == (pixels > 0).tolist()
    assert counts.images.tolist() == (pixels > 0).sum(0).tolist()
    assert counts.image_void.tolist() == [int((m == 255).sum()) for m in masks]
    both = [[sum((p[a] > 0) and (p[b] > 0) for p in pixels) for b in range(K)] for a in range(K)]
    assert counts.co_occurrence.tolist() == both
    assert counts.regions.tolist() == np.sum([brute_regions(m, EIGHT) for m in masks], 0).tolist()
    assert counts.mean_region_size == pytest.approx(pixels.sum(0) / counts.regions)
    groups = ("head", "middle", "tail", "tail", "middle")
    expected = np.stack([pixels[:, [0]].sum(1), pixels[:, [1, 4]].sum(1), pixels[:, [2, 3]].sum(1)], 1)
    assert counts.group_pixels(groups).tolist() == expected.tolist()
    with pytest.raises(ValueError, match="2 groups for 5 classes"):
        counts.group_pixels(("head", "tail"))
    assert seen[0] == (0, 11)
    assert seen[-1] == (11, 11)
    plain = scan_masks(files, workers=1)
    assert plain.same(replace(counts, entry_regions=None))
    assert not plain.same(counts)
    with pytest.raises(ValueError, match="scan with regions=True"):
        _ = plain.regions


def test_saved_counts_come_back(files: MaskSource, tmp_path: Path) -> None:
    for regions in (False, True):
        counts = scan_masks(files, regions=regions)
        assert MaskCounts.load(counts.save(tmp_path / "counts.npz")).same(counts)
    (tmp_path / "broken.npz").write_bytes((tmp_path / "counts.npz").read_bytes()[:-40])
    (tmp_path / "text.npz").write_text("pixels")
    for name in ("broken.npz", "text.npz"):
        with pytest.raises(DataError, match="not counts of masks"):
            MaskCounts.load(tmp_path / name)
    with pytest.raises(DataError, match="no such file; scan the masks first"):
        MaskCounts.load(tmp_path / "none.npz")
    with np.load(tmp_path / "counts.npz") as old:
        np.savez(tmp_path / "old.npz", **{**old, "version": np.array(0)})
    with pytest.raises(DataError, match="version 0 of the counts, this is 1"):
        MaskCounts.load(tmp_path / "old.npz")


class Interrupted(Exception):
    """What a killed scan looks like from inside."""


def read_counting(place: Path, log: Path) -> np.ndarray:
    with log.open("a") as file:
        file.write(f"{place.name}\n")
    return read_ids(place, None)


def test_a_killed_scan_goes_on(files: MaskSource, tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "parts"
    source = replace(files, read=partial(read_counting, log=log))
    expected = scan_masks(files)

    def kill(done: int, total: int) -> None:
        if done >= 6:
            raise Interrupted

    with pytest.raises(Interrupted):
        scan_masks(source, folder=folder, workers=1, chunk_size=2, progress=kill)
    kept = {name for file in folder.glob("*.npz") for name in MaskCounts.load(file).image_names}
    assert 6 <= len(kept) < 11
    log.unlink()
    # a mask that changed in between is read again, and the other one of its chunk
    changed = {name for name in files.names if int(name) // 2 == int(min(kept)) // 2}
    os.utime(files.places[int(min(kept))], ns=(1, 1))
    assert scan_masks(source, folder=folder, workers=1, chunk_size=2).same(expected)
    again = {Path(name).stem for name in log.read_text().split()}
    assert again == (set(files.names) - kept) | changed


def test_a_cluster_counts_the_same(files: MaskSource) -> None:
    options = {"processes": False, "dashboard_address": None, "protocol": "tcp://", "silence_logs": 50}
    with LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster:
        address = cluster.scheduler_address
        expected = scan_masks(files, regions=True)
        # one mask in a task: more tasks than are let loose at once
        assert scan_masks(files, regions=True, scheduler=address, chunk_size=1).same(expected)
        files.places[4].write_bytes(b"")
        with pytest.raises(ScanError, match=r"4\.png: unreadable mask"):
            scan_masks(files, scheduler=address)
    with (
        LocalCluster(n_workers=0, **options) as idle,
        pytest.raises(DataError, match=r"has no workers; start some with `dask worker tcp:"),
    ):
        scan_masks(files, scheduler=idle.scheduler_address)


def test_nothing_else_in_the_folder_is_touched(files: MaskSource, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.npz").write_text("x")
    scan_masks(files, folder=tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.npz"]
    scan_masks(files, folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match="cannot keep partial results"):
        scan_masks(files, folder=tmp_path / "mine" / "thesis.npz")


def test_bad_masks_are_all_named(files: MaskSource, tmp_path: Path) -> None:
    files.places[2].write_bytes(b"x")
    Image.fromarray(np.full((4, 4), 9, np.uint8)).save(files.places[7])
    files.places[9].unlink()
    with pytest.raises(ScanError) as caught:
        scan_masks(files, chunk_size=2, folder=tmp_path / "parts")
    assert len(caught.value.failures) == 3
    for part in ("3 of 11 masks", "2.png: unreadable mask", "label outside the classes: 9", "9.png"):
        assert part in str(caught.value)
    # those that were good are kept, so only the chunks of the bad ones are read again once they are mended
    assert len(list((tmp_path / "parts").glob("*.npz"))) == 3
    with pytest.raises(DataError, match="no masks to count"):
        scan_masks(replace(files, names=(), places=()))
    with pytest.raises(ValueError, match="at least 1 mask, got 0"):
        scan_masks(files, chunk_size=0)


def test_folder_masks_are_those_of_count_labels(tiny_camvid: Path) -> None:
    table = read_classes(tiny_camvid)
    expected = count_labels(tiny_camvid, "train", table)
    counts = scan_masks(folder_masks(tiny_camvid, "train"))
    assert counts.label_counts().pixels.tolist() == expected.pixels.tolist()
    assert counts.presence.tolist() == expected.presence.tolist()
    assert counts.label_counts().void == expected.void
    names = tuple(row.name for row in table.classes)[::-1]
    spec = ClassSpec("turned", names, ((0, 0, 0),) * 11, ("head",) * 5 + ("tail",) * 6)
    turned = scan_masks(folder_masks(tiny_camvid, "train", spec))
    assert turned.pixels.tolist() == expected.pixels.tolist()[::-1]
    assert turned.statistics(spec).num_images == 4
    with pytest.raises(ValueError, match="scan with the same label set"):
        counts.statistics(spec)


def test_counts_that_do_not_fit() -> None:
    good = MaskCounts(
        ("a", "b"), ("x",), np.array([0, 1]), np.array([1], np.uint8), np.array([4]), np.zeros(1)
    )
    assert join([good, good]).pixels.tolist() == [0, 8]
    for change, message in (
        ({"image_names": ("x", "y")}, "2 image names"),
        ({"entry_pixels": np.array([4, 4])}, "1 classes of entries, 2 pixel counts"),
        ({"entry_class": np.array([2], np.uint8)}, "an entry of class 2 of 2"),
        ({"entry_regions": np.array([1, 1])}, "2 region counts"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(good, **change)
    with pytest.raises(ValueError, match="nothing was counted"):
        join([])
    with pytest.raises(ValueError, match="different classes"):
        join([good, replace(good, class_names=("a", "c"))])
    with pytest.raises(ValueError, match="1 of 2 parts have regions"):
        join([good, replace(good, entry_regions=np.array([1]))])


def test_source_that_does_not_fit(files: MaskSource) -> None:
    with pytest.raises(ValueError, match="10 names but 11 places"):
        replace(files, names=files.names[:10])
    with pytest.raises(ValueError, match="lookup has shape"):
        replace(files, lookup=np.zeros(5, np.int16))
    with pytest.raises(ValueError, match="1 to 255 classes, got 0"):
        replace(files, class_names=())


def test_what_a_task_leaves_holds_nothing_else(tiny_camvid: Path) -> None:
    """A view into the table of a task would keep 2 KiB a mask: 200 MiB for the masks of COCO-Stuff."""
    (chunk,) = cut(folder_masks(tiny_camvid, "train"), 64, regions=True)
    counts = count_chunk(chunk).counts
    assert counts is not None
    for name in ("offsets", "entry_class", "entry_pixels", "image_void", "entry_regions"):
        array = getattr(counts, name)
        held = array if array.base is None else array.base
        assert held.nbytes <= 2 * array.nbytes, name
