"""Walls, fences and hedges along the street: long faces seen at a slant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aucseg.streets import labels as L
from aucseg.streets.camera import Face, side_face
from aucseg.streets.canvas import Array, cover, planes
from aucseg.streets.facades import PLASTER
from aucseg.streets.stage import Stage
from aucseg.streets.street import Barrier
from aucseg.streets.texture import sample
from aucseg.streets.trees import LEAVES

Put = Callable[[Array, Array, int | None], None]

_STONE = ((0.50, 0.48, 0.45), (0.44, 0.41, 0.39), (0.60, 0.58, 0.55), (0.45, 0.29, 0.24), (0.66, 0.62, 0.55))
_BARS = ((0.20, 0.22, 0.22), (0.42, 0.43, 0.44), (0.18, 0.28, 0.22), (0.40, 0.29, 0.20), (0.72, 0.72, 0.70))


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

    def put(alpha: np.ndarray, colour: np.ndarray, label: int | None) -> None:
        face.patch.fill(alpha, colour * (gain * (1.0 - haze)) + sky * haze, label)

    length = barrier.far - barrier.near
    {L.WALL: _wall, L.FENCE: _fence, L.VEGETATION: _hedge}[barrier.label](face, barrier, length, put)


def _wall(face: Face, barrier: Barrier, length: float, put: Put) -> None:
    r, height = barrier.r, barrier.height
    stone = planes((*_STONE, *PLASTER[:4])[int(r[0] * 9)])
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
    put(face.rect(0.0, length, 0.0, height), stone * tone, L.WALL)
    if r[4] < 0.35:  # graffiti
        mark = sample("cloud", face.v * 22.0, face.u * 16.0 + 256.0 * r[5])
        alpha = cover((mark - 0.62) * 12.0) * face.rect(1.0, length - 1.0, 0.2, height - 0.3)
        put(alpha * 0.7, planes(LEAVES[int(r[6] * 6)][::-1]) * 1.6, None)
    put(face.rect(0.0, length, height - 0.12, height), stone * 1.18, L.WALL)


def _fence(face: Face, barrier: Barrier, length: float, put: Put) -> None:
    r, height = barrier.r, barrier.height
    colour = planes(_BARS[int(r[0] * len(_BARS))])
    area = face.rect(0.0, length, 0.0, height)
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
    face.patch.label(area, L.FENCE)


def _hedge(face: Face, barrier: Barrier, length: float, put: Put) -> None:
    r, height = barrier.r, barrier.height
    fine = sample("leaf", face.v * 13.0, face.u * 10.0 + 256.0 * r[1])
    crest = sample("leaf", np.zeros_like(face.u), face.u * 7.0)
    top = height * (0.86 + 0.22 * crest)
    alpha = cover((top - face.v) / face.fv) * face.rect(0.0, length, 0.0, height + 0.5)
    shade = 0.55 + 0.55 * face.v / height + 0.9 * (fine - 0.5)
    put(alpha, planes(LEAVES[int(r[0] * 3)]) * np.maximum(shade * 1.1, 0.2), L.VEGETATION)
