"""COCO-Stuff: 164K images with PNG pixel maps, and the earlier 10K with Matlab files; 171 classes each.

COCO's ids run from 1 to 182, eleven of them without annotations; train ids count the others. The pixel maps
of the 164K hold id - 1 and 255 for unlabelled; the Matlab files of the 10K hold the id and 0.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from aucseg.data.labels import VOID, value_table
from aucseg.data.layouts.base import Access, Layout, first_folder
from aucseg.data.listing import Listing, by_stem, match_folders, match_names, read_names
from aucseg.data.reading import read_gray_ids, read_matrix
from aucseg.data.spec import load_spec
from aucseg.errors import DataError

NEVER_ANNOTATED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)
"""Ids of COCO's list that no annotation uses: street sign, hat, shoe, eye glasses, plate, mirror, window,
desk, door, blender, hair brush."""

COCO_IDS = tuple(i for i in range(1, 183) if i not in NEVER_ANNOTATED)
"""COCO's id of each of the 171 train ids."""

_FOLDERS = {"train": "train2017", "val": "val2017"}
_CONVERTED = ("_labeltrainids.png",)
_TERMS = (
    "COCO-Stuff: annotations CC BY 4.0; the images follow Flickr's terms of use, for research.\n"
    "Cite: H. Caesar, J. Uijlings, V. Ferrari, COCO-Stuff: Thing and Stuff Classes in Context, CVPR 2018."
)
_FILES = "http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset"


def _images(root: Path, folder: str) -> Path | None:
    return first_folder(root, f"images/{folder}", folder)


def _masks(root: Path, folder: str) -> Path | None:
    return first_folder(root, f"annotations/{folder}", f"stuffthingmaps/{folder}")


def _splits(root: Path) -> tuple[str, ...]:
    return tuple(s for s, f in _FOLDERS.items() if _images(root, f) and _masks(root, f))


def _find(root: Path) -> Path | None:
    places = (root, root / "coco_stuff164k", root / "dataset")
    return next((p for p in places if _splits(p)), None)


def _list(root: Path, split: str) -> Listing:
    folder = _FOLDERS[split]
    images, masks = _images(root, folder) or root, _masks(root, folder) or root
    # Other programs put their converted masks beside the published ones.
    return match_folders((images, (".jpg",)), (masks, (".png",)), without=_CONVERTED)


COCO_STUFF = Layout(
    name="coco_stuff",
    title="COCO-Stuff 164K",
    load_spec=partial(load_spec, "coco_stuff"),
    access=Access(
        terms=_TERMS,
        addresses=(
            "http://images.cocodataset.org/zips/train2017.zip",
            "http://images.cocodataset.org/zips/val2017.zip",
            f"{_FILES}/stuffthingmaps_trainval2017.zip",
        ),
        steps=(
            "download the three archives (18 GB, 1 GB, 0.7 GB)",
            "unpack the first two into images/ and the third into annotations/",
        ),
        wanted=("images/{train2017,val2017}/*.jpg", "annotations/{train2017,val2017}/*.png"),
    ),
    find=_find,
    splits=_splits,
    list_split=_list,
    read_ids=read_gray_ids,
    lookup=value_table({VOID: VOID, **{coco_id - 1: k for k, coco_id in enumerate(COCO_IDS)}}),
)


def _splits_10k(root: Path) -> tuple[str, ...]:
    return tuple(s for s in ("train", "test") if (root / "imageLists" / f"{s}.txt").is_file())


def _find_10k(root: Path) -> Path | None:
    places = (root, root / "cocostuff-10k-v1.1", root / "dataset")
    return next((p for p in places if _splits_10k(p) and (p / "annotations").is_dir()), None)


def _list_10k(root: Path, split: str) -> Listing:
    source = root / "imageLists" / f"{split}.txt"
    images, problems = by_stem(root / "images", (".jpg",))
    masks, more = by_stem(root / "annotations", (".mat", ".png"), without=_CONVERTED)
    listing = match_names(read_names(source), images, masks, source, root)
    listing.problems[:0] = problems + more
    return listing


def _read_10k(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".mat":
        return read_matrix(path, "S")
    ids = read_gray_ids(path)
    if VOID in ids:
        raise DataError(
            "value 255 in a mask of the 10K set, whose unlabelled pixels are 0",
            file=path,
            remedy="masks of the 164K set hold other values: open it as 'coco_stuff'",
        )
    return ids


COCO_STUFF_10K = Layout(
    name="coco_stuff_10k",
    title="COCO-Stuff 10K, version 1.1",
    load_spec=partial(load_spec, "coco_stuff_10k"),
    access=Access(
        terms=_TERMS,
        addresses=(f"{_FILES}/cocostuff-10k-v1.1.zip", "https://github.com/nightrome/cocostuff10k"),
        steps=("download the archive (2 GB)", "unpack it"),
        wanted=("images/NAME.jpg", "annotations/NAME.mat (or .png)", "imageLists/{train,test}.txt"),
    ),
    find=_find_10k,
    splits=_splits_10k,
    list_split=_list_10k,
    read_ids=_read_10k,
    lookup=value_table({0: VOID, **{coco_id: k for k, coco_id in enumerate(COCO_IDS)}}),
)
