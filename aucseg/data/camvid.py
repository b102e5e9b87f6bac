"""CamVid in its SegNet version: 701 street scenes of 480x360, 11 classes."""

from __future__ import annotations

import os
from pathlib import Path

from aucseg import paths
from aucseg.data.errors import DataError
from aucseg.data.folder import FolderDataset
from aucseg.data.spec import load_spec


class CamVid(FolderDataset):
    """CamVid (Brostow et al., 2008 and 2009) with the splits and 11 classes of SegNet.

    train 367, val 101, test 233 images. Val comes from one sequence, which also supplies 204 training
    frames: compare methods on test. For non-commercial research only.

    Args:
        root: the folder; None searches as `find_root` says.
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: (height, width) to resize to.
        cache: keep the decoded items in memory.

    Raises:
        DataError: if the data set is not found, or the folder's classes are not CamVid's.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        size: tuple[int, int] | None = None,
        cache: bool = False,
    ) -> None:
        super().__init__(find_root("camvid", root), split, load_spec("camvid"), size=size, cache=cache)


def find_root(name: str, root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a data set on this machine.

    Looked at, in order: ``root``; the environment variable ``AUCSEG_<NAME>``; ``data/<name>`` in the
    project (``aucseg.paths.home``), in the folder that ``AUCSEG_SHARED`` names, and in ``shared``
    beside the project. A place that the caller or ``AUCSEG_<NAME>`` names must exist:
    no other one is taken in its stead.

    Args:
        name: name of the data set, for example ``"camvid"``.
        root: where the caller says it is.

    Raises:
        DataError: if there is none, with the places looked at.
    """
    if root is not None:
        return _named(Path(root), "", name)
    variable = f"AUCSEG_{name.upper()}"
    if value := os.environ.get(variable):
        return _named(Path(value), f" (from {variable})", name)
    places = paths.dataset_places(name)
    for place in places:
        if (place / "splits").is_dir():
            return place
    looked = ", ".join(str(p) for p in places)
    raise DataError(
        f"data set {name!r} not found; looked at {looked}",
        remedy=f"run `aucseg data get {name}` or set {variable} to its folder",
    )


def _named(place: Path, origin: str, name: str) -> Path:
    if place.is_dir():
        return place
    raise DataError(
        f"no such folder{origin}", file=place, remedy=f"correct the path, or run `aucseg data get {name}`"
    )
