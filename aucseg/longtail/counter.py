"""The one counter of masks: a pass over them, in threads or on a Dask cluster, going on where it was killed.

Anything with masks is counted: a data set (``spec``, ``names``, ``mask(index)``), or the files of masks as
:class:`MaskFiles` names them. No image is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_array

from aucseg.data.labels import (
    VOID,
    by_train_id,
    to_train_ids,
    train_id_table,
    value_histogram,
    without_meaning,
)
from aucseg.data.spec import ClassSpec
from aucseg.data.threads import bounded_map, default_workers
from aucseg.errors import DataError, file_errors
from aucseg.longtail.run_lengths import encode_runs, region_classes
from aucseg.longtail.tally import Tally, join

Progress = Callable[[int, int], None]
_VERSION = 2  # of what is counted and how: raise it, and nothing that was kept is taken up
_CHUNK = 8, 256  # masks in a task: some milliseconds at least, and kilobytes to send and keep at most
_TASKS = 32  # so many that no thread waits long for the last ones
_AHEAD = 3  # tasks for each thread that are on their way: enough that none waits
_SHOWN = 8


class CountError(DataError):
    """Some masks could not be counted.

    Args:
        failures: one line for each of them: the file, what is wrong, the remedy.
        total: masks of the count.
    """

    def __init__(self, failures: tuple[str, ...], total: int) -> None:
        listed = "\n".join(failures[:_SHOWN])
        more = f"\nand {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
        what = f"{len(failures)} of {total} masks could not be counted:\n{listed}{more}"
        super().__init__(what if len(failures) > 1 else failures[0])
        self.failures = failures


class HasMasks(Protocol):
    """A data set as far as its masks go: every data set of this package."""

    spec: ClassSpec

    @property
    def names(self) -> Sequence[str]:
        """Name of each item."""

    def mask(self, index: int) -> Any:
        """Train ids of an item, (H, W) integers, void = 255; its image is not opened."""


def file_state(path: Any) -> str:
    """Size and time of a file, by which a count knows whether it was changed.

    Args:
        path: the file; one that is missing has the state ``"missing"``, and the count will say so.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - any place that the reader takes, not only a Path
    except OSError:
        return "missing"
    return f"{found.st_size}-{found.st_mtime_ns}"


@dataclass(frozen=True, eq=False)
class MaskFiles:
    """Masks that one function decodes.

    What travels to the workers of a cluster is ``places``, ``read`` and ``lookup``, so ``read`` is a function
    of a module or a `functools.partial` of one, and a cluster must see the files under the same paths.

    Args:
        spec: the label set.
        names: name of each mask, for messages.
        places: what ``read`` is called with, mostly the path of the file.
        read: decodes a mask to the values of its file, (H, W) uint8.
        lookup: train id of each of the 256 values, 255 for void, -1 for neither, (256,) int16; None for masks
            that hold train ids already.
        state: tells whether a place still holds what it held, for what is kept of a count.

    Raises:
        ValueError: if names and places differ in number, or the lookup has another shape.
    """

    spec: ClassSpec
    names: Sequence[str]
    places: Sequence[Any]
    read: Callable[[Any], np.ndarray]
    lookup: np.ndarray | None = None
    state: Callable[[Any], str] = file_state

    def __post_init__(self) -> None:
        if len(self.names) != len(self.places):
            raise ValueError(f"{len(self.names)} names but {len(self.places)} places")
        if self.lookup is not None and self.lookup.shape != (256,):
            raise ValueError(f"lookup has shape {self.lookup.shape}; it maps 256 values")

    def __len__(self) -> int:
        return len(self.places)


def train_id_maps(masks: HasMasks | MaskFiles) -> Iterator[np.ndarray]:
    """The masks one after the other, (H, W) uint8 of train ids, void = 255.

    Args:
        masks: a data set, or mask files.

    Raises:
        DataError: for the first mask that is missing, unreadable or has labels outside the classes.
    """
    source = masks if isinstance(masks, MaskFiles) else _of_dataset(masks)
    lookup = _lookup(source)
    for name, place in zip(source.names, source.places, strict=True):
        yield to_train_ids(source.read(place), lookup, _file(name, place))


