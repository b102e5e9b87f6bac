"""Clothing Co-Parsing: photographs of people with 59 names of garments, of which 55 occur.

As published: ``photos/NAME.jpg`` and ``annotations/pixel-level/NAME.mat``; there is no official split, all
items are in ``all``. Or with splits of one's own: ``images/<split>``, ``annotations/<split>`` and
``splits/<split>.txt``, masks as PNG files of the same values.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from aucseg.data.files import read_rows
from aucseg.data.labels import VOID, value_table
from aucseg.data.layouts.base import Access, Layout
from aucseg.data.layouts.own import list_folder, list_splits
from aucseg.data.listing import Item, Listing, by_stem
from aucseg.data.reading import read_gray_ids, read_matrix
from aucseg.data.spec import load_spec
from aucseg.errors import DataError

NEVER_ANNOTATED = (12, 23, 30, 50)
"""Places in the published list of names that no annotation uses, the names of ``UNUSED``."""

UNUSED = ("clogs", "intimate", "panties", "swimwear")

_MATLAB = Path("annotations") / "pixel-level"


def _has_split_lists(root: Path) -> bool:
    """Whether these are split lists over masks with the published values, not a prepared folder."""
    table = root / "classes.csv"
    if not (root / "annotations").is_dir() or not list_splits(root) or not table.is_file():
        return False
    try:
        read_rows(table, ("train_id",))
    except DataError:
        return False
    return True


def _splits(root: Path) -> tuple[str, ...]:
    return ("all",) if (root / _MATLAB).is_dir() else list_splits(root)


def _find(root: Path) -> Path | None:
    return root if (root / _MATLAB).is_dir() or _has_split_lists(root) else None


def _list(root: Path, split: str) -> Listing:
    if not (root / _MATLAB).is_dir():
        return list_folder(root, split)
    images, problems = by_stem(root / "photos", (".jpg",))
    masks, more = by_stem(root / _MATLAB, (".mat",))
    # About half of the photographs have labels for the whole image only.
    listing = Listing([Item(name, images.get(name), mask) for name, mask in masks.items()], problems + more)
    for item in listing.items:
        if item.image is None:
            listing.warnings.append(f"{item.mask}: mask without image")
    listing.items = [p for p in listing.items if p.image is not None]
    return listing


def _read(path: Path) -> np.ndarray:
    return read_matrix(path, "groundtruth") if path.suffix.lower() == ".mat" else read_gray_ids(path)


_OCCURRING = tuple(i for i in range(59) if i not in NEVER_ANNOTATED)

CCP = Layout(
    name="ccp",
    title="Clothing Co-Parsing, pixel-level part",
    load_spec=partial(load_spec, "ccp"),
    access=Access(
        terms=(
            "Clothing Co-Parsing: repository under the Apache License 2.0; the photographs show people, "
            "whose rights it does not discuss: research only, do not republish.\n"
            "Cite: W. Yang, P. Luo, L. Lin, Clothing Co-Parsing by Joint Image Segmentation and Labeling, "
            "CVPR 2014."
        ),
        addresses=("https://github.com/bearpaw/clothing-co-parsing",),
        steps=("git clone https://github.com/bearpaw/clothing-co-parsing",),
        wanted=("photos/NAME.jpg", "annotations/pixel-level/NAME.mat"),
    ),
    find=_find,
    splits=_splits,
    list_split=_list,
    read_ids=_read,
    lookup=value_table(
        {VOID: VOID, **dict.fromkeys(NEVER_ANNOTATED, VOID), **{v: k for k, v in enumerate(_OCCURRING)}}
    ),
    unused=UNUSED,
)
