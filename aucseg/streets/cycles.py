"""Bicycles and motorcycles, parked or ridden."""

from __future__ import annotations

import numpy as np

from aucseg.streets import labels as L
from aucseg.streets.brush import COATS, STEEL, TYRE
from aucseg.streets.canvas import Patch, cover
from aucseg.streets.people import Stroke, choose, paint_strokes, rider_strokes
from aucseg.streets.stage import Item, Stage

_RED = (0.75, 0.10, 0.08)


def _wheel(
    stage: Stage, patch: Patch, item: Item, at: float, radius: float, thick: float, squeeze: float, label: int
) -> None:
    """A wheel: the ring is painted, the whole disc is labelled (as an annotator draws its outline)."""
    camera = stage.camera
    scale = camera.scale(item.z)
    dx = (patch.x - camera.x(item.x, item.z) - at * squeeze * scale) / (scale * max(squeeze, 0.3))
    dy = (patch.y - camera.y(radius, item.z)) / scale
    d = np.sqrt(dx * dx + dy * dy)
    half = max(0.5 * thick, 0.45 / scale)
    ring = cover((half - np.abs(d - (radius - 0.5 * thick))) * scale)
    disc = cover((radius + 0.5 / scale - d) * scale)
    patch.fill(disc * 0.22, stage.tint((0.25, 0.25, 0.26), item.z))
    patch.fill(ring, stage.tint(TYRE, item.z))
    patch.label(disc, label)


def _bicycle(item: Item) -> list[Stroke]:
    t = item.turn
    frame = choose(COATS, item.r[9])
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


def _motorcycle(item: Item) -> list[Stroke]:
    t = item.turn
    coat = choose(COATS, item.r[9])
    scooter = item.r[10] < 0.45
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


def paint_cycle(stage: Stage, item: Item) -> None:
    """A bicycle or motorcycle (by its kind), with a rider if riders are among its parts."""
    motor = item.kind == "motorcycle"
    label = L.MOTORCYCLE if motor else L.BICYCLE
    squeeze = item.size[0] / (1.9 if motor else 1.75)
    camera = stage.camera
    stage.shadow(item.x, item.z, 0.5 * item.size[0] + 0.15, 0.35, 0.8)
    patch = stage.canvas.patch(
        camera.x(item.x - 1.0, item.z), camera.y(1.1, item.z),
        camera.x(item.x + 1.0, item.z), camera.y(-0.1, item.z),
    )  # fmt: skip
    if patch is None:
        return
    base, radius, thick = (0.66, 0.31, 0.13) if motor else (0.53, 0.34, 0.045)
    for at in (-base * item.turn, base * item.turn):
        _wheel(stage, patch, item, at, radius, thick, squeeze, label)
    strokes = _motorcycle(item) if motor else _bicycle(item)
    if not motor:  # the outline of the frame, without colour
        scale, cx = camera.scale(item.z), camera.x(item.x, item.z)
        corners = ((-0.45, 0.42), (-0.22, 0.86), (0.36, 0.86), (0.45, 0.42))
        points = [(cx + a * squeeze * scale, camera.y(b, item.z)) for a, b in corners]
        patch.label(patch.polygon(points), label)
    paint_strokes(stage, item.x, item.z, strokes, label, squeeze=squeeze)
    if L.RIDER in item.parts:
        # a body does not get thinner when it turns, only its reach does
        body = rider_strokes(item.r, item.turn, motor)
        paint_strokes(stage, item.x, item.z, body, L.RIDER, squeeze=max(squeeze, 0.35))
