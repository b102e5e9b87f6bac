"""Poles with lamps, traffic lights and signs; bollards; bins that no class names."""

from __future__ import annotations

import numpy as np

from aucseg.streets.canvas import Colour, Patch, TrainId
from aucseg.streets.stage import Stage, Thing

_GREY = ((0.42, 0.43, 0.44), (0.30, 0.31, 0.32), (0.55, 0.55, 0.54), (0.24, 0.28, 0.26), (0.20, 0.20, 0.21))
_LIT = ((0.95, 0.16, 0.10), (0.96, 0.66, 0.14), (0.20, 0.85, 0.45))
_RED = (0.74, 0.10, 0.10)
_BLUE = (0.10, 0.26, 0.58)
_WHITE = (0.88, 0.88, 0.86)
_YELLOW = (0.90, 0.74, 0.12)


def _bar(
    stage: Stage, x0: float, y0: float, x1: float, y1: float, z: float, r: float, colour: Colour
) -> None:
    """A thick stroke of pole between two points (metres) at one depth."""
    camera = stage.camera
    ends = np.array([[camera.x(x0, z), camera.y(y0, z), camera.x(x1, z), camera.y(y1, z)]])
    radius = max(r * camera.scale(z), 0.5)
    patch = stage.canvas.patch(
        min(ends[0, 0], ends[0, 2]) - radius, min(ends[0, 1], ends[0, 3]) - radius,
        max(ends[0, 0], ends[0, 2]) + radius, max(ends[0, 1], ends[0, 3]) + radius,
    )  # fmt: skip
    if patch is not None:
        alpha = patch.capsules(ends, np.array([radius]))[0]
        patch.fill(alpha, stage.tint(colour, z), TrainId.POLE)


def paint_pole(stage: Stage, thing: Thing) -> None:
    """A pole of the thing's height and width, with what its parts say: lights, signs, or a lamp."""
    colour = _GREY[int(thing.r[0] * len(_GREY))]
    x, z, height, half = thing.x, thing.z, thing.size[1], 0.5 * thing.size[0]
    if TrainId.POLE in thing.parts:
        stage.shadow(x, z, 0.2, 0.15, 0.6)
        _bar(stage, x, 0.0, x, height, z, half, colour)
    arm = thing.r[1] < 0.35 and height > 4.0
    inward = -1.0 if x > 0 else 1.0
    if TrainId.SIGNAL in thing.parts:
        if arm:
            reach = 1.5 + 2.5 * thing.r[2]
            if TrainId.POLE in thing.parts:
                _bar(stage, x, height - 0.2, x + inward * reach, height - 0.1, z, 0.6 * half, colour)
            _signal(stage, x + inward * reach, height - 0.9, z, thing.r)
        _signal(stage, x, 2.4 + 0.9 * thing.r[3], z, thing.r)
    if TrainId.SIGN in thing.parts:
        _sign(stage, x, (2.1 + 1.0 * thing.r[4]) if height < 5.0 else 2.8, z, thing.r)
    if not thing.parts & {TrainId.SIGNAL, TrainId.SIGN}:
        _lamp(stage, thing, colour, inward)


def _window(stage: Stage, x: float, y0: float, y1: float, half: float, z: float) -> Patch | None:
    camera = stage.camera
    return stage.canvas.patch(camera.x(x - half, z), camera.y(y1, z), camera.x(x + half, z), camera.y(y0, z))


def _signal(stage: Stage, x: float, y: float, z: float, r: list[float]) -> None:
    """A traffic light whose bottom hangs at height y: dark housing, three lenses, one of them lit."""
    patch = _window(stage, x, y, y + 1.1, 0.32, z)
    if patch is None:
        return
    camera, scale = stage.camera, stage.camera.scale(z)
    housing = (0.10, 0.11, 0.11) if r[5] < 0.75 else (0.62, 0.50, 0.14)
    half = max(0.19, 0.75 / scale)
    patch.fill(
        patch.box(camera.x(x - half, z), camera.y(y + 1.05, z), camera.x(x + half, z), camera.y(y, z)),
        stage.tint(housing, z), TrainId.SIGNAL,
    )  # fmt: skip
    on = int(r[6] * 3.0)
    for k in range(3):
        lens = tuple(0.28 * c for c in _LIT[k]) if k != on else _LIT[k]
        cy = camera.y(y + 0.86 - 0.33 * k, z)
        size = max(0.13 * scale, 0.6 if k == on else 0.3)
        gain = 1.5 if k == on else 1.0
        patch.fill(patch.ellipse(camera.x(x, z), cy, size, size), stage.tint(lens, z * 0.5, gain))


