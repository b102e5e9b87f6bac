"""How often each class occurs in the masks of a folder: the long tail in numbers."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aucseg.data.classes import VOID, ClassTable
from aucseg.data.layout import mask_path, read_split
from aucseg.data.reading import read_ids, to_train_ids
from aucseg.errors import DataError, file_errors

STATS_FILE = "class_stats.csv"


@dataclass(frozen=True)
class LabelCounts:
    """Pixels and images of each class in one split.

    Args:
        pixels: labelled pixels of each train id, (K,) int64.
        presence: which image holds which train id, (N, K) bool.
        void: pixels that are void.
    """

    pixels: np.ndarray
    presence: np.ndarray
    void: int

    @property
    def num_images(self) -> int:
        """Images counted."""
        return len(self.presence)

    @property
    def images(self) -> np.ndarray:
        """Images that hold each train id, (K,) int64."""
        return self.presence.sum(0)

    @property
    def pixel_share(self) -> np.ndarray:
        """Fraction of the labelled pixels, (K,), in [0, 1]; zeros if nothing is labelled."""
        return self.pixels / max(int(self.pixels.sum()), 1)

    @property
    def image_share(self) -> np.ndarray:
        """Fraction of the images that hold the class, (K,), in [0, 1]."""
        return self.images / max(self.num_images, 1)

    def reorder(self, order: Sequence[int]) -> LabelCounts:
        """The same counts with the classes in another order.

        Args:
            order: for each new train id the one that it has here.
        """
        ids = list(order)
        return LabelCounts(self.pixels[ids], self.presence[:, ids], self.void)

    def group_shares(self, train_ids: Sequence[int]) -> tuple[float, float]:
        """Pixel share of some classes together, and the fraction of images that hold any of them."""
        ids = list(train_ids)
        hold = int(self.presence[:, ids].any(1).sum())
        return float(self.pixel_share[ids].sum()), hold / max(self.num_images, 1)


def default_workers() -> int:
    """Threads for reading files: the processor count, at most 8."""
    return min(8, os.cpu_count() or 1)


def sum_histograms(histograms: Iterable[np.ndarray], num_classes: int) -> LabelCounts:
    """Add up one histogram (256,) of train ids for each image."""
    total = np.zeros(256, np.int64)
    presence = []
    for histogram in histograms:
        total += histogram
        presence.append(histogram[:num_classes] > 0)
    held = np.array(presence, bool).reshape(-1, num_classes)
    return LabelCounts(total[:num_classes], held, int(total[VOID]))


def count_labels(root: Path, split: str, table: ClassTable, *, workers: int | None = None) -> LabelCounts:
    """Read every mask of a split and count.

    Raises:
        DataError: for the first mask that is missing, unreadable or has labels outside the classes.
    """
    lookup = table.lookup()

    def one(name: str) -> np.ndarray:
        path = mask_path(root, split, name)
        return np.bincount(to_train_ids(read_ids(path, table), lookup, path).ravel(), minlength=256)

    with ThreadPoolExecutor(workers or default_workers()) as pool:
        return sum_histograms(pool.map(one, read_split(root, split)), len(table.classes))


def read_pixel_share(root: Path, table: ClassTable) -> tuple[float, ...] | None:
    """Training pixel share of each class from ``class_stats.csv``, in [0, 1]; None without that file.

    Raises:
        DataError: if the file is there and lacks the column, a class or a number.
    """
    path = root / STATS_FILE
    if not path.is_file():
        return None
    with file_errors(path, "cannot be read"), path.open(newline="", encoding="utf-8-sig") as file:
        rows = {r.get("name"): r.get("train_pct_labelled") for r in csv.DictReader(file)}
    shares = []
    for row in table.classes:
        try:
            shares.append(float(rows[row.name] or "") / 100)
        except (KeyError, ValueError):
            raise DataError(
                f"no train_pct_labelled for class {row.name!r}",
                file=path,
                remedy="make the file again with `aucseg data stats FOLDER --write`, or delete it",
            ) from None
    return tuple(shares)


def write_stats(root: Path, table: ClassTable, counts: dict[str, LabelCounts]) -> Path:
    """Write ``class_stats.csv``: pixels, images and percentages of each class in each split."""
    fields = ["id", "name"]
    for split in counts:
        fields += [f"{split}_pixels", f"{split}_images", f"{split}_pct_all", f"{split}_pct_labelled"]
    path, part = root / STATS_FILE, root / f"{STATS_FILE}.part"
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(fields)
        for k, row in enumerate(table.classes):
            values: list[str | int] = [row.id, row.name]
            for c in counts.values():
                pixels, total = int(c.pixels[k]), int(c.pixels.sum()) + c.void
                values += [pixels, int(c.images[k])]
                values += [f"{100 * pixels / max(total, 1):.4f}", f"{100 * c.pixel_share[k]:.4f}"]
            writer.writerow(values)
    part.replace(path)
    return path
