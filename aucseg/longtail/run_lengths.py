"""A label map as runs of equal labels: far fewer numbers than pixels, and all that the statistics need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from aucseg.data.labels import last_of_runs


@dataclass(frozen=True, eq=False)
class Runs:
    """Horizontal runs of one class, in the order of the pixels; void has none.

    Args:
        classes: class of each run, (R,) uint8.
        starts: position of its first pixel in the flattened map, (R,) int64.
        ends: position after its last pixel, in the same row, (R,) int64.
        width: width of the map, pixels.
    """

    classes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    width: int


def encode_runs(ids: np.ndarray, lookup: np.ndarray, num_classes: int) -> Runs:
    """Split a label map into its runs.

    Args:
        ids: label map, (H, W) uint8.
        lookup: class of each value, (256,); values of ``num_classes`` and above are void.
        num_classes: number of classes K.
    """
    width = ids.shape[1]
    flat = np.ascontiguousarray(ids).reshape(-1)
    if not flat.size:
        return Runs(np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64), width)
    ends = last_of_runs(flat, width)
    classes = lookup.take(flat.take(ends))
    ends += 1
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1]
    wanted = lookup[(lookup >= 0) & (lookup < num_classes)]
    if len(set(wanted.tolist())) < len(wanted):
        # neighbours whose values differ and whose class does not are one run
        new = np.append(True, (classes[1:] != classes[:-1]) | (starts[1:] % width == 0))
        classes, starts, ends = classes[new], starts[new], ends[np.append(new[1:], True)]
    held = (classes >= 0) & (classes < num_classes)
    return Runs(classes[held].astype(np.uint8), starts[held], ends[held], width)


def region_classes(runs: Runs, *, connectivity: int = 8) -> np.ndarray:
    """Class of each region, a region being a connected component of pixels of one class, (M,) uint8.

    All classes at once: the graph joins runs of one class that touch in neighbouring rows, so the cost
    follows the number of runs and not the number of classes.

    Args:
        runs: the runs of a map.
        connectivity: 8, where corners touch, or 4.

    Raises:
        ValueError: for another connectivity.
    """
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity is 4 or 8, got {connectivity}")
    count = len(runs.starts)
    reach = connectivity == 8
    if not count:
        return np.zeros(0, np.uint8)
    rows = np.arange(0, int(runs.ends[-1]) + runs.width, runs.width)
    next_row = np.repeat(rows[1:], np.diff(np.searchsorted(runs.starts, rows)))  # where it begins
    low = np.maximum(runs.starts + (runs.width - reach), next_row)
    high = np.minimum(runs.ends + (runs.width + reach), next_row + runs.width)
    first = np.searchsorted(runs.ends, low, side="right")  # the first run of the next row that ends after low
    after = np.searchsorted(runs.starts, high, side="left")
    touching = after - first
    upper = np.repeat(np.arange(count), touching)
    lower = np.arange(len(upper)) + np.repeat(first - (np.cumsum(touching) - touching), touching)
    same = runs.classes.take(upper) == runs.classes.take(lower)
    edges = (upper[same], lower[same])
    graph = coo_array((np.ones(len(edges[0]), bool), edges), shape=(count, count))
    regions, label = connected_components(graph, directed=False)
    found = np.zeros(regions, np.uint8)
    found[label] = runs.classes
    return found