def _sign(stage: Stage, x: float, y: float, z: float, r: list[float]) -> None:
    """A traffic sign around height y: disc, triangle, square or a direction board, perhaps two."""
    form = r[7]
    camera, scale = stage.camera, stage.camera.scale(z)
    half = (0.26 + 0.12 * r[8]) if form < 0.88 else (0.45 + 0.45 * r[8])
    patch = _window(stage, x, y - 1.2, y + 1.0, half + 0.1, z)
    if patch is None:
        return
    cx, cy, radius = camera.x(x, z), camera.y(y, z), half * scale

    def put(alpha: np.ndarray, colour: Colour, gain: float = 1.0) -> None:
        patch.fill(alpha, stage.tint(colour, z, gain), TrainId.SIGN)

    if form < 0.36:
        rim, inner = ((_RED, _WHITE), (_BLUE, _BLUE), (_RED, _BLUE), (_RED, _RED))[int(r[9] * 4)]
        put(patch.ellipse(cx, cy, radius, radius), rim)
        put(patch.ellipse(cx, cy, radius * 0.72, radius * 0.72), inner)
        if inner != _WHITE:
            put(
                patch.box(cx - 0.5 * radius, cy - 0.14 * radius, cx + 0.5 * radius, cy + 0.14 * radius),
                _WHITE,
            )
    elif form < 0.56:
        down = r[9] < 0.35
        for size, colour in ((1.12, _RED), (0.66, _WHITE)):
            w, h = radius * size, radius * size * 0.9
            points = [(cx, cy - h), (cx + w, cy + h), (cx - w, cy + h)]
            if down:
                points = [(cx - w, cy - h), (cx + w, cy - h), (cx, cy + h)]
            put(patch.polygon(points), colour)
    elif form < 0.88:
        colour = (_BLUE, _YELLOW, _WHITE)[int(r[9] * 3)]
        put(patch.box(cx - radius, cy - radius, cx + radius, cy + radius), _WHITE)
        put(patch.box(cx - 0.84 * radius, cy - 0.84 * radius, cx + 0.84 * radius, cy + 0.84 * radius), colour)
        ink = _WHITE if colour == _BLUE else (0.15, 0.15, 0.16)
        put(patch.box(cx - 0.16 * radius, cy - 0.5 * radius, cx + 0.16 * radius, cy + 0.5 * radius), ink)
    else:
        colour = (_BLUE, _YELLOW, _WHITE)[int(r[9] * 3)]
        ink = _WHITE if colour == _BLUE else (0.15, 0.15, 0.16)
        put(patch.box(cx - radius, cy - 0.55 * radius, cx + radius, cy + 0.55 * radius), colour)
        put(patch.box(cx - 0.7 * radius, cy - 0.28 * radius, cx + 0.3 * radius, cy - 0.08 * radius), ink)
        put(patch.box(cx - 0.7 * radius, cy + 0.12 * radius, cx + 0.6 * radius, cy + 0.32 * radius), ink)
    if r[10] < 0.3 and form < 0.85:  # an extra plate under the sign
        put(patch.box(cx - 0.9 * radius, cy + 1.15 * radius, cx + 0.9 * radius, cy + 1.75 * radius), _WHITE)


def _lamp(stage: Stage, thing: Thing, colour: Colour, inward: float) -> None:
    """The head of a street lamp, on an arm over the road or on top of the pole."""
    x, z, height = thing.x, thing.z, thing.size[1]
    glow = stage.light.lamps > 0.2
    head = (0.98, 0.88, 0.62) if glow else (0.66, 0.66, 0.64)
    if height < 2.0:
        return  # a bollard
    if thing.r[2] < 0.6:
        reach = inward * (1.0 + 1.2 * thing.r[3])
        _bar(stage, x, height, x + reach, height + 0.25, z, 0.05, colour)
        _bar(stage, x + reach * 0.8, height + 0.20, x + reach * 1.25, height + 0.26, z, 0.09, head)
    else:
        _bar(stage, x, height, x, height + 0.35, z, 0.13, head)


def paint_clutter(stage: Stage, thing: Thing) -> None:
    """A bin, a cabinet or a crate on the pavement: void, for no class names it."""
    stage.shadow(thing.x, thing.z, 0.6 * thing.size[0], 0.3, 0.8)
    camera, z = stage.camera, thing.z
    half, height = 0.5 * thing.size[0], thing.size[1]
    patch = _window(stage, thing.x, 0.0, height, half, z)
    if patch is None:
        return
    colours = ((0.20, 0.26, 0.20), (0.34, 0.34, 0.33), (0.50, 0.30, 0.14), (0.20, 0.24, 0.34))
    colour = colours[int(thing.r[0] * 4)]
    left, right = camera.x(thing.x - half, z), camera.x(thing.x + half, z)
    top, foot = camera.y(height, z), camera.y(0.0, z)
    patch.fill(patch.box(left, top, right, foot), stage.tint(colour, z), TrainId.VOID)
    patch.fill(
        patch.box(left, top, right, top + 0.15 * (foot - top)), stage.tint(colour, z, 1.35), TrainId.VOID
    )
