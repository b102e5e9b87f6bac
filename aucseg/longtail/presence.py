"""The presence matrix of a folder, counted once and kept beside its statistics."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np

from aucseg.data.classes import ClassTable
from aucseg.data.layout import mask_path, read_split
from aucseg.errors import DataError, file_errors
from aucseg.longtail.label_counts import LabelCounts, count_labels


def presence_file(root: Path, split: str) -> Path:
    """Where the counts of a split are kept: ``class_presence_<split>.npz`` beside ``class_stats.csv``."""
    return root / f"class_presence_{split}.npz"


def write_presence(root: Path, split: str, table: ClassTable, counts: LabelCounts) -> Path:
    """Keep the counts of a split, 1 bit for each image and class.

    Args:
        root: the folder.
        split: the split that was counted.
        table: the class table it was counted with.
        counts: what was counted, in the order of the table.
    """
    path = presence_file(root, split)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            key=np.array(_key(root, split, table)),
            pixels=counts.pixels,
            presence=np.packbits(counts.presence, axis=1),
            void=np.array(counts.void),
        )
    part.replace(path)
    return path


def load_counts(root: Path, split: str, table: ClassTable, *, workers: int | None = None) -> LabelCounts:
    """The counts of a split: the kept ones if they still fit the masks, else counted anew.

    They fit while the class table, the names in the split, and the size and time of every mask are the ones
    that were counted.

    Args:
        root: the folder.
        split: the split to count.
        table: its class table.
        workers: threads that read.

    Raises:
        DataError: for a mask that is missing, unreadable or has labels outside the classes.
    """
    path = presence_file(root, split)
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as kept:
                if str(kept["key"]) == _key(root, split, table):
                    count = len(table.classes)
                    held = np.unpackbits(kept["presence"], axis=1, count=count).astype(bool)
                    return LabelCounts(kept["pixels"], held, int(kept["void"]))
        except (ValueError, KeyError, EOFError, OSError) as error:
            raise DataError(f"not a presence file: {error}", file=path, remedy="delete it") from error
    return count_labels(root, split, table, workers=workers)


def read_count_table(path: Path, num_classes: int) -> LabelCounts:
    """Counts from a CSV with a row for each image: its name, then the pixels of each class.

    Args:
        path: the file, with a header ``file,c0,c1,...``.
        num_classes: number of classes K.

    Raises:
        DataError: if the file is missing, a row has another number of columns, or a cell is no count.
    """
    if not path.is_file():
        raise DataError("no such file", file=path, remedy="check the path of the table")
    pixels = np.zeros(num_classes, np.int64)
    held = []
    with file_errors(path, "cannot be read"), path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        next(reader, None)
        for line, row in enumerate(reader, start=2):
            if len(row) != num_classes + 1 or not all(cell.isdecimal() for cell in row[1:]):
                raise DataError(
                    f"line {line} is not a name and {num_classes} pixel counts",
                    file=path,
                    remedy="write the columns file,c0,c1,... in the order of the train ids",
                )
            counts = np.array(row[1:], np.int64)
            pixels += counts
            held.append(counts > 0)
    if not held:
        raise DataError("no image in it", file=path, remedy="write a row for each image")
    return LabelCounts(pixels, np.array(held, bool), 0)


def _key(root: Path, split: str, table: ClassTable) -> str:
    """Identity of what was counted. Reading all bytes of the masks would take as long as counting them."""
    names = read_split(root, split)
    states = ((name, mask_path(root, split, name).stat()) for name in names)
    content = [
        [[r.id, r.name, r.ignore] for r in table.rows],
        [[name, state.st_size, state.st_mtime_ns] for name, state in states],
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
