"""Everything that lines the street, evaluated one image column at a time: houses and rows of trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aucseg.streets import labels as L
from aucseg.streets.camera import Camera
from aucseg.streets.canvas import Array, Canvas, cover, planes
from aucseg.streets.light import Light
from aucseg.streets.street import Segment, Street
from aucseg.streets.texture import sample

_KINDS = ("open", "building", "trees")
PLASTER = (
    (0.74, 0.70, 0.62), (0.80, 0.76, 0.66), (0.70, 0.55, 0.42), (0.55, 0.34, 0.27), (0.62, 0.60, 0.58),
    (0.84, 0.82, 0.78), (0.66, 0.63, 0.50), (0.48, 0.44, 0.42), (0.72, 0.62, 0.52), (0.46, 0.29, 0.24),
)  # fmt: skip
ACCENT = (
    (0.62, 0.12, 0.12), (0.12, 0.22, 0.48), (0.10, 0.34, 0.22), (0.80, 0.62, 0.12), (0.20, 0.20, 0.22),
    (0.78, 0.76, 0.72), (0.70, 0.36, 0.10), (0.35, 0.16, 0.34),
)  # fmt: skip
_ROOF = ((0.46, 0.22, 0.16), (0.30, 0.28, 0.29), (0.38, 0.26, 0.22), (0.24, 0.25, 0.28))


@dataclass(frozen=True)
class _Columns:
    """Per-column geometry (W,): depth, metres along the backdrop (u) and as
    foreshortened (w, for foliage that looks alike from all sides), size of a pixel along u,
    distance to the end of its segment, segment.
    """

    z: Array
    u: Array
    w: Array
    fu: Array
    edge: Array
    segment: np.ndarray
    facing: np.ndarray


def _columns(canvas: Canvas, camera: Camera, street: Street) -> tuple[_Columns, list[Segment]]:
    d = (canvas.x[0] - camera.cx) / camera.focal
    left = d < 0.0
    back = np.where(left, street.left.back, street.right.back)
    z = back / np.maximum(np.abs(d), 1e-6)
    closed = z >= street.end
    z = np.minimum(z, street.end)
    u = np.where(closed, d * street.end, z)
    fu = np.where(closed, z / camera.focal, z * z / (back * camera.focal))
    table = [*street.left.segments, *street.right.segments, *street.closing]
    n, m = len(street.left.segments), len(street.right.segments)
    index = np.zeros(d.shape, np.int64)
    edge = np.zeros(d.shape)
    for offset, segments, where in (
        (0, street.left.segments, left & ~closed),
        (n, street.right.segments, ~left & ~closed),
        (n + m, street.closing, closed),
    ):
        starts = np.array([s.start for s in segments])
        found = np.searchsorted(starts, u[where], side="right") - 1
        index[where] = offset + np.maximum(found, 0)
        ends = np.append(starts, 1e4)
        edge[where] = np.minimum(u[where] - ends[found], ends[found + 1] - u[where])
    facing = np.where(closed, 0.0, np.where(left, 1.0, -1.0))
    return _Columns(z, u, np.cumsum(z) / camera.focal, fu, edge, index, facing), table


def paint_facades(canvas: Canvas, camera: Camera, light: Light, street: Street) -> None:
    """Paint houses and tree rows on both sides and at the end of the street."""
    columns, table = _columns(canvas, camera, street)
    kinds = np.array([_KINDS.index(s.kind) for s in table])[columns.segment]
    for kind in (1, 2):
        at = np.flatnonzero(kinds == kind)
        if not at.size:
            continue
        z = columns.z[at].reshape(1, -1)
        base = camera.cy + camera.focal * camera.eye / float(z.min())
        rows = min(int(base) + 2, canvas.height)
        y = canvas.y[:rows]
        fv = z / camera.focal
        v = camera.eye - (y - camera.cy) * fv
        u = (columns.u if kind == 1 else columns.w)[at].reshape(1, -1)
        fu = (columns.fu if kind == 1 else columns.edge)[at].reshape(1, -1)
        segment = columns.segment[at]
        height = np.array([s.height for s in table])[segment].reshape(1, -1)
        if street.roofed:
            height = np.maximum(height, camera.eye + 1.1 * camera.cy * fv)
        r = np.array([s.r for s in table])[segment].T  # (16, n)
        gain = 1.0 - 0.12 * light.hard + 0.30 * light.hard * light.sun * columns.facing[at].reshape(1, -1)
        paint = _houses if kind == 1 else _trees
        colour, alpha = paint(u, v, fu, fv, height, r, gain, light)
        haze = z / (z + light.reach)
        colour = colour * (1.0 - haze) + planes(light.skyline) * haze
        region = canvas.rgb[:, :rows, at]
        region += alpha * (colour - region)
        canvas.rgb[:, :rows, at] = region
        mask = canvas.mask[:rows, at]
        mask[alpha >= 0.5] = L.BUILDING if kind == 1 else L.VEGETATION
        canvas.mask[:rows, at] = mask


def _table(colours: tuple[tuple[float, ...], ...], r: Array) -> Array:
    """Colours (3, 1, n) picked by uniform numbers (n,)."""
    return np.array(colours)[np.floor(r * len(colours)).astype(np.int64)].T[:, None, :]


def _houses(
    u: Array, v: Array, fu: Array, fv: Array, height: Array, r: Array, gain: Array, light: Light
) -> tuple[Array, Array]:
    """Colour (3, h, n) and coverage (h, n) of house fronts with windows, shops, cornices and roofs."""
    ground = 3.4 + 1.2 * r[0:1]
    storey = 2.9 + 0.6 * r[1:2]
    period = 1.6 + 1.8 * r[2:3]
    wide = 0.38 + 0.30 * r[3:4]
    tall = 0.48 + 0.20 * r[4:5]
    roof = np.where(r[5:6] < 0.55, 0.16 * height, 0.0)
    eave = height - roof
    wall = _table(PLASTER, r[6]) * (0.86 + 0.28 * r[7])
    grain = sample("grain", v * 5.0, u * 5.0 + 256.0 * r[8:9])
    stain = sample("cloud", v * 5.0, u * 9.0)
    tone = (0.92 + 0.10 * grain) * (0.90 + 0.16 * stain)
    tone = tone * (1.0 - 0.35 * np.maximum(1.0 - v * 0.7, 0.0))  # dirt and shadow at the foot
    # storeys and bays
    level = (v - ground) / storey
    k = np.floor(level)
    s = level - k
    bay = u / period
    j = np.floor(bay)
    across = np.abs(bay - j - 0.5)
    far = np.minimum(fu / period, 1.0)
    cu = cover((0.5 * wide - across) * period / fu)
    cu = cu + far * (wide - cu)
    cf = cover((0.5 * wide + 0.07 - across) * period / fu)
    cf = cf + far * (wide + 0.14 - cf)
    upper = cover((v - ground) / fv) * cover((eave - 0.4 - v) / fv)
    lift = np.abs(s - 0.52)
    cv = cover((0.5 * tall - lift) * storey / fv) * upper
    frame = cover((0.5 * tall + 0.06 - lift) * storey / fv) * upper * cf
    chance = sample("hash", k * 7.0 + 31.0, j * 13.0 + 256.0 * r[9:10])
    pane = 0.13 + 0.30 * chance * s
    lit = (chance > 1.0 - light.lamps) & (v > 0)
    out = wall * tone
    trim = wall + (0.9 - wall) * 0.45 * (r[10:11] < 0.7)
    out += frame * (trim - out)
    sill = cover((0.05 - np.abs(s - 0.06)) * storey / fv) * upper * (r[11:12] < 0.6)
    out *= 1.0 - 0.16 * sill
    # the street level: shops with a sign board, or plain with doors
    shop = r[12:13] < 0.55
    glass = cover((0.42 - np.abs(u / 4.2 - np.floor(u / 4.2) - 0.5)) * 4.2 / fu)
    glass = glass * cover(np.minimum(v - 0.5, ground - 1.1 - v) / fv) * shop
    board = cover(np.minimum(v - (ground - 0.95), ground - 0.25 - v) / fv) * shop
    door = cover((0.10 - np.abs(u / 7.0 - np.floor(u / 7.0) - 0.3)) * 7.0 / fu)
    door = door * cover((2.4 - v) / fv) * ~shop
    poster = cover((0.11 - np.abs(u / 6.0 - np.floor(u / 6.0) - 0.75)) * 6.0 / fu)
    poster = poster * cover(np.minimum(v - 0.9, 2.5 - v) / fv) * ~shop * (r[15:16] < 0.5)
    window = np.maximum(cu * cv, glass)
    accent = _table(ACCENT, r[13])
    letters = sample("hash", np.floor(v * 3.0), u * 2.2)
    out += board * (accent * (0.75 + 0.6 * letters) - out)
    print_ = _table(ACCENT, r[8]) * (0.5 + 1.1 * sample("leaf", v * 22.0, u * 22.0))
    out += poster * (print_ - out)
    out += door * (accent * 0.55 - out)
    mirror = planes(light.skyline) * np.where(lit, 0.0, 0.55 * chance * chance)
    pane_colour = mirror + pane * planes((0.80, 0.95, 1.06))
    pane_colour = np.where(lit, planes((0.95, 0.76, 0.40)), pane_colour)
    out *= gain
    out += window * (pane_colour - out)
    cornice = cover((0.22 - np.abs(v - eave)) / fv)
    out += cornice * (trim * (0.95 * gain) - out)
    tiles = cover((v - eave - 0.2) / fv) * (roof > 0)
    shade = gain * (0.85 + 0.3 * sample("grain", v * 9.0, u * 4.0))
    out += tiles * (_table(_ROOF, r[14]) * shade - out)
    alpha = cover((height - v) / fv) * cover((v + 0.5 * fv) / fv)
    return out, alpha


def _trees(
    u: Array, v: Array, edge: Array, fv: Array, height: Array, r: Array, gain: Array, light: Light
) -> tuple[Array, Array]:
    """Colour and coverage of a row of trees or tall shrubs; it gets lower towards its edges."""
    fine = sample("leaf", v * 13.0, u * 13.0 + 256.0 * r[0:1])
    clump = sample("leaf", v * 2.2 + 77.0, u * 2.2)
    crest = sample("cloud", np.zeros_like(u) + 256.0 * r[1:2], u * 5.0)
    top = height * (0.72 + 0.5 * crest) + 3.4 * (clump - 0.5) + 1.2 * (fine - 0.5)
    fade = np.minimum(np.maximum(edge / (0.35 * height), 0.0), 1.0)
    top = np.where(height > 60.0, np.maximum(top, height), top * (1.0 - 0.75 * (1.0 - fade) * (1.0 - fade)))
    alpha = cover((top - v) / fv) * cover((v + 0.5 * fv) / fv)
    green = _table(((0.20, 0.29, 0.11), (0.27, 0.33, 0.14), (0.16, 0.25, 0.13), (0.34, 0.32, 0.13)), r[2])
    depth = np.minimum(np.maximum((v + 0.5) / (height + 0.5), 0.0), 1.0)
    shade = (0.44 + 0.42 * depth + 0.75 * (clump - 0.45) + 0.4 * (fine - 0.5)) * gain
    return green * np.maximum(shade * 1.6, 0.16), alpha
