"""Data sets that come as one archive with a published checksum, and are read as it unpacks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aucseg import paths
from aucseg.data.fetch import Progress
from aucseg.data.install import in_the_way, install
from aucseg.data.layouts import Layout, find_layout
from aucseg.data.unpack import extract_folder
from aucseg.errors import DataError


@dataclass(frozen=True)
class Archive:
    """One archive of a data set.

    Args:
        url: where it is published.
        algorithm: of its checksum, for example ``"md5"``.
        digest: the checksum in hex.
        folder: folder of the archive that holds the data.
    """

    url: str
    algorithm: str
    digest: str
    folder: str


ARCHIVES: dict[str, Archive] = {
    # Address and checksum are those of torchvision.datasets.voc.
    "voc": Archive(
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "md5",
        "6cd6e144f989b92b3379bac3b3de84fd",
        "VOC2012",
    ),
    # The checksum is the one of gluon-cv's scripts/datasets/ade20k.py.
    "ade20k": Archive(
        "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
        "sha1",
        "219e1696abb36c8ba3a3afe7fb2f4b4606a897c7",
        "ADEChallengeData2016",
    ),
}


def get_archive(
    name: str,
    dest: str | os.PathLike[str] | None = None,
    *,
    url: str | None = None,
    archives: Mapping[str, Archive] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch a data set to ``dest``; checked and complete, or not at all.

    An interrupted download goes on where it stopped.

    Args:
        name: a name in ``ARCHIVES``.
        dest: folder to make; ``data/<name>`` of the project if None (``aucseg.paths.home``).
        url: another address of the archive: http, https, ``file:`` or a path.
        archives: table of archives; the package's own if None.
        progress: called with the bytes so far and the total.

    Returns:
        ``dest``.

    Raises:
        DataError: without a network, for an archive that is not the published one, or if ``dest`` holds
            something else.
    """
    archive, layout = (ARCHIVES if archives is None else archives)[name], find_layout(name)
    target = paths.dataset(name) if dest is None else Path(dest)
    if in_the_way(target):
        if target.is_dir() and _holds(layout, target):
            return target
        raise DataError(
            f"is in the way and is no {name}", file=target, remedy="move it away or choose another --dest"
        )

    def make(file: Path, work: Path) -> Path:
        _check(file, archive)
        extract_folder(file, archive.folder, work / "data")
        if not _holds(layout, work / "data"):
            raise DataError(
                f"is not in the layout of {name!r}",
                file=file,
                remedy=f"wanted: {', '.join(layout.access.wanted)}",
            )
        return work / "data"

    address = url or archive.url
    file_name = f"{name}-{address.rpartition('/')[2]}"
    install(address, file_name, target, make, by_hand=instructions(layout, target), progress=progress)
    return target


def instructions(layout: Layout, dest: Path) -> str:
    """How to get a data set by hand.

    Args:
        layout: the data set.
        dest: the folder to put it into.
    """
    access = layout.access
    steps = (*access.steps, f"the folder {dest} must hold:")
    return "\n".join(
        [
            access.terms,
            "Official address:" if len(access.addresses) == 1 else "Official addresses:",
            *(f"  {address}" for address in access.addresses),
            "What to do:",
            *(f"  {number}. {step}" for number, step in enumerate(steps, start=1)),
            *(f"       {place}" for place in access.wanted),
            f"Or set AUCSEG_{layout.name.upper()} to a folder that holds it. "
            f"Then check it: aucseg data verify {layout.name}",
        ]
    )


def _holds(layout: Layout, folder: Path) -> bool:
    place = layout.find(folder)
    return place is not None and bool(layout.splits(place))


def _check(file: Path, archive: Archive) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, archive.algorithm).hexdigest()
    if found != archive.digest:
        raise DataError(
            f"refused: its {archive.algorithm} is {found}, published {archive.digest}",
            file=file,
            remedy="nothing was installed; fetch it again, from its publisher if this was a mirror",
        )
