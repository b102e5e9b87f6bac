"""Fetch a public data set, turn it into the package's layout and check every file of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from aucseg import paths
from aucseg.data.camvid_source import CAMVID_TERMS, CAMVID_URL, convert_camvid
from aucseg.data.checksums import check_published
from aucseg.data.errors import DataError
from aucseg.data.fetch import Progress, extract_folder, fetch


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
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        _expect_complete(target, source)
        return target
    downloads = target.parent / "downloads"
    address = url or source.url
    local = local_path(address)
    if local is not None and not local.is_file():
        raise DataError("no such archive", file=local, remedy="give the path of the downloaded .tar.gz")
    if local is None:
        try:
            archive = fetch(address, downloads / f"{name}.tar.gz", progress=progress)
        except DataError as error:
            _remove_if_empty(downloads)
            raise DataError(error.what, remedy=f"{error.remedy}\n{by_hand(source, target)}") from error
    else:
        archive = local
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        with _work_folder(downloads, name) as work:
            extract_folder(archive, source.folder, work / "raw")
            source.convert(work / "raw", work / "done")
            _raise_first(check_published(work / "done", source.checksums), archive)
            if target.exists():  # an empty folder
                target.rmdir()
            (work / "done").replace(target)
    except DataError:
        if local is None:  # a bad archive would only be in the way of the next try
            archive.unlink(missing_ok=True)
        raise
    else:
        if local is None:
            archive.unlink(missing_ok=True)
    finally:
        # A full disk or Ctrl-C keeps the archive: the next call goes on from there.
        _remove_if_empty(downloads)
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


def local_path(address: str) -> Path | None:
    """The path behind a ``file:`` URL or a plain path; None for http and https."""
    parsed = urlparse(address)
    if parsed.scheme in ("http", "https"):
        return None
    if parsed.scheme == "file":
        return Path(url2pathname(parsed.path))
    if "://" in address:
        raise DataError(f"cannot read from {address!r}", remedy="use http, https, file or a path")
    return Path(address)


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


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


@contextmanager
def _work_folder(parent: Path, name: str) -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
