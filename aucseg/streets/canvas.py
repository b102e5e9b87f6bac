"""What is painted on: colours and labels, antialiased by coverage, and the noise that surfaces wear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Colour = Sequence[float]

TILE = 256
_WRAP = TILE - 1


class TrainId:
    """Train ids of the Cityscapes classes that the painters write, and void."""

    ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, SIGNAL, SIGN, VEGETATION, TERRAIN = range(10)
    SKY, PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = range(10, 19)
    VOID = 255
    CLASSES = 19


def cover(distance: Array) -> Array:
    """Coverage in [0, 1] of a pixel whose centre lies ``distance`` pixels inside an edge."""
    out = distance + 0.5
    np.maximum(out, 0.0, out=out)
    np.minimum(out, 1.0, out=out)
    return out


def planes(colour: Colour) -> Array:
    """An RGB triple as an array (3, 1, 1) that broadcasts over planes."""
    return np.array(colour, dtype=np.float64).reshape(3, 1, 1)


class Patch:
    """A window of the canvas: views of its pixels and the coordinates of their centres.

    Attributes:
        rgb: view (3, h, w) of the colours; None on a canvas of labels alone.
        mask: view (h, w) of the labels.
        x: pixel centres (1, w).
        y: pixel centres (h, 1).
    """

    __slots__ = ("mask", "rgb", "x", "y")

    def __init__(self, canvas: Canvas, x0: int, y0: int, x1: int, y1: int) -> None:
        self.rgb = None if canvas.rgb is None else canvas.rgb[:, y0:y1, x0:x1]
        self.mask = canvas.mask[y0:y1, x0:x1]
        self.x = canvas.x[:, x0:x1]
        self.y = canvas.y[y0:y1]

    def fill(self, alpha: Array, colour: Array | Callable[[], Array], label: int | None = None) -> None:
        """Blend a colour by coverage; label what it covers by half or more.

        Args:
            alpha: coverage (h, w).
            colour: (3, 1, 1) or (3, h, w), or a function that makes it: a canvas of labels never calls it.
            label: train id; None leaves the labels.
        """
        if self.rgb is not None:
            self.rgb += alpha * ((colour() if callable(colour) else colour) - self.rgb)
        if label is not None:
            self.label(alpha, label)

    def label(self, alpha: Array, label: int) -> None:
        """Set the label of the pixels that are covered by half or more."""
        np.copyto(self.mask, np.uint8(label), where=alpha >= 0.5)

    def darken(self, amount: Array) -> None:
        """Multiply the colours by one minus an amount (h, w)."""
        if self.rgb is not None:
            self.rgb *= 1.0 - amount

    def box(self, x0: float, y0: float, x1: float, y1: float) -> Array:
        """Coverage of an upright rectangle, in pixel coordinates."""
        across = cover(np.minimum(self.x - x0, x1 - self.x))
        down = cover(np.minimum(self.y - y0, y1 - self.y))
        return across * down

    def ellipse(self, cx: float, cy: float, rx: float, ry: float) -> Array:
        """Coverage of an upright ellipse, in pixel coordinates."""
        dx = (self.x - cx) / rx
        dy = (self.y - cy) / ry
        return cover((1.0 - np.sqrt(dx * dx + dy * dy)) * min(rx, ry))

    def soft(self, cx: float, cy: float, rx: float, ry: float) -> Array:
        """A soft spot in [0, 1]: one in the centre, zero on the ellipse and outside."""
        dx = (self.x - cx) / rx
        dy = (self.y - cy) / ry
        out = 1.0 - (dx * dx + dy * dy)
        np.maximum(out, 0.0, out=out)
        return out * (2.0 - out)

    def polygon(self, points: Sequence[tuple[float, float]]) -> Array:
        """Coverage of a convex polygon, its corners given clockwise on the screen."""
        inside: Array | None = None
        for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
            ex, ey = bx - ax, by - ay
            length = float(np.sqrt(ex * ex + ey * ey)) or 1.0
            side = (self.y - ay) * (ex / length) - (self.x - ax) * (ey / length)
            inside = side if inside is None else np.minimum(inside, side)
        assert inside is not None
        return cover(inside)

    def capsules(self, ends: Array, radii: Array) -> Array:
        """Coverage (n, h, w) of n thick segments.

        Args:
            ends: x0, y0, x1, y1 of each segment (n, 4), pixel coordinates.
            radii: half thickness of each (n,), pixels.
        """
        ax, ay, bx, by = (ends[:, k].reshape(-1, 1, 1) for k in range(4))
        ex, ey = bx - ax, by - ay
        length = np.maximum(ex * ex + ey * ey, 1e-9)
        px = self.x - ax
        py = self.y - ay
        t = px * (ex / length) + py * (ey / length)
        np.maximum(t, 0.0, out=t)
        np.minimum(t, 1.0, out=t)
        dx = px - t * ex
        dy = py - t * ey
        dx *= dx
        dy *= dy
        dx += dy
        np.sqrt(dx, out=dx)
        return cover(radii.reshape(-1, 1, 1) - dx)


class Canvas:
    """The picture under the brush: colours (3, H, W) float64 and labels (H, W) uint8.

    Args:
        height: rows.
        width: columns.
        colours: False for a canvas of labels alone, on which painters leave out what colours cost.
    """

    def __init__(self, height: int, width: int, *, colours: bool = True) -> None:
        self.height, self.width = height, width
        self.rgb = np.zeros((3, height, width)) if colours else None
        self.mask = np.full((height, width), TrainId.VOID, np.uint8)
        self.x = (np.arange(width) + 0.5).reshape(1, -1)
        self.y = (np.arange(height) + 0.5).reshape(-1, 1)

    def patch(self, x0: float, y0: float, x1: float, y1: float) -> Patch | None:
        """The window that holds a rectangle and one pixel around it; None if it lies off the canvas."""
        left, right = max(int(x0) - 1, 0), min(int(x1) + 2, self.width)
        top, bottom = max(int(y0) - 1, 0), min(int(y1) + 2, self.height)
        if left >= right or top >= bottom or x1 < 0 or y1 < 0:
            return None
        return Patch(self, left, top, right, bottom)


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
