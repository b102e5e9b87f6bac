"""The ground plane: asphalt with markings, tram rails, kerbs, paving and grass."""

from __future__ import annotations

import numpy as np

from aucseg.streets.camera import Camera
from aucseg.streets.canvas import Array, Canvas, Patch, TrainId, cover, planes, sample
from aucseg.streets.light import Light
from aucseg.streets.street import Side, Street

_PAVING = ((0.58, 0.55, 0.52), (0.50, 0.50, 0.50), (0.62, 0.56, 0.50), (0.47, 0.45, 0.46))
_GRASS = ((0.30, 0.38, 0.16), (0.40, 0.40, 0.20), (0.26, 0.34, 0.17), (0.45, 0.40, 0.26))


def _dashes(z: Array, period: float, fraction: float, size: Array) -> Array:
    """Coverage of dashes along the street, averaged where a pixel is longer than a period."""
    t = z / period
    t = t - np.floor(t)
    sharp = cover((0.5 * fraction - np.abs(t - 0.5)) * period / size)
    blur = np.minimum(size / period, 1.0)
    return sharp + blur * (fraction - sharp)


def paint_ground(canvas: Canvas, camera: Camera, light: Light, street: Street) -> None:
    """Paint everything under the horizon.

    A row under the horizon lies at depth ``z = focal eye / (y - cy)`` and a pixel of it at the lateral
    position ``X = (x - cx) z / focal``: all patterns are functions of (X, z), blurred over a pixel's size.
    """
    patch = canvas.patch(0, camera.cy + 1.0, canvas.width, canvas.height)
    if patch is None:
        return
    z = camera.focal * camera.eye / np.maximum(patch.y - camera.cy, 0.25)
    size = z / camera.focal
    lateral = (patch.x - camera.cx) * size
    length = z * size / camera.eye  # depth covered by one row
    haze = z / (z + light.reach)
    _asphalt(patch, street, lateral, z, size, length)
    for side, sign in ((street.left, -1.0), (street.right, 1.0)):
        _border(patch, street, side, sign * lateral, z, size, length)
    if patch.rgb is not None:
        patch.rgb *= 1.0 - haze
        patch.rgb += planes(light.skyline) * haze


def _asphalt(patch: Patch, street: Street, lateral: Array, z: Array, size: Array, length: Array) -> None:
    """Road surface, wheel tracks, repairs, lane markings, zebra crossing and rails."""
    patch.mask[:] = TrainId.ROAD
    if patch.rgb is None:
        return
    r = street.r
    base = 0.37 + 0.13 * r[5]
    fine = sample("grain", z * 5.0 + 256.0 * r[6], lateral * 7.0 + 128.0)
    broad = sample("cloud", z * 1.3, lateral * 6.0 + 256.0 * r[7])
    calm = np.minimum(0.12 / size, 1.0)
    tone = base * (1.0 + (0.22 * calm) * (fine - 0.5) + 0.12 * (broad - 0.5))
    lanes = (-street.left.kerb + 2.2, -1.75 - 0.3 * r[8], 1.75 + 0.3 * r[9], street.right.kerb - 2.0)
    for middle in (0.0, lanes[1] - 1.8):
        track = np.minimum(np.maximum(1.0 - np.abs(np.abs(lateral - middle) - 0.75) * 2.4, 0.0), 1.0)
        tone *= 1.0 - 0.10 * track
    colour = planes((1.0, 0.99 - 0.02 * r[10], 0.98 + 0.05 * (r[11] - 0.5)))
    patch.rgb[:] = colour * tone
    if r[12] < 0.5:  # a repaired strip
        x0 = -2.0 + 4.0 * r[13]
        mend = cover(np.minimum(lateral - x0, x0 + 1.6 - lateral) / size)
        mend = mend * cover(np.minimum(z - 7.0, 9.0 + 30.0 * r[14] - z) / length)
        patch.darken(0.28 * mend)
    paint = planes((0.86, 0.86, 0.83)) * (0.8 + 0.2 * broad)
    lines = np.zeros_like(tone)
    if r[15] < 0.8 and not street.square:
        dash = _dashes(z, 6.0 + 6.0 * r[2], 0.45, length)
        for k, at in enumerate(lanes[1:3] if street.right.kerb > 4.5 else lanes[1:2]):
            line = cover((0.07 - np.abs(lateral - at)) / size)
            lines = np.maximum(lines, line * (dash if k or r[3] < 0.7 else 1.0))
        if r[4] < 0.5:
            lines = np.maximum(lines, cover((0.08 - np.abs(lateral - lanes[3])) / size))
    if street.crossing is not None and not street.square:
        near = street.crossing[0] - 4.5
        stripes = _dashes(lateral, 1.0, 0.5, size) * cover(np.minimum(z - near, near + 3.2 - z) / length)
        stop = cover(np.minimum(z - (near - 2.0), near - 1.5 - z) / length)
        cut = cover(np.minimum(z - (near - 2.5), street.crossing[1] - z) / length)
        lines = np.maximum(lines * (1.0 - cut), np.maximum(stripes, stop * (lateral > -1.7)))
    if street.tracks is not None:
        bed = cover((1.3 - np.abs(lateral - street.tracks)) / size)
        patch.fill(0.5 * bed, planes((0.40, 0.38, 0.37)))
        rail = cover((0.07 - np.abs(np.abs(lateral - street.tracks) - 0.72)) / np.minimum(size, 0.14))
        patch.fill(0.8 * rail, planes((0.20, 0.20, 0.22)))
        lines = lines * (1.0 - bed)
    patch.fill(lines * 0.85, paint)


