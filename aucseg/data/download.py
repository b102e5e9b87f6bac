"""Fetch a public data set, turn it into the package's layout and check every file of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aucseg import paths
from aucseg.data.camvid_source import CAMVID_TERMS, CAMVID_URL, convert_camvid
from aucseg.data.checksums import check_published
from aucseg.data.fetch import Progress
from aucseg.data.install import in_the_way, install
from aucseg.data.unpack import extract_folder
from aucseg.errors import DataError

_MAX_UNPACKED = 8 << 30


@dataclass(frozen=True)
class Source:
    """Where a public data set comes from.

    Args:
        name: name of the data set and of its label set.
        url: a tar archive.
        folder: folder of the archive that holds the data.
        checksums: CSV with split, name, sha256 of the mask's values, mean r, g, b of the image.
        terms: terms of use and what to cite, shown before the download.
        convert: turns the unpacked folder (first argument) into our layout (second).
    """

    name: str
    url: str
    folder: str
    checksums: Path
    terms: str
    convert: Callable[[Path, Path], None]


SOURCES: dict[str, Source] = {
    "camvid": Source(
        name="camvid",
        url=CAMVID_URL,
        folder="CamVid",
        checksums=Path(__file__).parent / "specs" / "camvid_checksums.csv",
        terms=CAMVID_TERMS,
        convert=convert_camvid,
    )
}


def find_source(name: str, sources: Mapping[str, Source] | None = None) -> Source:
    """The source of a data set by name.

    Raises:
        DataError: for an unknown name, with the known ones.
    """
    known = SOURCES if sources is None else sources
    if name not in known:
        raise DataError(f"no data set {name!r} to get", remedy=f"known: {', '.join(sorted(known))}")
    return known[name]


def get(
    name: str,
    dest: str | os.PathLike[str] | None = None,
    *,
    url: str | None = None,
    sources: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch a data set to ``dest``; complete and checked, or not at all.

    An interrupted download goes on where it stopped. What is there already and passes the checks is
    left as it is.

    Args:
        name: ``"camvid"``.
        dest: folder to make; ``data/<name>`` of the project if None (``aucseg.paths.home``).
        url: another address of the archive: http, https, ``file:`` or a path.
        sources: table of sources; the package's own if None.
        progress: called with the bytes so far and the total.

    Returns:
        ``dest``.

    Raises:
        DataError: without a network (with what to do by hand), for a damaged or changed archive, or if
            ``dest`` holds something else.
    """
    source = find_source(name, sources)
    target = paths.dataset(name) if dest is None else Path(dest)
    if in_the_way(target):
        _expect_complete(target, source)
        return target

    def make(archive: Path, work: Path) -> Path:
        extract_folder(archive, source.folder, work / "raw", limit=_MAX_UNPACKED)
        source.convert(work / "raw", work / "done")
        _raise_first(check_published(work / "done", source.checksums), archive)
        return work / "done"

    help_ = by_hand(source, target)
    install(url or source.url, f"{name}.tar.gz", target, make, by_hand=help_, progress=progress)
    return target


def by_hand(source: Source, dest: Path) -> str:
    """How to get a data set without this machine's network."""
    return (
        f"By hand: on a machine with a network, save {source.url} as {source.name}.tar.gz, bring it here, "
        f"and run `aucseg data get {source.name} --dest {dest} --url {source.name}.tar.gz`. "
        f"Or lay the files out under {dest} (or a folder that AUCSEG_{source.name.upper()} names): "
        "images/<split>/NAME.png, annotations/<split>/NAME.png, splits/<split>.txt with a NAME on each "
        "line, and classes.csv with id,name,r,g,b,ignore."
    )


def _expect_complete(target: Path, source: Source) -> None:
    problems = check_published(target, source.checksums) if target.is_dir() else [DataError("not a folder")]
    if problems:
        raise DataError(
            f"is in the way and is not a complete {source.name} ({len(problems)} differences; "
            f"the first: {problems[0]})",
            file=target,
            remedy="move it away or choose another --dest",
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
