"""What no class names: the bonnet of the car that carries the camera, and outlines of objects."""

from __future__ import annotations

import numpy as np

from aucseg.streets import labels as L
from aucseg.streets.canvas import Canvas, cover, planes
from aucseg.streets.draw import Draw
from aucseg.streets.light import Light
from aucseg.streets.texture import sample

# outlines are taken from these large classes only: thin objects keep all their pixels
_LENDERS = (L.ROAD, L.SIDEWALK, L.BUILDING, L.VEGETATION, L.SKY, L.TERRAIN)


def paint_bonnet(canvas: Canvas, light: Light, draw: Draw) -> None:
    """The bonnet along the bottom, curved, with a reflection of the sky; most images show it."""
    shown = draw.chance(0.75)
    rise, bow, shift, tone = draw.uniform(0.045, 0.11), draw.uniform(0.02, 0.07), draw.unit(), draw.unit()
    if not shown:
        return
    patch = canvas.patch(0, canvas.height * (1.0 - rise) - 2, canvas.width, canvas.height)
    if patch is None:
        return
    h = float(canvas.height)
    x = (patch.x - 0.5 * canvas.width) / (0.5 * canvas.width) - 0.16 * (shift - 0.5)
    edge = h * (1.0 - rise + bow * x * x)
    alpha = cover(patch.y - edge)
    depth = np.maximum(patch.y - edge, 0.0) / (0.08 * h)
    sheen = np.maximum(1.0 - np.abs(depth - 0.35) * 2.2, 0.0)
    base = planes((0.09 + 0.22 * tone, 0.10 + 0.21 * tone, 0.12 + 0.20 * tone))
    smear = sample("cloud", patch.y * (90.0 / h), patch.x * (160.0 / h))
    colour = base + planes(light.skyline) * (0.10 + 0.28 * sheen * smear)
    patch.fill(alpha, colour, L.VOID)
    seam = cover(1.0 - np.abs(patch.y - edge - 0.012 * h) / (0.008 * h))
    patch.fill(0.55 * seam, planes((0.05, 0.05, 0.06)))


def outline_void(mask: np.ndarray, draw: Draw) -> None:
    """Make part of the outlines void, one pixel wide, on the side of the larger class.

    An annotator's outlines do not meet: where a small object ends and a large surface begins, a pixel of the
    surface is left without a label. Which stretches are open follows a soft noise, about 1 to 3% of pixels.
    """
    height, width = mask.shape
    lender = np.zeros(256, bool)
    lender[list(_LENDERS)] = True
    edge = np.zeros(mask.shape, bool)
    down = mask[1:] != mask[:-1]
    across = mask[:, 1:] != mask[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge &= lender[mask]
    y = (np.arange(height).reshape(-1, 1)) * (300.0 / height) + 256.0 * draw.unit()
    x = (np.arange(width).reshape(1, -1)) * (300.0 / height) + 256.0 * draw.unit()
    # a pixel is a larger part of a small picture: open fewer stretches there
    edge &= sample("cloud", y, x) > min(0.80, max(0.50, 0.83 - 0.08 * (height / 128.0)))
    mask[edge] = L.VOID
