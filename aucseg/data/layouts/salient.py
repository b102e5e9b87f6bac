"""Salient-object sets: an image and one gray mask, bright where something stands out.

ECSSD, HKU-IS and PASCAL-S have no splits for training: all items are in ``all``, and a list
``splits/NAME.txt`` of one's own makes a split of that name. A pixel is salient from 128 on; PASCAL-S
has gray values in between, the share of people who chose the object.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from aucseg.data.labels import value_table
from aucseg.data.layouts.base import Access, Layout
from aucseg.data.layouts.own import list_splits, match_split
from aucseg.data.listing import IMAGE_SUFFIXES, Listing, by_stem, match_keys
from aucseg.data.reading import read_luminance
from aucseg.data.spec import load_spec

Folders = tuple[tuple[str, str], ...]

_THRESHOLD = 128


def _finder(folders: Folders, inside: tuple[str, ...]) -> Callable[[Path], Path | None]:
    def find(root: Path) -> Path | None:
        places = (root / name for name in ("", *inside))
        return next((p for p in places if _folders(p, folders) is not None), None)

    return find


def _folders(root: Path, folders: Folders) -> tuple[Path, Path] | None:
    for images, masks in folders:
        if (root / images).is_dir() and (root / masks).is_dir():
            return root / images, root / masks
    return None


def _splits(root: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("all", *list_splits(root))))


def _lister(folders: Folders) -> Callable[[Path, str], Listing]:
    def list_split(root: Path, split: str) -> Listing:
        place = _folders(root, folders)
        images, problems = by_stem(place[0] if place else root, IMAGE_SUFFIXES)
        masks, more = by_stem(place[1] if place else root, (".png", ".jpg", ".bmp"))
        if (root / "splits" / f"{split}.txt").is_file():
            listing = match_split(root, split, images, masks)
        else:
            listing = match_keys(images, masks)
        listing.problems[:0] = problems + more
        return listing

    return list_split


def _layout(
    name: str, title: str, cite: str, page: str, folders: Folders, inside: tuple[str, ...], step: str
) -> Layout:
    every: Folders = (*folders, ("images", "masks"))
    return Layout(
        name=name,
        title=title,
        load_spec=partial(load_spec, "salient"),
        access=Access(
            terms=f"{title.partition(',')[0]}: for research; images from the internet.\nCite: {cite}.",
            addresses=(page,),
            steps=(step, "unpack into one folder"),
            wanted=tuple(f"{folders[0][i]}/NAME.{e}" for i, e in enumerate(("jpg", "png"))),
        ),
        find=_finder(every, inside),
        splits=_splits,
        list_split=_lister(every),
        read_ids=read_luminance,
        lookup=value_table({value: int(value >= _THRESHOLD) for value in range(256)}),
    )


ECSSD = _layout(
    "ecssd",
    "ECSSD, salient objects (1000 images)",
    "J. Shi, Q. Yan, L. Xu, J. Jia, Hierarchical Image Saliency Detection on Extended CSSD, TPAMI 2016",
    "https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/dataset.html",
    (("images", "ground_truth_mask"),),
    ("ECSSD",),
    "download images.zip and ground_truth_mask.zip",
)
HKU_IS = _layout(
    "hku_is",
    "HKU-IS, salient objects (4447 images)",
    "G. Li, Y. Yu, Visual Saliency Based on Multiscale Deep Features, CVPR 2015",
    "https://i.cs.hku.hk/~gbli/deep_saliency.html",
    (("imgs", "gt"),),
    ("HKU-IS",),
    "download HKU-IS.rar",
)
PASCAL_S = _layout(
    "pascal_s",
    "PASCAL-S, salient objects (850 images)",
    "Y. Li, X. Hou, C. Koch, J. M. Rehg, A. L. Yuille, The Secrets of Salient Object Segmentation, CVPR 2014",
    "http://cbs.ic.gatech.edu/salobj/",
    (("datasets/imgs/pascal", "datasets/masks/pascal"), ("imgs/pascal", "masks/pascal")),
    ("salObj", "PASCAL-S"),
    "download the benchmark's archive",
)
