"""Compare a data set with the checksums of what was published."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from aucseg.data.files import Row, read_rows
from aucseg.data.layout import image_path, mask_path, read_split
from aucseg.data.reading import read_ids, read_image
from aucseg.data.threads import default_workers
from aucseg.errors import DataError

# The image means were taken from JPEG copies (quality 92) of the published PNG files.
MEAN_TOLERANCE = 1.0


def check_published(root: Path, checksums: Path) -> list[DataError]:
    """Compare a folder with its checksums: split lists, every mask's values, every image's mean colour.

    Masks must be equal pixel by pixel. Images may be re-encoded: the mean of each channel may differ by
    `MEAN_TOLERANCE` of 255.

    Returns:
        Everything that differs, in the order of the checksums.
    """
    rows = read_rows(checksums, ("split", "name", "mask_sha256", "mean_r", "mean_g", "mean_b"))
    problems: list[DataError] = []
    for split in dict.fromkeys(r["split"] for r in rows):
        expected = tuple(r["name"] for r in rows if r["split"] == split)
        try:
            if read_split(root, split) != expected:
                raise DataError(
                    "other items, or another order, than published",
                    file=root / "splits" / f"{split}.txt",
                    remedy=f"it should list {len(expected)} names from {expected[0]!r} to {expected[-1]!r}",
                )
        except DataError as error:
            problems.append(error)
    with ThreadPoolExecutor(default_workers()) as pool:
        for found in pool.map(lambda row: list(_check_row(root, row)), rows):
            problems += found
    return problems


def checksum_row(root: Path, split: str, name: str) -> dict[str, str]:
    """One row of a checksums file, from the files of an item."""
    ids = read_ids(mask_path(root, split, name), None)
    image = read_image(image_path(root, split, name))
    mean = np.ascontiguousarray(image.reshape(-1, 3).T).mean(1)  # six times faster than mean((0, 1))
    return {
        "split": split,
        "name": name,
        "mask_sha256": hashlib.sha256(ids.tobytes()).hexdigest(),
        **{f"mean_{c}": f"{m:.2f}" for c, m in zip("rgb", mean, strict=True)},
    }


def _check_row(root: Path, row: Row) -> Iterator[DataError]:
    split, name = row["split"], row["name"]
    try:
        found = checksum_row(root, split, name)
    except DataError as error:
        yield error
        return
    if found["mask_sha256"] != row["mask_sha256"]:
        yield DataError(
            f"the mask's values differ from the published ones (sha256 {found['mask_sha256'][:12]}, "
            f"expected {row['mask_sha256'][:12]})",
            file=mask_path(root, split, name),
            remedy="fetch the data set again",
        )
    means = [f"mean_{c}" for c in "rgb"]
    published = row.real(*means)
    if any(abs(float(found[m]) - p) > MEAN_TOLERANCE for m, p in zip(means, published, strict=True)):
        yield DataError(
            f"the mean colour is {[found[m] for m in means]}, published {[row[m] for m in means]} "
            f"(tolerance {MEAN_TOLERANCE} of 255)",
            file=image_path(root, split, name),
            remedy="fetch the data set again",
        )
