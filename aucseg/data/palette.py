"""Colours of classes: in the files of masks, and for classes that have none.

Those are far apart for every reader, those who confuse red and green too.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

# How dichromats see, on linear RGB: Machado, Oliveira, Fernandes, A Physiologically-based Model for
# Simulation of Color Vision Deficiency, IEEE TVCG 2009, severity 1.0.
_PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
_DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
# Linear RGB to XYZ (sRGB, IEC 61966-2-1), and its white.
_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
_LEVELS = 9  # of red, green and blue among which is chosen
_TAKEN = ((0, 0, 0), (255, 255, 255))  # void, and the page


def views(colors: np.ndarray) -> np.ndarray:
    """CIELAB coordinates of colours as seen with normal sight, with protanopia and with deuteranopia.

    Args:
        colors: sRGB colours from 0 to 255, (N, 3).

    Returns:
        L*, a*, b* for each sight, (3, N, 3).
    """
    fraction = np.asarray(colors, float) / 255
    linear = np.where(fraction <= 0.04045, fraction / 12.92, ((fraction + 0.055) / 1.055) ** 2.4)
    seen = np.stack([linear, linear @ np.array(_PROTANOPIA).T, linear @ np.array(_DEUTERANOPIA).T]).clip(0, 1)
    ratio = seen @ np.array(_XYZ).T / np.array(_XYZ).sum(1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1
    )


@lru_cache(maxsize=8)
def distinct_colors(number: int) -> tuple[tuple[int, int, int], ...]:
    """Some colours that differ as much as can be, whoever looks at them; the same ones every time.

    Each next colour is the one whose least distance to those before, to black and to white is largest, where
    the distance of two colours is the least of their CIELAB distances with normal sight, protanopia and
    deuteranopia. So the first colours of a long list are those of a short one.

    Args:
        number: how many, at most 255.

    Returns:
        Red, green and blue from 0 to 255 of each, all different.

    Raises:
        ValueError: for a number that is not from 0 to 255.

    Example:
        >>> distinct_colors(3) == distinct_colors(20)[:3]
        True
    """
    if not 0 <= number <= 255:
        raise ValueError(f"a palette has from 0 to 255 colours, got {number}")
    steps = np.rint(np.linspace(0, 255, _LEVELS)).astype(int)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    seen = views(grid)
    nearest = np.full(len(grid), np.inf)
    for color in _TAKEN:
        nearest = np.minimum(nearest, np.linalg.norm(seen - views(np.array([color])), axis=-1).min(0))
    chosen = []
    for _ in range(number):
        best = int(np.argmax(nearest))
        chosen.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(seen - seen[:, best : best + 1], axis=-1).min(0))
    return tuple((int(r), int(g), int(b)) for r, g, b in grid[chosen])


def indexed_mask(ids: np.ndarray, palette: np.ndarray) -> Image.Image:
    """A mask as a picture of mode P: its pixels are the train ids, and programs show it in the colours.

    Args:
        ids: (H, W) uint8.
        palette: (256, 3) uint8, colours by id, as ``ClassSpec.palette``.
    """
    picture = Image.fromarray(ids)
    picture.putpalette(palette.tobytes())
    return picture
