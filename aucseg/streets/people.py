"""Pedestrians, riders and what they ride, figures of strokes in their own metres."""

from __future__ import annotations

import numpy as np

from aucseg.streets.canvas import Patch, TrainId, cover
from aucseg.streets.stage import Stage, Stroke, Thing, paint_strokes
from aucseg.streets.vehicles import COATS, STEEL, TYRE

CLOTHES: tuple[tuple[float, float, float], ...] = (
    (0.13, 0.13, 0.15), (0.16, 0.20, 0.32), (0.34, 0.33, 0.33), (0.50, 0.13, 0.13), (0.62, 0.60, 0.56),
    (0.22, 0.30, 0.22), (0.40, 0.30, 0.20), (0.78, 0.77, 0.74), (0.30, 0.42, 0.56), (0.70, 0.50, 0.16),
    (0.20, 0.18, 0.17), (0.48, 0.36, 0.42),
)  # fmt: skip
TROUSERS: tuple[tuple[float, float, float], ...] = (
    (0.12, 0.12, 0.14), (0.18, 0.22, 0.32), (0.30, 0.29, 0.28), (0.44, 0.39, 0.32), (0.16, 0.16, 0.19),
)  # fmt: skip
SKIN: tuple[tuple[float, float, float], ...] = (
    (0.80, 0.62, 0.50), (0.70, 0.52, 0.40), (0.48, 0.34, 0.25), (0.34, 0.23, 0.17), (0.84, 0.68, 0.57),
)  # fmt: skip
HAIR: tuple[tuple[float, float, float], ...] = (
    (0.10, 0.08, 0.07), (0.24, 0.17, 0.11), (0.46, 0.36, 0.22), (0.40, 0.39, 0.38), (0.50, 0.12, 0.10),
)  # fmt: skip
_RED = (0.75, 0.10, 0.08)


def choose(options: tuple[tuple[float, float, float], ...], r: float) -> tuple[float, float, float]:
    """The option that a uniform number points at."""
    return options[int(r * len(options))]


def _walker(r: list[float], turn: int) -> list[Stroke]:
    """A standing or walking figure, 1.75 m tall."""
    coat, legs = choose(CLOTHES, r[0]), choose(TROUSERS, r[1])
    skin, hair = choose(SKIN, r[2]), choose(HAIR, r[3])
    step = 0.04 + 0.26 * r[4] * turn
    bulk = 0.17 + 0.05 * r[5]
    swing = 0.20 * (r[4] - 0.3) * turn
    long_coat = r[6] < 0.3
    dark = (coat[0] * 0.75, coat[1] * 0.75, coat[2] * 0.75)
    out: list[Stroke] = [
        (-0.05, 0.88, -step, 0.08, 0.085, (legs[0] * 0.8, legs[1] * 0.8, legs[2] * 0.8)),
        (0.05, 0.88, step, 0.08, 0.085, legs),
        (-step, 0.05, -step + 0.09 * turn, 0.05, 0.05, (0.10, 0.09, 0.09)),
        (step, 0.05, step + 0.09 * turn, 0.05, 0.05, (0.10, 0.09, 0.09)),
        (-bulk, 1.36, -bulk - 0.03 - swing, 0.86, 0.065, dark),
        (0.0, 0.66 if long_coat else 0.95, 0.0, 1.32, bulk, coat),
        (bulk, 1.36, bulk + 0.03 + swing, 0.86, 0.065, dark),
        (0.0, 1.46, 0.0, 1.54, 0.06, skin),
        (0.01 * turn, 1.60, 0.01 * turn, 1.64, 0.105, skin),
        (-0.02 * turn, 1.68, -0.03 * turn, 1.66, 0.10, hair),
    ]
    if r[7] < 0.3:  # a bag or a backpack
        out.insert(6, (-0.2 * turn, 1.0, -0.2 * turn, 1.22, 0.11, choose(CLOTHES, r[8])))
    elif r[7] < 0.4:  # an umbrella or a child on the arm is a blob beside the body
        out.append((0.24 * turn, 0.62, 0.24 * turn, 0.80, 0.12, choose(CLOTHES, r[8])))
    return out


