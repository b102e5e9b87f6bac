"""Vehicles on the ground: shadow, the side that can be seen, the end that faces the camera."""

from __future__ import annotations

import numpy as np

from aucseg.streets import labels as L
from aucseg.streets.brush import Brush
from aucseg.streets.camera import front_face, side_face
from aucseg.streets.cars import car_cabin, car_end, car_side, van_end, van_side
from aucseg.streets.heavy import bus_end, bus_side, train_end, train_side, truck_end, truck_side
from aucseg.streets.stage import Item, Stage

_DESIGNS = {
    "car": (car_side, car_end, L.CAR),
    "van": (van_side, van_end, L.CAR),
    "truck": (truck_side, truck_end, L.TRUCK),
    "bus": (bus_side, bus_end, L.BUS),
    "train": (train_side, train_end, L.TRAIN),
}


def paint_vehicle(stage: Stage, item: Item) -> None:
    """Paint a vehicle: shadow, the side that can be seen, the end that faces the camera."""
    side, end, label = _DESIGNS[item.kind]
    width, height, length = item.size
    canvas, camera, light = stage.canvas, stage.camera, stage.light
    roof = height + (1.3 if item.kind == "train" else 0.0)
    if item.across:
        stage.shadow(item.x, item.z + 0.5 * width, 0.54 * length, 0.8 * width, 0.95)
        face = front_face(canvas, camera, item.x - 0.5 * length, item.x + 0.5 * length, item.z, roof)
        if face is not None:
            if item.turn < 0:
                face.u = length - face.u
            side(Brush(stage, face, item.z, light.wall_gain(0.0), label), length, height, item.r)
            if item.kind == "train":
                _pantograph(stage, item, item.x, item.z)
        return
    left, right = item.x - 0.5 * width, item.x + 0.5 * width
    stage.shadow(item.x, item.z + 0.4, 0.62 * width, 0.9, 1.0)
    inner = left if left > 0.0 else right if right < 0.0 else 0.0
    face = side_face(canvas, camera, inner, item.z, item.z + length, height)
    if face is not None:
        if item.toward:
            face.u = length - face.u
        gain = light.wall_gain(-1.0 if inner > 0.0 else 1.0) * 0.92
        side(Brush(stage, face, item.z + 0.3 * length, gain, label), length, height, item.r)
    if item.kind == "train":
        _pantograph(stage, item, item.x, item.z + 0.3 * length)
    if item.kind == "car":
        z = item.z + length * (0.21 if item.toward else 0.04 if item.r[2] < 0.6 else 0.16)
        face = front_face(canvas, camera, left, right, z, height)
        if face is not None:
            car_cabin(Brush(stage, face, z, light.wall_gain(0.0), label), width, height, item.r, item.toward)
    face = front_face(canvas, camera, left, right, item.z, height)
    if face is not None:
        end(Brush(stage, face, item.z, light.wall_gain(0.0), label), width, height, item.r, item.toward)


def _pantograph(stage: Stage, item: Item, x: float, z: float) -> None:
    """The current collector on the roof of a tram, and the wire it touches."""
    camera, height = stage.camera, item.size[1]
    patch = stage.canvas.patch(
        camera.x(x - 1.1, z), camera.y(height + 1.4, z), camera.x(x + 1.1, z), camera.y(height - 0.2, z)
    )
    if patch is None:
        return
    strokes = ((-0.5, 0.0, 0.25, 0.6), (0.25, 0.6, -0.3, 1.15), (-0.9, 1.15, 0.8, 1.15))
    ends = np.array(
        [[camera.x(x + a, z), camera.y(height + b, z), camera.x(x + c, z), camera.y(height + d, z)]
         for a, b, c, d in strokes]
    )  # fmt: skip
    radii = np.full(3, max(0.05 * camera.scale(z), 0.4))
    alpha = patch.capsules(ends, radii).max(axis=0)
    patch.fill(alpha, stage.tint((0.15, 0.15, 0.17), z), L.TRAIN)
