"""Cityscapes: ``leftImg8bit/<split>/CITY/*.png`` and ``gtFine/<split>/CITY/*_labelIds.png``.

The label table is that of torchvision (``torchvision.datasets.Cityscapes.classes``), with which the tests
compare it; importing torchvision takes longer than most commands that want the table. Its data set class is
not used: it lists files in the order of the file system, which differs between machines, gives ids instead of
train ids, and says nothing of a missing mask before that item is read.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from aucseg.data.labels import VOID, value_table
from aucseg.data.layouts.base import Access, Layout, holding
from aucseg.data.listing import Listing, match_folders
from aucseg.data.reading import read_gray_ids
from aucseg.data.spec import load_spec

_IMAGE, _MASK = "_leftimg8bit.png", "_gtfine_labelids.png"
_SPLITS = ("train", "val", "test")
# The ids of the 19 classes, in the order of the train ids. "license plate" has id -1 and is never drawn.
_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def _splits(root: Path) -> tuple[str, ...]:
    return tuple(s for s in _SPLITS if (root / "leftImg8bit" / s).is_dir() and (root / "gtFine" / s).is_dir())


def _list(root: Path, split: str) -> Listing:
    return match_folders((root / "leftImg8bit" / split, (_IMAGE,)), (root / "gtFine" / split, (_MASK,)))


CITYSCAPES = Layout(
    name="cityscapes",
    title="Cityscapes, fine annotations",
    load_spec=partial(load_spec, "cityscapes"),
    access=Access(
        terms=(
            "Cityscapes: free for non-commercial use after registration; must not be passed on.\n"
            "Cite: M. Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, "
            "CVPR 2016."
        ),
        addresses=("https://www.cityscapes-dataset.com/downloads/",),
        steps=(
            "register there and accept the licence",
            "download leftImg8bit_trainvaltest.zip (11 GB) and gtFine_trainvaltest.zip (241 MB)",
            "unpack both into the same folder",
        ),
        wanted=(
            "leftImg8bit/<split>/CITY/*_leftImg8bit.png",
            "gtFine/<split>/CITY/*_gtFine_labelIds.png",
        ),
    ),
    find=holding("leftImg8bit", "gtFine", inside=("", "cityscapes")),
    splits=_splits,
    list_split=_list,
    read_ids=read_gray_ids,
    lookup=value_table({**dict.fromkeys(range(34), VOID), **{v: k for k, v in enumerate(_IDS)}}),
)
