"""ADE20K SceneParsing: ``images/{training,validation}`` and ``annotations/{training,validation}``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from aucseg.data.labels import VOID, value_table
from aucseg.data.layouts.base import Access, Layout
from aucseg.data.listing import Listing, match_folders
from aucseg.data.reading import read_gray_ids
from aucseg.data.spec import load_spec

_FOLDERS = {"train": "training", "val": "validation"}


def _splits(root: Path) -> tuple[str, ...]:
    kinds = ("images", "annotations")
    return tuple(s for s, f in _FOLDERS.items() if all((root / kind / f).is_dir() for kind in kinds))


def _find(root: Path) -> Path | None:
    return next((p for p in (root, root / "ADEChallengeData2016") if _splits(p)), None)


def _list(root: Path, split: str) -> Listing:
    folder = _FOLDERS[split]
    images, masks = root / "images" / folder, root / "annotations" / folder
    return match_folders((images, (".jpg", ".jpeg")), (masks, (".png",)))


ADE20K = Layout(
    name="ade20k",
    title="ADE20K, scene parsing benchmark (150 classes)",
    load_spec=partial(load_spec, "ade20k"),
    access=Access(
        terms=(
            "ADE20K: images for non-commercial research and education only, annotations BSD-3.\n"
            "Cite: B. Zhou et al., Scene Parsing through ADE20K Dataset, CVPR 2017."
        ),
        addresses=("http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",),
        steps=("download the archive (0.9 GB)", "unpack it"),
        wanted=("images/{training,validation}/*.jpg", "annotations/{training,validation}/*.png"),
    ),
    find=_find,
    splits=_splits,
    list_split=_list,
    read_ids=read_gray_ids,
    # 255 stays without a meaning: in the published masks it never occurs, and one who shifted the labels
    # already would otherwise train on classes that are all off by one.
    lookup=value_table({0: VOID, **{label: label - 1 for label in range(1, 151)}}),
)
