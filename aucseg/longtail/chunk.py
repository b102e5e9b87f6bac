"""One task of a scan: a few masks, counted one after the other, and where the result is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aucseg.data.classes import NOT_A_LABEL, VOID
from aucseg.data.reading import to_train_ids
from aucseg.errors import DataError
from aucseg.longtail.counts import MaskCounts
from aucseg.longtail.runs import encode_runs, region_classes, value_histogram
from aucseg.longtail.source import MaskSource

_VERSION = 1  # of what is counted and how: raise it, and no older partial result is taken up


@dataclass(frozen=True)
class Chunk:
    """Consecutive masks of a source, in plain values that travel to another machine.

    Args:
        names: name of each mask.
        places: what ``read`` is called with.
        read: decodes a mask.
        lookup: train id of each value, (256,) int16.
        class_names: class names, one for each train id.
        regions: whether connected regions are counted too.
    """

    names: tuple[str, ...]
    places: tuple[Any, ...]
    read: Callable[[Any], np.ndarray]
    lookup: np.ndarray
    class_names: tuple[str, ...]
    regions: bool


@dataclass(frozen=True)
class ChunkResult:
    """What a chunk gave: its counts, or which of its masks could not be counted and why."""

    counts: MaskCounts | None
    failures: tuple[str, ...]


def cut(source: MaskSource, size: int, *, regions: bool) -> list[Chunk]:
    """Cut a source into chunks of ``size`` masks.

    Args:
        source: the masks.
        size: masks in a chunk, at least 1.
        regions: whether connected regions are counted too.

    Raises:
        ValueError: if ``size`` is less than 1.
    """
    if size < 1:
        raise ValueError(f"a chunk holds at least 1 mask, got {size}")
    spans = (slice(start, start + size) for start in range(0, len(source), size))
    return [
        Chunk(
            tuple(source.names[span]),
            tuple(source.places[span]),
            source.read,
            source.lookup,
            source.class_names,
            regions,
        )
        for span in spans
    ]


def chunk_key(chunk: Chunk, state: Callable[[Any], str]) -> str:
    """Identity of a chunk's result: the masks and their states, the classes, and what is counted.

    Args:
        chunk: the chunk.
        state: tells whether a place still holds what it held.
    """
    content = [
        _VERSION,
        chunk.class_names,
        chunk.lookup.tolist(),
        chunk.regions,
        _name(chunk.read),
        [[name, str(place), state(place)] for name, place in zip(chunk.names, chunk.places, strict=True)],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def count_chunk(chunk: Chunk) -> ChunkResult:
    """Count the masks of a chunk; a bad one is reported and does not stop the others.

    Args:
        chunk: the chunk.
    """
    k = len(chunk.class_names)
    neither = np.flatnonzero(chunk.lookup == NOT_A_LABEL)
    histograms, regions = [], []
    failures = []
    for place in chunk.places:
        try:
            ids = chunk.read(place)
            histogram = value_histogram(ids)
            if histogram[neither].any():
                to_train_ids(ids, chunk.lookup, Path(str(place)))  # raises, with every wrong value
        except DataError as error:
            failures.append(str(error))
            continue
        except OSError as error:
            failures.append(f"{place}: {error.strerror or error}; make the file readable")
            continue
        histograms.append(histogram)
        if chunk.regions:
            regions.append(np.bincount(region_classes(encode_runs(ids, chunk.lookup, k)), minlength=k))
    if failures:
        return ChunkResult(None, tuple(failures))
    pixels = _fold(np.stack(histograms), chunk.lookup)
    image, class_ = np.nonzero(pixels[:, :k])
    counts = MaskCounts(
        chunk.class_names,
        chunk.names,
        np.searchsorted(image, np.arange(len(histograms) + 1)),
        class_.astype(np.uint8),
        pixels[image, class_],
        pixels[:, VOID].copy(),  # a view would keep all of it
        np.stack(regions)[image, class_].astype(np.int32) if chunk.regions else None,
    )
    return ChunkResult(counts, ())


def _fold(histograms: np.ndarray, lookup: np.ndarray) -> np.ndarray:
    """Pixels of each train id in each image, (N, 256) int64: 256 values are mapped instead of every pixel."""
    labels = np.where(lookup == NOT_A_LABEL, VOID, lookup)  # of which no image has any
    keys = np.arange(len(histograms))[:, None] * 256 + labels
    return np.bincount(keys.ravel(), histograms.ravel(), histograms.size).reshape(-1, 256).astype(np.int64)


def _name(read: Callable[[Any], np.ndarray]) -> str:
    function = read.func if isinstance(read, partial) else read
    return f"{function.__module__}.{function.__qualname__}"