def paint_person(stage: Stage, thing: Thing) -> None:
    """A pedestrian."""
    stage.shadow(thing.x, thing.z, 0.34, 0.25, 0.75)
    size = thing.size[1] / 1.75
    strokes = [(a * size, b * size, c * size, d * size, w * size, col) for a, b, c, d, w, col in
               _walker(thing.r, thing.turn)]  # fmt: skip
    paint_strokes(stage, thing.x, thing.z, strokes, TrainId.PERSON)


def rider_strokes(r: list[float], turn: int, motor: bool) -> list[Stroke]:
    """A seated figure: legs bent to the pedals, arms to the handlebar."""
    coat, legs = choose(CLOTHES, r[0]), choose(TROUSERS, r[1])
    skin = choose(SKIN, r[2])
    hat = choose(CLOTHES, r[3]) if motor or r[4] < 0.5 else choose(HAIR, r[3])
    t = turn
    pedal = 0.12 + 0.2 * r[5]
    seat = 0.86 if motor else 0.98
    lean = 0.16 + 0.16 * r[6]
    dark = (legs[0] * 0.75, legs[1] * 0.75, legs[2] * 0.75)
    return [
        (-0.16 * t, seat, 0.20 * t, seat - 0.16, 0.085, dark),
        (0.20 * t, seat - 0.16, 0.10 * t, 0.60 - pedal, 0.07, dark),
        (-0.20 * t, seat + 0.02, (lean - 0.14) * t, seat + 0.46, 0.17, coat),
        (-0.14 * t, seat, 0.24 * t, seat - 0.10, 0.09, legs),
        (0.24 * t, seat - 0.10, 0.14 * t, 0.16 + pedal, 0.075, legs),
        (lean * t, seat + 0.46, 0.46 * t, seat + 0.12, 0.06, (coat[0] * 0.8, coat[1] * 0.8, coat[2] * 0.8)),
        ((lean + 0.04) * t, seat + 0.66, (lean + 0.05) * t, seat + 0.70, 0.11, skin),
        (
            (lean + 0.01) * t, seat + 0.75, (lean + 0.03) * t, seat + (0.70 if motor else 0.76),
            0.135 if motor else 0.105, hat,
        ),
    ]  # fmt: skip


def _wheel(
    stage: Stage,
    patch: Patch,
    thing: Thing,
    at: float,
    radius: float,
    thick: float,
    squeeze: float,
    label: int,
) -> None:
    """A wheel: the ring is painted, the whole disc is labelled (as an annotator draws its outline)."""
    camera = stage.camera
    scale = camera.scale(thing.z)
    dx = (patch.x - camera.x(thing.x, thing.z) - at * squeeze * scale) / (scale * max(squeeze, 0.3))
    dy = (patch.y - camera.y(radius, thing.z)) / scale
    d = np.sqrt(dx * dx + dy * dy)
    half = max(0.5 * thick, 0.45 / scale)
    ring = cover((half - np.abs(d - (radius - 0.5 * thick))) * scale)
    disc = cover((radius + 0.5 / scale - d) * scale)
    patch.fill(disc * 0.22, stage.tint((0.25, 0.25, 0.26), thing.z))
    patch.fill(ring, stage.tint(TYRE, thing.z))
    patch.label(disc, label)


def _bicycle(thing: Thing) -> list[Stroke]:
    t = thing.turn
    frame = choose(COATS, thing.r[9])
    return [
        (-0.52 * t, 0.34, -0.12 * t, 0.32, 0.022, frame),
        (-0.52 * t, 0.34, -0.20 * t, 0.76, 0.022, frame),
        (-0.12 * t, 0.32, -0.22 * t, 0.88, 0.028, frame),
        (-0.12 * t, 0.32, 0.36 * t, 0.74, 0.028, frame),
        (-0.19 * t, 0.74, 0.36 * t, 0.80, 0.024, frame),
        (0.52 * t, 0.34, 0.34 * t, 0.98, 0.024, frame),
        (0.34 * t, 0.98, 0.50 * t, 1.03, 0.026, TYRE),
        (-0.32 * t, 0.92, -0.14 * t, 0.92, 0.042, TYRE),
        (-0.14 * t, 0.30, -0.02 * t, 0.20, 0.022, STEEL),
    ]


