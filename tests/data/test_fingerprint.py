"""The content of files, read once and then known by their times."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from aucseg import paths
from aucseg.catalog import resolve
from aucseg.data import fingerprint as module
from aucseg.data.fingerprint import fingerprint, hash_files
from aucseg.errors import DataError
from tests.data.layouts.annotated import SQUARE, coco_file, pictures, table


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three files that were written a while ago, as far as the clock tells."""
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "_KNOWN", {})
    monkeypatch.setattr(module, "_TICK", -60.0)
    made = [tmp_path / name for name in "abc"]
    for file in made:
        file.write_bytes(file.name.encode() * 100)
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content was read."""
    names: list[str] = []
    digest = hashlib.file_digest

    def noted(file, kind):
        names.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr("hashlib.file_digest", noted)
    return names


def test_it_is_the_hash_of_the_content(files: list[Path]) -> None:
    assert hash_files(files) == [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    with pytest.raises(DataError, match="gone: cannot be read"):
        hash_files([files[0], files[0].with_name("gone")])


def test_a_file_is_read_again_only_if_it_may_have_changed(files: list[Path], read: list[str]) -> None:
    first = hash_files(files)
    assert sorted(read) == ["a", "b", "c"]
    assert hash_files(files) == first
    assert len(read) == 3
    times = files[1].stat().st_atime_ns, files[1].stat().st_mtime_ns
    files[1].write_bytes(b"B" * 100)  # of the same size
    os.utime(files[1], ns=times)  # and of the same time
    again = hash_files(files)
    assert read[3:] == ["b"]
    assert [a == b for a, b in zip(first, again, strict=True)] == [True, False, True]


def test_what_has_just_been_written_is_not_known_by_its_times(
    files: list[Path], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could be written again within the same tick of the clock."""
    monkeypatch.setattr(module, "_TICK", 3.0)
    hash_files(files)
    hash_files(files)
    assert len(read) == 6
    monkeypatch.setattr("time.time", lambda now=time.time: now() + 60)
    hash_files(files)
    hash_files(files)
    assert len(read) == 9


def test_many_are_known_to_the_next_process(
    files: list[Path], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_FROM", 3)
    first = hash_files(files)
    (kept,) = (paths.runs() / "hashes").iterdir()
    monkeypatch.setattr(module, "_KNOWN", {})
    assert hash_files(files) == first
    assert len(read) == 3
    for spoilt in ("", "{", "[1]", '{"a": 1}', '{"a": [["x"], "y"]}'):
        monkeypatch.setattr(module, "_KNOWN", {})
        kept.write_text(spoilt)
        assert hash_files(files) == first


def test_everything_that_makes_other_data_makes_another_fingerprint(files: list[Path]) -> None:
    a, b, c = files
    plain = {"train": (["x"], [(a, b)]), "val": (["y"], [(a, c)])}
    same = fingerprint(["cat", "dog"], [0, 1], plain, groups=None)
    assert len(same) == 64
    others = [
        fingerprint(["dog", "cat"], [0, 1], plain, groups=None),
        fingerprint(["cat", "dog"], [1, 0], plain, groups=None),
        fingerprint(["cat", "dog"], [0, 1], plain, groups=["head", "tail"]),
        fingerprint(["cat", "dog"], [0, 1], plain | {"val": (["z"], [(a, c)])}, groups=None),
        fingerprint(["cat", "dog"], [0, 1], plain | {"val": (["y"], [(b, c)])}, groups=None),
        fingerprint(["cat", "dog"], [0, 1], plain | {"val": (["y"], [(a, b)])}, groups=None),
        fingerprint(["cat", "dog"], [0, 1], {"train": plain["train"]}, groups=None),
        fingerprint(["cat", "dog"], [0, 1], {"val": plain["train"], "train": plain["val"]}, groups=None),
    ]
    assert len({same, *others}) == 9
    copies = [file.rename(file.with_name(file.name + "2")) for file in files]
    moved = {
        split: (names, [tuple(copies[files.index(p)] for p in pair) for pair in pairs])
        for split, (names, pairs) in plain.items()
    }
    assert fingerprint(["cat", "dog"], [0, 1], moved, groups=None) == same


def test_a_folder_of_annotations_has_a_fingerprint_of_how_they_are_drawn(tmp_path: Path) -> None:
    """Of the file of annotations, of the classes, and of the options of ``aucseg.yaml``."""
    names = pictures(tmp_path / "images", 2)
    coco_file(tmp_path / "a.json", names)
    table(tmp_path, "background", "cat", "dog", "eel")
    text = "layout: coco\nimages: images/{name}.png\nmasks: a.json\n"
    seen = []
    for change in ("", "overlap: order\n", "crowd: skip\n"):
        (tmp_path / "aucseg.yaml").write_text(text + change)
        seen.append(resolve(tmp_path).fingerprint(["all"]))
    coco_file(tmp_path / "a.json", names, [{"image_id": 1, "category_id": 2, "segmentation": [SQUARE]}])
    seen.append(resolve(tmp_path).fingerprint(["all"]))
    assert len(set(seen)) == 4
