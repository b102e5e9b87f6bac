"""Published statistics: the tallies of three training sets that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from aucseg.data.files import read_rows
from aucseg.data.spec import load_spec
from aucseg.errors import OptionError, did_you_mean
from aucseg.longtail.tally import Tally

_COUNTED = Path(__file__).parent / "counted"
# Training images: AUCSeg, F.1, for the first two; train2017 of COCO, which the 164K labels follow.
_NUM_IMAGES = {"cityscapes": 2975, "ade20k": 20210, "coco_stuff": 118287}
# Full-size images: AUCSeg, F.1; COCO images have 640 pixels on their longer side. Those of ADE20K vary.
_IMAGE_SIZE = {"cityscapes": (1024, 2048)}
_MAX_IMAGE_PIXELS = {"cityscapes": 1024 * 2048, "coco_stuff": 640 * 640}


def list_statistics() -> tuple[str, ...]:
    """Names of the training sets whose statistics come with the package."""
    return tuple(_NUM_IMAGES)


def load_statistics(name: str) -> Tally:
    """Statistics of a training set that come with the package.

    ``"cityscapes"``, ``"ade20k"`` and ``"coco_stuff"``, counted on the full-size training labels, in the
    three groups of AUCSeg (Tables 8 to 10). Images for each class are those of Tables 5 to 7; pixel shares
    those of Tables 9 and 10, but not of Table 8, which no count of Cityscapes reproduces. Cityscapes comes
    with its presence matrix; of the order of its images nothing is kept.

    Args:
        name: name of the training set.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if name not in _NUM_IMAGES:
        raise OptionError(f"no statistics of {name!r} come along; {did_you_mean(name, _NUM_IMAGES)}")
    rows = read_rows(_COUNTED / f"{name}.csv", ("name", "group", "pixels", "images"))
    counted = zip(*(r.whole("pixels", "images") for r in rows), strict=True)
    pixels, images = (np.array(column, np.int64) for column in counted)
    patterns = _COUNTED / f"{name}_patterns.csv"
    return Tally(
        load_spec(name),
        pixels,
        images,
        _NUM_IMAGES[name],
        _read_patterns(patterns) if patterns.is_file() else None,
        image_size=_IMAGE_SIZE.get(name),
        max_image_pixels=_MAX_IMAGE_PIXELS.get(name),
    )


def _read_patterns(path: Path) -> csr_array:
    """Which image holds which class, (N, K) bool, from the patterns that occur and how often."""
    rows = read_rows(path, ("classes", "images"))
    distinct = np.array([[digit == "1" for digit in r["classes"]] for r in rows], bool)
    return csr_array(np.repeat(distinct, [int(r["images"]) for r in rows], axis=0))
