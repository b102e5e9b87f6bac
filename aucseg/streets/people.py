"""Pedestrians and riders: figures of thick strokes in their own metres."""

from __future__ import annotations

import numpy as np

from aucseg.streets import labels as L
from aucseg.streets.canvas import Colour
from aucseg.streets.stage import Item, Stage

# x0, y0, x1, y1, radius (metres) and colour
Stroke = tuple[float, float, float, float, float, Colour]

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


def choose(options: tuple[tuple[float, float, float], ...], r: float) -> tuple[float, float, float]:
    """The option that a uniform number points at."""
    return options[int(r * len(options))]


def paint_strokes(
    stage: Stage, x: float, z: float, strokes: list[Stroke], label: int, *, squeeze: float = 1.0
) -> None:
    """Paint strokes, back to front, standing at (x, z).

    Args:
        stage: where to paint.
        x: lateral position of the origin, metres.
        z: depth, metres.
        strokes: segments in metres around the foot point.
        label: train id.
        squeeze: factor on x, below 1 for things turned away from the camera.
    """
    camera = stage.camera
    scale = camera.scale(z)
    cx, cy = camera.x(x, z), camera.y(0.0, z)
    ends = np.array([s[:4] for s in strokes])
    ends[:, (0, 2)] = cx + ends[:, (0, 2)] * (scale * squeeze)
    ends[:, (1, 3)] = cy - ends[:, (1, 3)] * scale
    radii = np.maximum(np.array([s[4] for s in strokes]) * scale, 0.5)
    reach = float(radii.max())
    patch = stage.canvas.patch(
        float(ends[:, (0, 2)].min()) - reach, float(ends[:, (1, 3)].min()) - reach,
        float(ends[:, (0, 2)].max()) + reach, float(ends[:, (1, 3)].max()) + reach,
    )  # fmt: skip
    if patch is None:
        return
    alphas = patch.capsules(ends, radii)
    # the side turned to the sun is lighter
    lit = (patch.x - cx) * (stage.light.sun * stage.light.hard * 0.45 / (0.3 * scale))
    shade = 1.0 + np.minimum(np.maximum(lit, -0.28), 0.22)
    for alpha, stroke in zip(alphas, strokes, strict=True):
        patch.fill(alpha, stage.tint(stroke[5], z) * shade)
    patch.label(alphas.max(axis=0), label)


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


def paint_person(stage: Stage, item: Item) -> None:
    """A pedestrian."""
    stage.shadow(item.x, item.z, 0.34, 0.25, 0.75)
    size = item.size[1] / 1.75
    strokes = [(a * size, b * size, c * size, d * size, w * size, col) for a, b, c, d, w, col in
               _walker(item.r, item.turn)]  # fmt: skip
    paint_strokes(stage, item.x, item.z, strokes, L.PERSON)


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
