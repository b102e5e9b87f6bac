"""PASCAL VOC segmentation: ``JPEGImages``, palette masks in ``SegmentationClass``, lists of names.

In the tests, torchvision supplies the items to compare with. Its class is not used for reading: it makes no
train ids, stops at the first missing file, and knows no lists but its own, where the usual "trainaug" is a
list of the user's.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from aucseg.data.labels import VOID, value_table
from aucseg.data.layouts.base import Access, Layout
from aucseg.data.listing import Listing, by_stem, list_stems, match_names, read_names
from aucseg.data.reading import read_indexed
from aucseg.data.spec import load_spec

_LISTS = Path("ImageSets") / "Segmentation"


def _splits(root: Path) -> tuple[str, ...]:
    return list_stems(root / _LISTS)


def _find(root: Path) -> Path | None:
    places = (root, root / "VOCdevkit" / "VOC2012", root / "VOC2012")
    return next((p for p in places if (p / "SegmentationClass").is_dir() and _splits(p)), None)


def _list(root: Path, split: str) -> Listing:
    source = root / _LISTS / f"{split}.txt"
    images, problems = by_stem(root / "JPEGImages", (".jpg",))
    masks, more = by_stem(root / "SegmentationClass", (".png",))
    listing = match_names(read_names(source), images, masks, source, root)
    listing.problems[:0] = problems + more
    return listing


@lru_cache(maxsize=1)
def interleaved_palette() -> np.ndarray:
    """Colours of the labels 0 to 255, (256, 3) uint8: the label's bits dealt out to red, green and blue.

    Bit 3j of the label is bit 7 - j of red, bit 3j + 1 of green, bit 3j + 2 of blue. All colours differ.
    """
    labels = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colors[:, bit % 3] |= ((labels >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    colors.flags.writeable = False
    return colors


def _read(path: Path) -> np.ndarray:
    return read_indexed(path, interleaved_palette())


VOC = Layout(
    name="voc",
    title="PASCAL VOC 2012, segmentation",
    load_spec=partial(load_spec, "voc"),
    access=Access(
        terms=(
            "PASCAL VOC 2012: the images follow Flickr's terms of use, for research.\n"
            "Cite: M. Everingham et al., The PASCAL Visual Object Classes Challenge: A Retrospective, "
            "IJCV 2015."
        ),
        addresses=(
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        ),
        steps=("download the archive (2 GB)", "unpack it"),
        wanted=("JPEGImages/NAME.jpg", "SegmentationClass/NAME.png", "ImageSets/Segmentation/<split>.txt"),
    ),
    find=_find,
    splits=_splits,
    list_split=_list,
    read_ids=_read,
    lookup=value_table({VOID: VOID, **{k: k for k in range(21)}}),
    grouped=False,  # the paper's sets have published groups, this one has none: they follow from its shares
)
