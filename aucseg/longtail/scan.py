"""The pass over all masks: chunks on a Dask cluster, partial results on disk, a progress callback."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from dask import threaded
from dask.callbacks import Callback

from aucseg.errors import DataError
from aucseg.longtail.chunk import Chunk, ChunkResult, chunk_key, count_chunk, cut
from aucseg.longtail.counts import MaskCounts, join
from aucseg.longtail.label_counts import default_workers
from aucseg.longtail.source import MaskSource

Progress = Callable[[int, int], None]
_Take = Callable[[int, ChunkResult], None]
_CHUNK = 8, 64  # masks in a task: some milliseconds at least, and kilobytes to send at most
_TASKS = 32  # so many that no thread waits long for the last ones
_AHEAD = 3  # tasks for each thread of a cluster that are on their way: enough that none waits
_SHOWN = 8


class ScanError(DataError):
    """Some masks could not be counted.

    Args:
        failures: one line for each of them: the file, what is wrong, the remedy.
        total: masks of the scan.
    """

    def __init__(self, failures: tuple[str, ...], total: int) -> None:
        listed = "\n".join(failures[:_SHOWN])
        more = f"\nand {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
        what = f"{len(failures)} of {total} masks could not be counted:\n{listed}{more}"
        super().__init__(what if len(failures) > 1 else failures[0])
        self.failures = failures


def scan_masks(
    source: MaskSource,
    *,
    regions: bool = False,
    scheduler: str | None = None,
    workers: int | None = None,
    folder: Path | None = None,
    chunk_size: int | None = None,
    progress: Progress | None = None,
) -> MaskCounts:
    """Count pixels, and regions, of each class in each image, in one pass over the masks.

    The cost is linear in the pixels, apart from decoding mostly a comparison of each with its neighbour, and
    does not depend on the number of classes. In memory lies what was counted, about ten bytes for each class
    of each image, and a few masks.

    Args:
        source: the masks.
        regions: also count connected regions (8-connectivity), which takes two to three times as long.
        scheduler: address of a running Dask cluster, such as ``"tcp://10.0.0.1:8786"``, whose workers have
            this package and see the files under the same paths; threads of this process if None.
        workers: threads, where there is no cluster; the processor count up to 8 if None.
        folder: where partial results are kept while the scan runs. A scan that was killed goes on from there;
            of masks that were changed since, the chunk is counted again. Emptied of them at the end. None
            keeps nothing.
        chunk_size: masks in a task; 8 to 64, so that there are 32 tasks if possible, if None.
        progress: called with masks done and masks in all.

    Raises:
        ScanError: if masks could not be counted, after all others were.
        DataError: if there is no mask, no such scheduler, or ``folder`` cannot be written.
        ValueError: if ``chunk_size`` is less than 1.
    """
    least, most = _CHUNK
    size = max(least, min(most, len(source) // _TASKS)) if chunk_size is None else chunk_size
    chunks = cut(source, size, regions=regions)
    if not chunks:
        raise DataError("no masks to count", remedy="give at least one")
    files = [] if folder is None else _files(folder, chunks, source)
    done = {index: MaskCounts.load(file) for index, file in enumerate(files) if file.is_file()}
    failures: dict[int, tuple[str, ...]] = {}
    counted = sum(len(chunks[index].names) for index in done)

    def take(index: int, result: ChunkResult) -> None:
        nonlocal counted
        if result.counts is None:
            failures[index] = result.failures
        else:
            done[index] = result.counts
            if files:
                result.counts.save(files[index])
        counted += len(chunks[index].names)
        if progress is not None:
            progress(counted, len(source))

    if progress is not None:
        progress(counted, len(source))
    todo = {index: chunk for index, chunk in enumerate(chunks) if index not in done}
    if scheduler is not None:
        _run_on_cluster(scheduler, todo, take)
    else:
        _run_in_threads(workers or default_workers(), todo, take)
    if failures:
        raise ScanError(tuple(line for i in sorted(failures) for line in failures[i]), len(source))
    if folder is not None:
        _remove(folder, files)
    return join([done[index] for index in range(len(chunks))])


def _run_in_threads(workers: int, todo: dict[int, Chunk], take: _Take) -> None:
    """Dask's threads. A cluster in this process would cost a seventh of the time for its own housekeeping."""
    # a graph by hand, of partials, since Dask would look for tasks in the fields of an argument: a fifth of
    # the time for each task that its delayed calls take
    graph = {f"count-{index}": (partial(count_chunk, chunk),) for index, chunk in todo.items()}

    def finished(key: str, result: Any, *_: Any) -> None:
        if key in graph:
            take(int(key.removeprefix("count-")), result)

    with Callback(posttask=finished):
        threaded.get(graph, list(graph), num_workers=workers)


def _run_on_cluster(address: str, todo: dict[int, Chunk], take: _Take) -> None:
    """Workers of a running cluster, with no more tasks on their way than they need."""
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
            take(index_of.pop(future.key), result)
            for index in islice(waiting, 1):
                running.add(submit(index))


def _files(folder: Path, chunks: list[Chunk], source: MaskSource) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(
            f"cannot keep partial results ({error.strerror})",
            file=folder,
            remedy="name a folder that can be written",
        ) from error
    return [folder / f"{chunk_key(chunk, source.state)}.npz" for chunk in chunks]


def _remove(folder: Path, files: list[Path]) -> None:
    """Delete what this scan kept, and the folder if nothing else lies in it."""
    for file in files:
        file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