def _border(
    patch: Patch, street: Street, side: Side, out: Array, z: Array, size: Array, length: Array
) -> None:
    """Kerb, verge, pavement and lawn of one side; ``out`` is the distance from the camera's line."""
    r = street.r
    keep: Array | float = 1.0
    if street.crossing is not None and not street.square:
        keep = 1.0 - cover(np.minimum(z - street.crossing[0], street.crossing[1] - z) / length)
    kerb, verge, walk = side.kerb, side.kerb + side.verge, side.kerb + side.verge + side.walk
    if street.square:
        kerb = verge = -99.0
    if side.walk > 0.0 or street.square:
        paving = cover((out - verge) / size) * keep
        patch.fill(paving, lambda: _paving(out, z, size, length, r), TrainId.SIDEWALK)
    if side.verge > 0.0 and not street.square:
        _grass(patch, cover((out - kerb) / size) * cover((verge - out) / size) * keep, out, z, r)
    if side.lawn > 0.0 or (side.walk == 0.0 and side.verge == 0.0 and TrainId.TERRAIN in street.present):
        _grass(patch, cover((out - walk) / size) * keep, out, z, r)
    if not street.square and (side.walk > 0.0 or side.verge > 0.0):
        stone = cover((0.09 - np.abs(out - kerb - 0.09)) / size) * keep
        label = TrainId.SIDEWALK if side.walk > 0.0 and side.verge == 0.0 else None
        patch.fill(stone * 0.75, planes((0.68, 0.67, 0.64)), label)
        gutter = cover((0.12 - np.abs(out - kerb + 0.12)) / size) * keep
        patch.darken(0.35 * gutter)


def _paving(out: Array, z: Array, size: Array, length: Array, r: list[float]) -> Array:
    """Colour (3, h, w) of slabs with joints."""
    colour = planes(_PAVING[int(r[5] * 97) % 4])
    fine = sample("grain", z * 7.0, out * 9.0)
    slab = 0.6 + 0.5 * r[9]
    joint = np.maximum(
        _dashes(out, slab, 0.10, size) - 0.1, (_dashes(z, slab, 0.10, length) - 0.1)
    ) * np.minimum(0.08 / size, 1.0)
    shade = (0.90 + 0.2 * fine) * (1.0 - 0.30 * joint)
    return colour * shade


def _grass(patch: Patch, alpha: Array, out: Array, z: Array, r: list[float]) -> None:
    """Grass, dry or green, with bare patches."""
    patch.label(alpha, TrainId.TERRAIN)
    if patch.rgb is None:
        return
    blade = sample("leaf", z * 6.0, out * 12.0)
    bare = sample("cloud", z * 2.0, out * 8.0 + 64.0)
    green = planes(_GRASS[int(r[6] * 89) % 4])
    soil = planes((0.42, 0.35, 0.26))
    worn = np.minimum(np.maximum((bare - 0.55) * 2.5, 0.0), 0.8)
    patch.fill(alpha, (green + worn * (soil - green)) * (0.72 + 0.56 * blade))