def _motorcycle(thing: Thing) -> list[Stroke]:
    t = thing.turn
    coat = choose(COATS, thing.r[9])
    scooter = thing.r[10] < 0.45
    out: list[Stroke] = [
        (-0.55 * t, 0.40, 0.10 * t, 0.42, 0.13, TYRE),
        (-0.05 * t, 0.36, 0.20 * t, 0.40, 0.19, (0.26, 0.26, 0.28)),
        (-0.70 * t, 0.30, -0.10 * t, 0.27, 0.055, STEEL),
        (-0.72 * t, 0.74, -0.15 * t, 0.76, 0.085, TYRE),
        (-0.05 * t, 0.78, 0.30 * t, 0.84, 0.13, coat),
        (0.62 * t, 0.34, 0.38 * t, 1.00, 0.045, STEEL),
        (0.24 * t, 1.04, 0.44 * t, 1.02, 0.03, TYRE),
        (0.48 * t, 0.86, 0.50 * t, 0.90, 0.10, coat),
        (0.58 * t, 0.88, 0.58 * t, 0.90, 0.055, (0.92, 0.90, 0.82)),
        (-0.80 * t, 0.78, -0.80 * t, 0.80, 0.05, _RED),
    ]
    if scooter:
        out[1:3] = [
            (-0.55 * t, 0.50, -0.30 * t, 0.55, 0.20, coat),
            (-0.2 * t, 0.24, 0.3 * t, 0.24, 0.06, coat),
            (0.34 * t, 0.28, 0.44 * t, 0.86, 0.08, coat),
        ]
        out.pop(5)
    return out


def paint_cycle(stage: Stage, thing: Thing) -> None:
    """A bicycle or motorcycle (by its kind), with a rider if riders are among its parts."""
    motor = thing.kind == "motorcycle"
    label = TrainId.MOTORCYCLE if motor else TrainId.BICYCLE
    squeeze = thing.size[0] / (1.9 if motor else 1.75)
    camera = stage.camera
    stage.shadow(thing.x, thing.z, 0.5 * thing.size[0] + 0.15, 0.35, 0.8)
    patch = stage.canvas.patch(
        camera.x(thing.x - 1.0, thing.z), camera.y(1.1, thing.z),
        camera.x(thing.x + 1.0, thing.z), camera.y(-0.1, thing.z),
    )  # fmt: skip
    if patch is None:
        return
    base, radius, thick = (0.66, 0.31, 0.13) if motor else (0.53, 0.34, 0.045)
    for at in (-base * thing.turn, base * thing.turn):
        _wheel(stage, patch, thing, at, radius, thick, squeeze, label)
    strokes = _motorcycle(thing) if motor else _bicycle(thing)
    if not motor:  # the outline of the frame, without colour
        scale, cx = camera.scale(thing.z), camera.x(thing.x, thing.z)
        corners = ((-0.45, 0.42), (-0.22, 0.86), (0.36, 0.86), (0.45, 0.42))
        points = [(cx + a * squeeze * scale, camera.y(b, thing.z)) for a, b in corners]
        patch.label(patch.polygon(points), label)
    paint_strokes(stage, thing.x, thing.z, strokes, label, squeeze=squeeze)
    if TrainId.RIDER in thing.parts:
        # a body does not get thinner when it turns, only its reach does
        body = rider_strokes(thing.r, thing.turn, motor)
        paint_strokes(stage, thing.x, thing.z, body, TrainId.RIDER, squeeze=max(squeeze, 0.35))
