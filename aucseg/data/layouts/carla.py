"""Frames of the driving simulator CARLA, with its semantic tags of versions 0.9.10 to 0.9.13.

As its cameras are saved: ``CameraRGB/NAME.png`` and, under the same name, the tag in the red channel in
``CameraMask`` or ``CameraSeg``; there are no splits, all frames are in ``all``. Or with splits of one's own:
``images/<split>``, ``annotations/<split>`` with gray PNG files of the tags, ``splits/<split>.txt``, and a
``class_stats.csv`` whose column ``carla_tag`` says what they are.

Void are the tags that name no kind of thing: Unlabeled, Other, Static and Dynamic. Shares and groups of the
label set are those of 595 training frames of one public set; other frames may show another town.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from aucseg.data.files import read_rows
from aucseg.data.labels import VOID, value_table
from aucseg.data.layouts.base import Access, Layout, first_folder
from aucseg.data.layouts.own import list_folder, list_splits
from aucseg.data.listing import IMAGE_SUFFIXES, Listing, match_folders
from aucseg.data.reading import read_red_ids
from aucseg.data.spec import load_spec
from aucseg.errors import DataError

UNNAMED = (0, 3, 19, 20)
"""Tags that name no kind of thing: Unlabeled, Other, Static, Dynamic."""

_NAMED = tuple(tag for tag in range(23) if tag not in UNNAMED)
_IMAGES, _MASKS = "CameraRGB", ("CameraMask", "CameraSeg")


def _has_split_lists(root: Path) -> bool:
    """Whether these are split lists over masks of tags."""
    table = root / "class_stats.csv"
    if not (root / "annotations").is_dir() or not list_splits(root) or not table.is_file():
        return False
    try:
        read_rows(table, ("carla_tag",))
    except DataError:
        return False
    return True


def _saved(root: Path) -> Path | None:
    """The folder of masks beside that of images, as the cameras are saved."""
    return first_folder(root, *_MASKS) if (root / _IMAGES).is_dir() else None


def _find(root: Path) -> Path | None:
    return root if _saved(root) is not None or _has_split_lists(root) else None


def _splits(root: Path) -> tuple[str, ...]:
    return ("all",) if _saved(root) is not None else list_splits(root)


def _list(root: Path, split: str) -> Listing:
    masks_in = _saved(root)
    if masks_in is None:
        return list_folder(root, split)
    return match_folders((root / _IMAGES, IMAGE_SUFFIXES), (masks_in, (".png",)))


CARLA = Layout(
    name="carla",
    title="CARLA, frames of a driving simulator",
    load_spec=partial(load_spec, "carla"),
    access=Access(
        terms=(
            "CARLA: assets of the simulator are CC-BY, its code MIT; a set of frames has the terms of whom "
            "it is from.\n"
            "Cite: A. Dosovitskiy, G. Ros, F. Codevilla, A. Lopez, V. Koltun, CARLA: An Open Urban Driving "
            "Simulator, CoRL 2017."
        ),
        addresses=("https://carla.org",),
        steps=(
            "save raw frames of sensor.camera.rgb and sensor.camera.semantic_segmentation under one name",
        ),
        wanted=(f"{_IMAGES}/NAME.png", f"{_MASKS[0]}/NAME.png"),
    ),
    find=_find,
    splits=_splits,
    list_split=_list,
    read_ids=read_red_ids,
    lookup=value_table(
        {VOID: VOID, **dict.fromkeys(UNNAMED, VOID), **{tag: k for k, tag in enumerate(_NAMED)}}
    ),
)
