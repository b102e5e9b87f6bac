"""Rendered streets with Cityscapes' classes, the usual sources of domain adaptation: GTA5 and SYNTHIA.

GTA5: ``images/00001.png`` and ``labels/00001.png`` with Cityscapes' ids, as a palette. SYNTHIA, the set
RAND-CITYSCAPES: ``RGB/NAME.png`` and ``GT/LABELS/NAME.png`` of 16 bits a channel, whose first channel is the
class. Neither comes with splits that those who adapt from it use: all items are in ``all``.

Of GTA5 a few images are larger than their masks; ``aucseg data verify`` names them.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from aucseg.data.labels import VOID, value_table
from aucseg.data.layouts.base import Access, Layout, first_folder
from aucseg.data.layouts.cityscapes import CITYSCAPES
from aucseg.data.listing import Listing, match_folders
from aucseg.data.reading import read_first_channel, read_gray_ids
from aucseg.data.spec import load_spec

# SYNTHIA's number of each class of Cityscapes. Terrain (16), truck (18) and train (20) have numbers and no
# pixel in the set that is used; reserved numbers, parking, road works and lane markings are void.
_SYNTHIA = (3, 4, 2, 21, 5, 7, 15, 9, 6, 16, 1, 10, 17, 8, 18, 19, 20, 12, 11)
_NUMBERED = re.compile(r"\d{5}")


def _all(root: Path) -> tuple[str, ...]:
    return ("all",)


def _list(images: str, masks: str, root: Path, split: str) -> Listing:
    return match_folders((root / images, (".png",)), (root / masks, (".png",)))


def _find_gta5(root: Path) -> Path | None:
    """Folders of these names are everywhere; GTA5's files are called by numbers of five digits."""
    for place in (root, root / "gta5", root / "gta"):
        masks = place / "labels"
        if not masks.is_dir() or not (place / "images").is_dir():
            continue
        names = [p.stem for p in masks.glob("*.png") if not p.stem.endswith("_labelTrainIds")]
        if names and all(_NUMBERED.fullmatch(name) for name in names):
            return place
    return None


def _find_synthia(root: Path) -> Path | None:
    found = first_folder(root, "GT/LABELS", "RAND_CITYSCAPES/GT/LABELS")
    place = None if found is None else found.parent.parent
    return place if place is not None and (place / "RGB").is_dir() else None


GTA5 = Layout(
    name="gta5",
    title="GTA5, Playing for Data",
    load_spec=partial(load_spec, "cityscapes"),
    access=Access(
        terms=(
            "GTA5: for research and education, under the terms of the game's publisher.\n"
            "Cite: S. R. Richter et al., Playing for Data: Ground Truth from Computer Games, ECCV 2016."
        ),
        addresses=("https://download.visinf.tu-darmstadt.de/data/from_games/",),
        steps=("download the ten parts of images and of labels (57 GB)", "unpack all into the same folder"),
        wanted=("images/00001.png", "labels/00001.png"),
    ),
    find=_find_gta5,
    splits=_all,
    list_split=partial(_list, "images", "labels"),
    read_ids=read_gray_ids,
    lookup=CITYSCAPES.lookup.copy(),
)
GTA5.lookup[34] = VOID  # a license plate

SYNTHIA = Layout(
    name="synthia",
    title="SYNTHIA, RAND-CITYSCAPES",
    load_spec=partial(load_spec, "cityscapes"),
    access=Access(
        terms=(
            "SYNTHIA: CC BY-NC-SA 3.0.\n"
            "Cite: G. Ros et al., The SYNTHIA Dataset: A Large Collection of Synthetic Images for Semantic "
            "Segmentation of Urban Scenes, CVPR 2016."
        ),
        addresses=("https://synthia-dataset.net/downloads/",),
        steps=("download SYNTHIA-RAND-CITYSCAPES (20 GB)", "unpack it"),
        wanted=("RGB/NAME.png", "GT/LABELS/NAME.png"),
    ),
    find=_find_synthia,
    splits=_all,
    list_split=partial(_list, "RGB", "GT/LABELS"),
    read_ids=read_first_channel,
    lookup=value_table(
        {**dict.fromkeys(range(23), VOID), **{number: k for k, number in enumerate(_SYNTHIA)}}
    ),
)
