"""What lines the street: houses and rows of trees, walls, fences and hedges, single trees and bushes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aucseg.streets.camera import Camera, Face, side_face
from aucseg.streets.canvas import Array, Canvas, TrainId, cover, planes, sample
from aucseg.streets.light import Light
from aucseg.streets.stage import Stage, Thing
from aucseg.streets.street import Barrier, Segment, Street

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
_GREENS = ((0.20, 0.29, 0.11), (0.27, 0.33, 0.14), (0.16, 0.25, 0.13), (0.34, 0.32, 0.13))
_STONE = ((0.50, 0.48, 0.45), (0.44, 0.41, 0.39), (0.60, 0.58, 0.55), (0.45, 0.29, 0.24), (0.66, 0.62, 0.55))
_BARS = ((0.20, 0.22, 0.22), (0.42, 0.43, 0.44), (0.18, 0.28, 0.22), (0.40, 0.29, 0.20), (0.72, 0.72, 0.70))
LEAVES = (
    (0.22, 0.32, 0.11), (0.29, 0.36, 0.14), (0.17, 0.27, 0.13), (0.37, 0.34, 0.13), (0.25, 0.30, 0.18),
    (0.42, 0.28, 0.12),
)  # fmt: skip
# the leafy balls of a crown: x, y, radius in units of its half width and half height
_BLOBS = ((0.0, 0.1, 0.72), (-0.45, -0.1, 0.52), (0.45, -0.12, 0.52), (-0.22, 0.48, 0.48), (0.26, 0.42, 0.5))


Put = Callable[[Array, Array | Callable[[], Array], int | None], None]


# the backdrop on both sides and at the end


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
        top, colours = paint(u, v, fu, fv, height, r, gain, light)
        alpha = cover((top - v) / fv) * cover((v + 0.5 * fv) / fv)
        if canvas.rgb is not None:
            haze = z / (z + light.reach)
            colour = colours() * (1.0 - haze) + planes(light.skyline) * haze
            region = canvas.rgb[:, :rows, at]
            region += alpha * (colour - region)
            canvas.rgb[:, :rows, at] = region
        mask = canvas.mask[:rows, at]
        mask[alpha >= 0.5] = TrainId.BUILDING if kind == 1 else TrainId.VEGETATION
        canvas.mask[:rows, at] = mask


def _table(colours: tuple[tuple[float, ...], ...], r: Array) -> Array:
    """Colours (3, 1, n) picked by uniform numbers (n,)."""
    return np.array(colours)[np.floor(r * len(colours)).astype(np.int64)].T[:, None, :]


def _houses(
    u: Array, v: Array, fu: Array, fv: Array, height: Array, r: Array, gain: Array, light: Light
) -> tuple[Array, Callable[[], Array]]:
    """Height (1, n) of houses, and what makes the colour of their fronts."""
    return height, lambda: _fronts(u, v, fu, fv, height, r, gain, light)


def _fronts(
    u: Array, v: Array, fu: Array, fv: Array, height: Array, r: Array, gain: Array, light: Light
) -> Array:
    """Colour (3, h, n) of house fronts with windows, shops, cornices and roofs."""
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
    return out


def _trees(
    u: Array, v: Array, edge: Array, fv: Array, height: Array, r: Array, gain: Array, light: Light
) -> tuple[Array, Callable[[], Array]]:
    """Height (h, n) of a row of trees or tall shrubs, and what makes its colour.

    The row gets lower towards its edges.
    """
    fine = sample("leaf", v * 13.0, u * 13.0 + 256.0 * r[0:1])
    clump = sample("leaf", v * 2.2 + 77.0, u * 2.2)
    crest = sample("cloud", np.zeros_like(u) + 256.0 * r[1:2], u * 5.0)
    top = height * (0.72 + 0.5 * crest) + 3.4 * (clump - 0.5) + 1.2 * (fine - 0.5)
    fade = np.minimum(np.maximum(edge / (0.35 * height), 0.0), 1.0)
    top = np.where(height > 60.0, np.maximum(top, height), top * (1.0 - 0.75 * (1.0 - fade) * (1.0 - fade)))

    def colour() -> Array:
        green = _table(_GREENS, r[2])
        depth = np.minimum(np.maximum((v + 0.5) / (height + 0.5), 0.0), 1.0)
        shade = (0.44 + 0.42 * depth + 0.75 * (clump - 0.45) + 0.4 * (fine - 0.5)) * gain
        return green * np.maximum(shade * 1.6, 0.16)

    return top, colour


# along the street


def paint_barrier(stage: Stage, barrier: Barrier) -> None:
    """A wall, a fence or a hedge: a long face along the street."""
    face = side_face(
        stage.canvas, stage.camera, barrier.lateral, barrier.near, barrier.far, barrier.height + 0.5
    )
    if face is None:
        return
    gain = stage.light.wall_gain(1.0 if barrier.lateral < 0 else -1.0)
    z = face.fv * stage.camera.focal
    haze = z / (z + stage.light.reach)
    sky = planes(stage.light.skyline)

    def put(alpha: Array, colour: Array | Callable[[], Array], label: int | None) -> None:
        def seen() -> Array:
            return (colour() if callable(colour) else colour) * (gain * (1.0 - haze)) + sky * haze

        face.patch.fill(alpha, seen, label)

    length = barrier.far - barrier.near
    paint = {TrainId.WALL: _wall, TrainId.FENCE: _fence, TrainId.VEGETATION: _hedge}[barrier.label]
    paint(face, barrier, length, put)


def _wall(face: Face, barrier: Barrier, length: float, put: Put) -> None:
    r, height = barrier.r, barrier.height
    stone = planes((*_STONE, *PLASTER[:4])[int(r[0] * 9)])

    def masonry() -> Array:
        grain = sample("grain", face.v * 6.0, face.u * 6.0)
        stain = sample("cloud", face.v * 9.0, face.u * 7.0 + 256.0 * r[1])
        tone = (0.86 + 0.2 * grain) * (0.82 + 0.32 * stain)
        tone = tone * (1.0 - 0.3 * np.maximum(1.0 - face.v * 1.6, 0.0))
        if r[2] < 0.6:  # courses of stone or brick
            course = face.v / 0.32
            joint = cover((0.07 - np.abs(course - np.floor(course) - 0.5)) * 0.32 / face.fv)
            tone = tone * (1.0 - 0.22 * joint)
        if r[3] < 0.5:  # piers
            tone = tone * (1.0 - 0.18 * face.bars(3.2, 0.14))
        return stone * tone

    put(face.rect(0.0, length, 0.0, height), masonry, TrainId.WALL)
    if r[4] < 0.35:  # graffiti
        mark = sample("cloud", face.v * 22.0, face.u * 16.0 + 256.0 * r[5])
        alpha = cover((mark - 0.62) * 12.0) * face.rect(1.0, length - 1.0, 0.2, height - 0.3)
        put(alpha * 0.7, planes(LEAVES[int(r[6] * 6)][::-1]) * 1.6, None)
    put(face.rect(0.0, length, height - 0.12, height), stone * 1.18, TrainId.WALL)


def _fence(face: Face, barrier: Barrier, length: float, put: Put) -> None:
    r, height = barrier.r, barrier.height
    colour = planes(_BARS[int(r[0] * len(_BARS))])
    area = face.rect(0.0, length, 0.0, height)
    face.patch.label(area, TrainId.FENCE)  # what is seen between the bars is fence too
    if face.patch.rgb is None:
        return
    kind = r[1]
    if kind < 0.45:  # upright bars
        put(area * face.bars(0.30 + 0.2 * r[2], 0.42), colour, None)
    elif kind < 0.7:  # wire mesh
        put(area * (0.30 + 0.25 * sample("hash", face.v * 9.0, face.u * 9.0)), colour, None)
    elif kind < 0.88:  # planks
        plank = 0.85 + 0.3 * sample("hash", np.zeros_like(face.v), face.u * 5.0)
        put(area * (1.0 - 0.7 * face.bars(0.36, 0.14)), colour * plank, None)
    else:  # rails
        for v in (0.45, 0.8):
            put(face.rect(0.0, length, v * height - 0.16, v * height), colour * 1.2, None)
    for v in (0.22, 1.0):
        put(face.rect(0.0, length, v * height - 0.09, v * height), colour, None)
    put(area * face.bars(2.6, 0.07), colour * 0.85, None)


def _hedge(face: Face, barrier: Barrier, length: float, put: Put) -> None:
    r, height = barrier.r, barrier.height
    fine = sample("leaf", face.v * 13.0, face.u * 10.0 + 256.0 * r[1])
    crest = sample("leaf", np.zeros_like(face.u), face.u * 7.0)
    top = height * (0.86 + 0.22 * crest)
    alpha = cover((top - face.v) / face.fv) * face.rect(0.0, length, 0.0, height + 0.5)
    shade = 0.55 + 0.55 * face.v / height + 0.9 * (fine - 0.5)
    put(alpha, planes(LEAVES[int(r[0] * 3)]) * np.maximum(shade * 1.1, 0.2), TrainId.VEGETATION)


# standing free


def paint_tree(stage: Stage, thing: Thing) -> None:
    """A tree (or a bush, when lower than 2.5 m): trunk, then a crown of leafy blobs."""
    camera, light, r = stage.camera, stage.light, thing.r
    x, z, height, radius = thing.x, thing.z, thing.size[1], 0.5 * thing.size[0]
    scale = camera.scale(z)
    stage.shadow(x, z, radius * 0.9, 1.2, 0.45)
    bush = height < 2.5
    middle = 0.5 * height if bush else height - 0.75 * radius
    if not bush:
        trunk = 0.11 + 0.10 * r[0]
        patch = stage.canvas.patch(
            camera.x(x - 0.6, z), camera.y(middle, z), camera.x(x + 0.6, z), camera.y(0.0, z)
        )
        if patch is not None:
            strokes = np.array([[0.0, 0.0, 0.0, middle], [0.0, 0.55 * middle, 0.5 * (r[1] - 0.5), middle]])
            ends = np.empty_like(strokes)
            ends[:, (0, 2)] = camera.x(x, z) + strokes[:, (0, 2)] * scale
            ends[:, (1, 3)] = camera.y(0.0, z) - strokes[:, (1, 3)] * scale
            radii = np.maximum(np.array([trunk, 0.6 * trunk]) * scale, 0.5)
            bark = (0.24 + 0.12 * r[2], 0.20 + 0.09 * r[2], 0.16 + 0.06 * r[2])
            patch.fill(patch.capsules(ends, radii).max(axis=0), stage.tint(bark, z), TrainId.VEGETATION)
    tall = 0.55 * height if bush else radius * (0.85 + 0.35 * r[3])
    patch = stage.canvas.patch(
        camera.x(x - 1.25 * radius, z), camera.y(middle + 1.3 * tall, z),
        camera.x(x + 1.25 * radius, z), camera.y(max(middle - 1.3 * tall, -0.05), z),
    )  # fmt: skip
    if patch is None:
        return
    px = (patch.x - camera.x(x, z)) / scale
    py = (camera.y(middle, z) - patch.y) / scale
    inside = np.full((patch.y.shape[0], patch.x.shape[1]), -9.0)
    form = np.zeros_like(inside)
    for k, (bx, by, br) in enumerate(_BLOBS):
        size = br * (0.8 + 0.4 * r[4 + k])
        dx = px / radius - bx
        dy = py / tall - by
        near = 1.0 - (dx * dx + dy * dy) / (size * size)
        better = near > inside
        inside = np.where(better, near, inside)
        # each blob is lit as a ball from above and from the sun's side
        form = np.where(better, 0.5 * dy / size + (0.38 * light.sun * light.hard) * dx / size, form)
    clump = sample("leaf", py * 14.0 / radius + 256.0 * r[9], px * 14.0 / radius + 256.0 * r[10])
    fine = sample("leaf", py * 11.0, px * 11.0)
    edge = inside + 0.9 * (clump - 0.55) + 0.35 * (fine - 0.5)
    alpha = cover(edge * (0.42 * radius * scale))
    patch.label(alpha, TrainId.VEGETATION)
    if patch.rgb is not None:
        leaf = LEAVES[int(r[11] * len(LEAVES))]
        shade = np.maximum(0.78 + 0.75 * form + 0.75 * (clump - 0.5) + 0.45 * (fine - 0.5), 0.22)
        patch.fill(alpha, stage.tint(leaf, z, 1.12) * shade)
