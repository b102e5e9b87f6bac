"""One tile of value noise, looked up by the coordinates of the surface that wears it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

TILE = 256
_WRAP = TILE - 1


def _upsample(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """A periodic square lattice, smoothly interpolated to TILE x TILE."""
    n = lattice.shape[0]
    t = np.arange(TILE) * (n / TILE)
    low = np.floor(t).astype(np.int64)
    w = t - low
    w = w * w * (3.0 - 2.0 * w)
    high = (low + 1) % n
    rows = lattice[low] * (1.0 - w)[:, None] + lattice[high] * w[:, None]
    return rows[:, low] * (1.0 - w) + rows[:, high] * w


@cache
def tile(kind: str) -> NDArray[np.float64]:
    """A periodic noise tile (TILE, TILE) in [0, 1] with mean near 0.5.

    Args:
        kind: ``"cloud"`` for soft large shapes, ``"leaf"`` for clumps with fine grain, ``"grain"`` for fine
            grain alone, ``"hash"`` for independent values.
    """
    octaves = {
        "cloud": ((8, 0.5), (16, 0.28), (32, 0.15), (64, 0.07)),
        "leaf": ((16, 0.18), (32, 0.26), (64, 0.30), (128, 0.26)),
        "grain": ((32, 0.16), (64, 0.24), (128, 0.30), (256, 0.30)),
        "hash": ((256, 1.0),),
    }[kind]
    key = ("cloud", "leaf", "grain", "hash").index(kind)
    bits = np.random.Generator(np.random.PCG64(np.random.SeedSequence([20210607, key])))
    out = np.zeros((TILE, TILE))
    for lattice, weight in octaves:
        out = out + weight * _upsample(bits.random((lattice, lattice)))
    if kind != "hash":  # a sum of octaves is narrow: stretch it so that callers see the full range
        out = np.minimum(np.maximum((out - 0.5) * 2.0 + 0.5, 0.0), 1.0)
    out.flags.writeable = False
    return out


def sample(kind: str, rows: Array, columns: Array) -> NDArray[np.float64]:
    """Noise at texel coordinates (broadcast together), nearest neighbour, periodic."""
    i = np.floor(rows).astype(np.int64) & _WRAP
    j = np.floor(columns).astype(np.int64) & _WRAP
    return tile(kind).reshape(-1)[(i << 8) + j]