def count(
    masks: HasMasks | MaskFiles,
    *,
    regions: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    file: Path | None = None,
    write: bool = True,
    folder: Path | None = None,
    chunk_size: int | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Count pixels, and regions, of each class in each image, in one pass over the masks.

    The cost is linear in the pixels, apart from decoding mostly a comparison of each with its neighbour, and
    does not depend on the number of classes. In memory lies what was counted, and a few masks.

    Args:
        masks: a data set, whose masks are counted as it shows them, at its size; or mask files as they are.
        regions: also count connected regions (8-connectivity), which takes two to three times as long.
        workers: threads, where there is no cluster; the processor count up to 8 if None.
        scheduler: address of a running Dask cluster, such as ``"tcp://10.0.0.1:8786"``, whose workers have
            this package and see the files under the same paths; threads of this process if None.
        file: where the tally is kept. It is taken from there if the masks are the same: their names and
            classes, and the size and time of every file, or the fingerprint of a data set.
        write: whether to keep it there after counting.
        folder: where partial results are kept while the count runs. One that was killed goes on from there;
            of masks that were changed since, the task is counted again. Emptied of them at the end. None
            keeps nothing.
        chunk_size: masks in a task; 8 to 256, so that there are 32 tasks if possible, if None.
        progress: called with masks done and masks in all.

    Returns:
        The tally, image by image.

    Raises:
        CountError: if masks could not be counted, after all others were.
        DataError: if there is no mask, no such scheduler, or a file or folder cannot be written or read.
        ValueError: if ``chunk_size`` is less than 1.

    Example:
        >>> from aucseg.streets import SyntheticStreets
        >>> tally = count(SyntheticStreets(4, size=(32, 64)))
        >>> tally.presence.shape, int(tally.images[tally.names.index("road")])
        ((4, 19), 4)
    """
    source = masks if isinstance(masks, MaskFiles) else _of_dataset(masks)
    least, most = _CHUNK
    size = max(least, min(most, len(source) // _TASKS)) if chunk_size is None else chunk_size
    chunks = _cut(source, size, regions)
    if not chunks:
        raise DataError("no masks to count", remedy="give at least one")
    key = "" if file is None else _key(source, source.names, source.places, regions)
    if file is not None and (kept := Tally.load_kept(file, source.spec, key)) is not None:
        return kept
    tally = _count_chunks(source, chunks, regions, workers, scheduler, folder, progress)
    if file is not None and write:
        tally.save(file, key=key)
    return tally


def _of_dataset(dataset: HasMasks) -> MaskFiles:
    """The masks of a data set as places, which are its indices."""
    names = dataset.names
    return MaskFiles(
        dataset.spec,
        names,
        range(len(names)),
        partial(_mask_of, dataset),
        state=partial(_state_of, dataset),
    )


def _mask_of(dataset: HasMasks, index: int) -> np.ndarray:
    return np.asarray(dataset.mask(index), np.uint8)


def _state_of(dataset: Any, index: int) -> str:
    """The fingerprint tells what the files hold, and the size how they are shown."""
    return f"{dataset.fingerprint()}-{getattr(dataset, 'size', None)}"


@dataclass(frozen=True)
class Chunk:
    """Consecutive masks of a count, in plain values that travel to another machine.

    Args:
        spec: the label set.
        names: name of each mask.
        places: what ``read`` is called with.
        read: decodes a mask.
        lookup: train id of each value, (256,) int16.
        regions: whether connected regions are counted too.
    """

    spec: ClassSpec
    names: tuple[str, ...]
    places: tuple[Any, ...]
    read: Callable[[Any], np.ndarray]
    lookup: np.ndarray
    regions: bool


@dataclass(frozen=True)
class ChunkResult:
    """What a chunk gave: its counts, or which of its masks could not be counted and why."""

    tally: Tally | None
    failures: tuple[str, ...]


def _cut(source: MaskFiles, size: int, regions: bool) -> list[Chunk]:
    if size < 1:
        raise ValueError(f"a chunk holds at least 1 mask, got {size}")
    lookup = _lookup(source)
    spans = (slice(start, start + size) for start in range(0, len(source), size))
    return [
        Chunk(
            source.spec, tuple(source.names[span]), tuple(source.places[span]), source.read, lookup, regions
        )
        for span in spans
    ]


def _lookup(source: MaskFiles) -> np.ndarray:
    return train_id_table(source.spec.num_classes) if source.lookup is None else source.lookup


def _file(name: str, place: Any) -> Path:
    """What a message calls a mask: its file, or the name of an item that has none."""
    return Path(name if isinstance(place, int) else place)


def _key(source: MaskFiles, names: Sequence[str], places: Sequence[Any], regions: bool) -> str:
    """Identity of a tally: the masks and their states, the classes, and what is counted."""
    function = source.read.func if isinstance(source.read, partial) else source.read
    content = [
        _VERSION,
        source.spec.names,
        _lookup(source).tolist(),
        regions,
        f"{function.__module__}.{function.__qualname__}",
        [[name, source.state(place)] for name, place in zip(names, places, strict=True)],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def count_chunk(chunk: Chunk) -> ChunkResult:
    """Count the masks of a chunk; a bad one is reported and does not stop the others.

    Args:
        chunk: the chunk.
    """
    k = chunk.spec.num_classes
    histograms, regions, shapes = [], [], set()
    failures = []
    for name, place in zip(chunk.names, chunk.places, strict=True):
        try:
            ids = chunk.read(place)
            histogram = value_histogram(ids)
            if without_meaning(histogram, chunk.lookup).size:
                to_train_ids(ids, chunk.lookup, _file(name, place))  # raises, with every wrong value
        except DataError as error:
            failures.append(str(error))
            continue
        except OSError as error:
            failures.append(f"{place}: {error.strerror or error}; make the file readable")
            continue
        histograms.append(histogram)
        shapes.add((ids.shape[0], ids.shape[1]))
        if chunk.regions:
            regions.append(np.bincount(region_classes(encode_runs(ids, chunk.lookup, k)), minlength=k))
    if failures:
        return ChunkResult(None, tuple(failures))
    pixels = by_train_id(np.stack(histograms), chunk.lookup)
    tally = Tally.of_images(
        chunk.spec,
        csr_array(pixels[:, :k]),
        regions=np.stack(regions).astype(np.int32) if chunk.regions else None,
        void=pixels[:, VOID].copy(),  # a view would keep all of it
        names=chunk.names,
        image_size=next(iter(shapes)) if len(shapes) == 1 else None,
        max_image_pixels=max(height * width for height, width in shapes),
    )
    return ChunkResult(tally, ())


def _count_chunks(
    source: MaskFiles,
    chunks: list[Chunk],
    regions: bool,
    workers: int | None,
    scheduler: str | None,
    folder: Path | None,
    progress: Progress | None,
) -> Tally:
    files: list[Path] = []
    done: dict[int, Tally] = {}
    if folder is not None:
        _make_writable(folder)
        keys = [_key(source, chunk.names, chunk.places, regions) for chunk in chunks]
        files = [folder / f"{key}.npz" for key in keys]
        done = {i: Tally.load(file, source.spec) for i, file in enumerate(files) if file.is_file()}
    failures: dict[int, tuple[str, ...]] = {}
    counted = sum(tally.num_images for tally in done.values())
    if progress is not None:
        progress(counted, len(source))
    todo = {index: chunk for index, chunk in enumerate(chunks) if index not in done}
    results: Generator[tuple[int, ChunkResult]]
    if scheduler is None:
        results = _in_threads(workers or default_workers(), todo)
    else:
        results = _on_cluster(scheduler, todo)
    with closing(results):  # whoever stops in between leaves no task behind
        for index, result in results:
            if result.tally is None:
                failures[index] = result.failures
            else:
                done[index] = result.tally
                if files:
                    result.tally.save(files[index])
            counted += len(chunks[index].names)
            if progress is not None:
                progress(counted, len(source))
    if failures:
        raise CountError(tuple(line for i in sorted(failures) for line in failures[i]), len(source))
    for file in files:
        file.unlink(missing_ok=True)
    if folder is not None:
        with suppress(OSError):  # something else lies in it
            folder.rmdir()
    return join([done[index] for index in range(len(chunks))])


def _in_threads(workers: int, todo: dict[int, Chunk]) -> Generator[tuple[int, ChunkResult]]:
    results = bounded_map(count_chunk, todo.values(), workers=workers, ahead=_AHEAD * workers)
    yield from zip(todo, results, strict=True)


def _on_cluster(address: str, todo: dict[int, Chunk]) -> Generator[tuple[int, ChunkResult]]:
    """Results from the workers of a running cluster, with no more tasks on their way than they need."""
    from distributed import Client, as_completed  # a server and its client, of no use on one machine

    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"no Dask scheduler at {address!r}: {error}",
            remedy="start one with `dask scheduler`, and its workers with `dask worker ADDRESS`",
        ) from error
    with client:
        threads = sum(client.ncores().values())
        if not threads:
            raise DataError(
                f"the Dask scheduler at {address!r} has no workers",
                remedy=f"start some with `dask worker {address}`",
            )
        index_of = {}

        def submit(index: int) -> Any:
            # impure: the same call on a changed file must not be answered from the scheduler's memory
            future = client.submit(count_chunk, todo[index], pure=False)
            index_of[future.key] = index
            return future

        waiting = iter(todo)
        first = [submit(index) for index in islice(waiting, _AHEAD * threads)]
        running = as_completed(first, with_results=True, loop=client.loop)
        for future, result in running:
            yield index_of.pop(future.key), result
            for index in islice(waiting, 1):
                running.add(submit(index))


def _make_writable(folder: Path) -> None:
    with file_errors(folder, "cannot keep partial results", remedy="name a folder that can be written"):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
