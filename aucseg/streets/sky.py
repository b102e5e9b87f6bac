"""The sky and the far skyline."""

from __future__ import annotations

import numpy as np

from aucseg.streets import labels as L
from aucseg.streets.camera import Camera
from aucseg.streets.canvas import Canvas, cover, planes
from aucseg.streets.light import Light
from aucseg.streets.street import Street
from aucseg.streets.texture import sample


def paint_sky(canvas: Canvas, camera: Camera, light: Light, street: Street) -> None:
    """Gradient from zenith to horizon with clouds, over all rows above the horizon."""
    patch = canvas.patch(0, 0, canvas.width, camera.cy)
    if patch is None:
        return
    unit = 1.0 / canvas.height
    up = np.maximum((camera.cy - patch.y) * unit, 0.0)
    t = up / (up + 0.22)
    sky = planes(light.skyline) * (1.0 - t) + planes(light.zenith) * t
    # clouds flatten towards the horizon, as a layer seen from below
    row = 60.0 / (up + 0.12) + 256.0 * street.r[0]
    column = (patch.x - camera.cx) * (unit * 34.0) / (up + 0.30) + 256.0 * street.r[1]
    puff = sample("cloud", row, column)
    puff = np.minimum(np.maximum((puff - (0.95 - 0.75 * light.clouds)) * 2.2, 0.0), 1.0)
    bright = planes([0.5 * c + 0.5 for c in light.skyline])
    shadow = 0.80 + 0.20 * t
    patch.rgb[:] = sky + puff * 0.85 * (bright * shadow - sky)
    patch.mask[:] = L.SKY


def paint_skyline(canvas: Canvas, camera: Camera, light: Light, street: Street) -> None:
    """Distant roofs and trees along the horizon: what a gap in the street looks upon."""
    unit = 1.0 / canvas.height
    x = (canvas.x - camera.cx) * unit
    roofs = sample("hash", np.full_like(x, 256.0 * street.r[2]), x * 22.0 + 97.0 * street.r[3])
    trees = sample("leaf", np.full_like(x, 256.0 * street.r[4]), x * 130.0)
    depth = 2.0 * street.end
    for label, top, colour in (
        (L.BUILDING, 0.02 + 0.07 * roofs, (0.46, 0.44, 0.43)),
        (L.VEGETATION, 0.01 + 0.06 * trees, (0.22, 0.30, 0.17)),
    ):
        if label not in street.present:
            continue
        if street.roofed:
            top = np.full_like(top, 2.0) if label == L.BUILDING or L.BUILDING not in street.present else top
        patch = canvas.patch(0, camera.cy - canvas.height * float(top.max()), canvas.width, camera.cy + 2)
        if patch is None:
            continue
        alpha = cover((patch.y - camera.cy) + top * canvas.height)
        grain = sample("leaf", patch.y * (unit * 200.0), patch.x * (unit * 200.0))
        patch.fill(alpha, light.tint(colour, depth) * (0.85 + 0.3 * grain), label)
