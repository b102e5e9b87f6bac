"""Data sets that are fetched without a human: where each comes from, and how it is known to be complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aucseg import paths
from aucseg.data.get.camvid import CAMVID_TERMS, CAMVID_URL, check_published, convert_camvid
from aucseg.data.get.fetch import MAX_BYTES, Progress, in_the_way, install
from aucseg.data.get.unpack import extract_folder
from aucseg.data.layouts.ade20k import ADE20K
from aucseg.data.layouts.base import Layout
from aucseg.data.layouts.voc import VOC
from aucseg.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Source:
    """Where a public data set comes from.

    Args:
        name: name of the data set.
        url: an archive.
        file: what the archive is called on disk; zip by its ending, else tar.
        folder: folder of the archive that holds the data.
        terms: terms of use and what to cite, shown before the download.
        wanted: what the folder holds when it is complete, in words.
        check: everything that keeps a folder from being the complete data set.
        digest: published checksum of the archive, as ``"md5:6cd6..."``; None if ``check`` knows every file.
        convert: turns the unpacked folder (first argument) into the one wanted (second); None if it is it.
        limit: bytes that the archive may have, and what it unpacks to.
    """

    name: str
    url: str
    file: str
    folder: str
    terms: str
    wanted: tuple[str, ...]
    check: Callable[[Path], list[DataError]]
    digest: str | None = None
    convert: Callable[[Path, Path], None] | None = None
    limit: int = MAX_BYTES


def check_layout(root: Path, layout: Layout) -> list[DataError]:
    """What keeps a folder from being in a published layout: nothing, or one error."""
    place = layout.find(root)
    if place is not None and layout.splits(place):
        return []
    wanted = ", ".join(layout.access.wanted)
    return [DataError(f"not in the layout of {layout.name!r}", file=root, remedy=f"wanted: {wanted}")]


def _as_unpacked(layout: Layout, url: str, folder: str, digest: str) -> Source:
    """A data set that is read as its archive unpacks."""
    return Source(
        name=layout.name,
        url=url,
        file=f"{layout.name}-{url.rpartition('/')[2]}",
        folder=folder,
        terms=layout.access.terms,
        wanted=layout.access.wanted,
        check=partial(check_layout, layout=layout),
        digest=digest,
    )


SOURCES: dict[str, Source] = {
    "camvid": Source(
        name="camvid",
        url=CAMVID_URL,
        file="camvid.tar.gz",
        folder="CamVid",
        terms=CAMVID_TERMS,
        wanted=(
            "images/<split>/NAME.png",
            "annotations/<split>/NAME.png",
            "splits/<split>.txt with a NAME on each line",
            "classes.csv with id,name,r,g,b,ignore",
        ),
        check=partial(
            check_published, checksums=Path(__file__).parents[1] / "specs" / "camvid_checksums.csv"
        ),
        convert=convert_camvid,
        limit=8 << 30,
    ),
    # Address and checksum are those of torchvision.datasets.voc.
    "voc": _as_unpacked(
        VOC,
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "VOC2012",
        "md5:6cd6e144f989b92b3379bac3b3de84fd",
    ),
    # The checksum is the one of gluon-cv's scripts/datasets/ade20k.py.
    "ade20k": _as_unpacked(
        ADE20K,
        "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
        "ADEChallengeData2016",
        "sha1:219e1696abb36c8ba3a3afe7fb2f4b4606a897c7",
    ),
}


def find_source(name: str, sources: Mapping[str, Source] | None = None) -> Source:
    """The source of a data set by name.

    Args:
        name: name of the data set.
        sources: table of sources; the package's own if None.

    Raises:
        DataError: for an unknown name, with the known ones.
    """
    known = SOURCES if sources is None else sources
    if name not in known:
        raise DataError(f"no data set {name!r} to get", remedy=did_you_mean(name, known))
    return known[name]


def get(
    name: str,
    dest: str | os.PathLike[str] | None = None,
    *,
    url: str | None = None,
    sources: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
    complete: Callable[[Path], object] | None = None,
) -> Path:
    """Fetch a data set to ``dest``; complete and checked, or not at all.

    An interrupted download goes on where it stopped. What is there already and passes the checks is
    left as it is.

    Args:
        name: a name in ``SOURCES``.
        dest: folder to make; ``data/<name>`` of the project if None (``aucseg.paths.home``).
        url: another address of the archive: http, https, ``file:`` or a path.
        sources: table of sources; the package's own if None.
        progress: called with the bytes so far and the total.
        complete: called with a converted and checked folder before it goes to its place.

    Returns:
        ``dest``.

    Raises:
        DataError: without a network (with what to do by hand), for a damaged or changed archive, or if
            ``dest`` holds something else.
    """
    source = find_source(name, sources)
    target = paths.dataset(name) if dest is None else Path(dest)
    if in_the_way(target):
        problems = source.check(target) if target.is_dir() else [DataError("not a folder")]
        if not problems:
            return target
        raise DataError(
            f"is in the way and is not a complete {name} ({len(problems)} differences; "
            f"the first: {problems[0]})",
            file=target,
            remedy="move it away or choose another --dest",
        )

    def make(archive: Path, work: Path) -> Path:
        if source.digest is not None:
            _check_digest(archive, source.digest)
        made = work / "raw"
        extract_folder(archive, source.folder, made, limit=source.limit)
        if source.convert is not None:
            source.convert(made, work / "done")
            made = work / "done"
        _raise_first(source.check(made), archive)
        if complete is not None and source.convert is not None:
            complete(made)
        return made

    install(
        url or source.url,
        source.file,
        target,
        make,
        by_hand=by_hand(source, target),
        limit=source.limit,
        progress=progress,
    )
    return target


def by_hand(source: Source, dest: Path) -> str:
    """How to get a data set without this machine's network."""
    return (
        f"By hand: on a machine with a network, save {source.url} as {source.file}, bring it here, "
        f"and run `aucseg data get {source.name} --dest {dest} --url {source.file}`. "
        f"Or lay the files out under {dest} (or a folder that AUCSEG_{source.name.upper()} names): "
        f"{', '.join(source.wanted)}."
    )


def instructions(layout: Layout, dest: Path) -> str:
    """How to get a data set that nobody but its user can fetch.

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


def _check_digest(archive: Path, digest: str) -> None:
    import pooch  # whoever fetches nothing need not import it

    algorithm, _, published = digest.partition(":")
    found = pooch.file_hash(str(archive), algorithm)
    if found != published:
        raise DataError(
            f"refused: its {algorithm} is {found}, published {published}",
            file=archive,
            remedy="nothing was installed; fetch it again, from its publisher if this was a mirror",
        )


def _raise_first(problems: list[DataError], archive: Path) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more differences)" if len(problems) > 1 else ""
        first = problems[0]
        name = "/".join(Path(first.file or "").parts[-3:])
        raise DataError(
            f"refused: {name}: {first.what}{more}",
            file=archive,
            remedy="nothing was installed; fetch it again, from its publisher if this was a mirror",
        )
