"""Where a data set lies on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from aucseg import paths
from aucseg.errors import DataError


def find_root(
    name: str,
    root: str | os.PathLike[str] | None = None,
    *,
    holds: Callable[[Path], bool] | None = None,
) -> Path:
    """The folder of a data set on this machine.

    Looked at, in order: ``root``; the environment variable ``AUCSEG_<NAME>``; ``data/<name>`` in the
    project (``aucseg.paths.home``), in the folder that ``AUCSEG_SHARED`` names, and in ``shared``
    beside the project. A place that the caller or ``AUCSEG_<NAME>`` names must exist:
    no other one is taken in its stead.

    Args:
        name: name of the data set, for example ``"camvid"``.
        root: where the caller says it is.
        holds: whether a folder holds the data set; by a folder ``splits`` in it if None.

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
        if (place / "splits").is_dir() or (holds is not None and place.is_dir() and holds(place)):
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
