"""Vehicles from the side and from the end, in metres: cars and vans; trucks, buses and trams."""

from __future__ import annotations

import numpy as np

from aucseg.streets.camera import Face, front_face, polyline, side_face
from aucseg.streets.canvas import Array, Colour, TrainId, cover
from aucseg.streets.stage import Stage, Thing

COATS: tuple[tuple[float, float, float], ...] = (
    (0.84, 0.84, 0.83), (0.62, 0.63, 0.65), (0.40, 0.42, 0.44), (0.14, 0.14, 0.16), (0.12, 0.18, 0.34),
    (0.55, 0.12, 0.11), (0.78, 0.60, 0.16), (0.16, 0.34, 0.26), (0.66, 0.62, 0.54), (0.20, 0.34, 0.52),
    (0.72, 0.73, 0.75), (0.22, 0.22, 0.24),
)  # fmt: skip
GLASS = (0.12, 0.15, 0.18)
TYRE = (0.07, 0.07, 0.08)
STEEL = (0.50, 0.51, 0.53)
RED = (0.70, 0.10, 0.08)
AMBER = (0.92, 0.62, 0.16)
WHITE = (0.88, 0.88, 0.84)


class Brush:
    """Paints parts of one face at one depth, each with the face's label."""

    def __init__(self, stage: Stage, face: Face, z: float, gain: float, label: int) -> None:
        self.stage, self.face, self.z, self.gain, self.label = stage, face, z, gain, label

    def __call__(self, alpha: Array, colour: Colour, gain: float = 1.0) -> None:
        """Fill a part."""
        self.face.patch.fill(alpha, lambda: self.stage.tint(colour, self.z, self.gain * gain), self.label)

    def body(self, alpha: Array, colour: Colour, height: float) -> None:
        """Fill the body: darker towards the ground, lighter towards the sky."""

        def shaded() -> Array:
            shade = 0.78 + 0.34 * np.minimum(np.maximum(self.face.v / height, 0.0), 1.0)
            return self.stage.tint(colour, self.z, self.gain) * shade

        self.face.patch.fill(alpha, shaded, self.label)

    def wheels(self, places: tuple[float, ...], radius: float) -> None:
        """Wheels along a side."""
        for u in places:
            self(self.face.disc(u, radius, radius), TYRE)
            self(self.face.disc(u, radius, radius * 0.52), STEEL, 0.8)

    def lamps(self, width: float, v0: float, v1: float, size: float, colour: Colour) -> None:
        """A pair of lamps at the two edges of an end face."""
        inset = np.minimum(self.face.u, width - self.face.u)
        across = cover(np.minimum(inset - 0.06, 0.06 + size - inset) / self.face.fu)
        self(across * self.face.band(v0, v1), colour, 1.15)


def coat(r: float) -> tuple[float, float, float]:
    """The coat that a uniform number points at; all vehicles share one palette."""
    return COATS[int(r * len(COATS))]


def mix(a: Colour, b: Colour, t: float) -> tuple[float, float, float]:
    """A colour between two."""
    x, y, z = (p + t * (q - p) for p, q in zip(a, b, strict=True))
    return x, y, z


# cars and vans


def car_side(b: Brush, length: float, height: float, r: list[float]) -> None:
    """A hatchback or a saloon from the side, u from its rear."""
    f = b.face
    rear = 0.12 if r[2] < 0.6 else 0.75  # hatchback or saloon
    belt = 0.62 * height
    roof = polyline(
        f.u, ((0.02, belt * 0.86), (rear, belt), (rear + 0.42, height), (0.60 * length, height),
              (0.79 * length, belt), (length - 0.05, belt * 0.80)),
    )  # fmt: skip
    b.body(f.under(roof) * f.rect(0.0, length, 0.26, height), coat(r[0]), height)
    inner = polyline(
        f.u, ((rear + 0.22, belt), (rear + 0.55, height - 0.11), (0.58 * length, height - 0.11),
              (0.745 * length, belt)),
    )  # fmt: skip
    window = f.under(inner) * f.rect(rear + 0.22, 0.745 * length, belt + 0.03, height)
    b(window * (1.0 - f.rect(0.44 * length, 0.47 * length, 0.0, height)), mix(GLASS, WHITE, 0.25 * r[3]))
    b(f.rect(0.25, length - 0.2, 0.20, 0.34), TYRE, 1.4)
    b.wheels((0.19 * length, 0.80 * length), 0.33)


def car_cabin(b: Brush, width: float, height: float, r: list[float], front: bool) -> None:
    """Windscreen or rear window with the roof: it stands behind the bonnet or the boot."""
    f = b.face
    belt = 0.62 * height
    off = np.abs(f.u - 0.5 * width)
    slope = np.minimum(np.maximum((f.v - belt) / (height - belt), 0.0), 1.0)
    cabin = cover((0.47 * width - 0.13 * width * slope - off) / f.fu) * f.band(belt - 0.1, height)
    glass = cover((0.42 * width - 0.13 * width * slope - off) / f.fu) * f.band(belt + 0.02, height - 0.1)
    b.body(cabin, coat(r[0]), height)
    b(glass, mix(GLASS, b.stage.light.skyline, (0.38 if front else 0.18) * r[3] + 0.05))


def car_end(b: Brush, width: float, height: float, r: list[float], front: bool) -> None:
    """The lower body from behind or from the front."""
    f = b.face
    belt = 0.62 * height
    b.body(f.rect(0.0, width, 0.28, belt), coat(r[0]), height)
    b(f.rect(0.05, 0.26, 0.0, 0.34), TYRE)
    b(f.rect(width - 0.26, width - 0.05, 0.0, 0.34), TYRE)
    b(f.rect(0.1, width - 0.1, 0.22, 0.36), TYRE, 1.6)
    if front:
        b(f.rect(0.3 * width, 0.7 * width, 0.46, 0.64), TYRE, 1.5)
        b.lamps(width, 0.56, 0.74, 0.34, WHITE)
    else:
        b.lamps(width, 0.62, 0.86, 0.24, RED if r[4] < 0.7 else (0.95, 0.20, 0.14))
    b(f.rect(0.36 * width, 0.64 * width, 0.42, 0.53), WHITE, 0.9)


def van_side(b: Brush, length: float, height: float, r: list[float]) -> None:
    """A panel van or a minibus from the side."""
    f = b.face
    nose = polyline(
        f.u, ((0.0, height), (0.72 * length, height), (0.88 * length, 0.55 * height), (length, 0.42 * height))
    )
    b.body(f.under(nose) * f.rect(0.0, length, 0.28, height), coat(r[0]), height)
    first = 0.62 if r[5] < 0.6 else 0.08  # a panel van, or windows all along
    band = f.under(nose - 0.16) * f.rect(first * length, 0.82 * length, 0.56 * height, height - 0.2)
    b(band * (1.0 - f.bars(1.35, 0.10)), GLASS)
    b(f.rect(0.2, length - 0.2, 0.2, 0.36), TYRE, 1.4)
    b.wheels((0.18 * length, 0.82 * length), 0.36)


def van_end(b: Brush, width: float, height: float, r: list[float], front: bool) -> None:
    """A van from behind or from the front."""
    f = b.face
    b.body(f.rect(0.0, width, 0.3, height if not front else 0.62 * height), coat(r[0]), height)
    if front:
        off = np.abs(f.u - 0.5 * width)
        b.body(cover((0.5 * width - 0.05 * f.v - off) / f.fu) * f.band(0.6, height), coat(r[0]), height)
        glass = cover((0.48 * width - 0.06 * f.v - off) / f.fu) * f.band(0.56 * height, 0.86 * height)
        b(glass, mix(GLASS, b.stage.light.skyline, 0.3 * r[3]))
        b.lamps(width, 0.62, 0.86, 0.3, WHITE)
        b(f.rect(0.3 * width, 0.7 * width, 0.5, 0.75), TYRE, 1.5)
    else:
        if r[5] > 0.35:
            b(f.rect(0.12 * width, 0.88 * width, 0.58 * height, 0.84 * height), GLASS)
        b(f.rect(0.49 * width, 0.52 * width, 0.4, height), TYRE, 2.4)
        b.lamps(width, 0.8, 1.25, 0.16, RED)
    b(f.rect(0.05, 0.3, 0.0, 0.36), TYRE)
    b(f.rect(width - 0.3, width - 0.05, 0.0, 0.36), TYRE)
    b(f.rect(0.38 * width, 0.62 * width, 0.44, 0.54), WHITE, 0.9)


# trucks, buses and trams: boxes alike in shape, size and colour that differ in details alone


def truck_side(b: Brush, length: float, height: float, r: list[float]) -> None:
    """A cargo box, sometimes with a painted stripe where a bus has windows, and a cab."""
    f = b.face
    cab = length - 2.1
    b(f.rect(0.1, length - 0.3, 0.55, 1.0), TYRE, 2.0)
    b.body(f.rect(0.0, cab - 0.25, 0.95, height), coat(r[0]), height)
    if r[5] < 0.45:  # a painted stripe where a bus has windows
        b(f.rect(0.3, cab - 0.5, 0.45 * height, 0.68 * height), coat(r[6]), 0.8)
    if r[7] < 0.4:  # ribs of a tarpaulin
        b(f.rect(0.1, cab - 0.35, 1.0, height - 0.1) * f.bars(1.1, 0.12), TYRE, 2.6)
    nose = polyline(f.u, ((cab + 1.35, 2.75), (length - 0.15, 1.9), (length, 1.5)))
    b.body(f.under(nose) * f.rect(cab, length, 0.5, 2.75), coat(r[1]), height)
    b(f.under(nose - 0.2) * f.rect(cab + 0.5, length - 0.4, 1.65, 2.4), GLASS)
    b.wheels((0.14 * length, 0.14 * length + 1.15, length - 1.2), 0.48)


def truck_end(b: Brush, width: float, height: float, r: list[float], front: bool) -> None:
    """Cargo doors over a bumper, or a cab before a taller box."""
    f = b.face
    b.body(f.rect(0.0, width, 0.95 if not front else 2.2, height), coat(r[0]), height)
    if front:
        b.body(f.rect(0.06, width - 0.06, 0.5, 2.8), coat(r[1]), height)
        b(f.rect(0.2, width - 0.2, 1.65, 2.45), mix(GLASS, b.stage.light.skyline, 0.3 * r[3]))
        b(f.rect(0.5, width - 0.5, 0.75, 1.45), TYRE, 2.0)
        b.lamps(width, 0.6, 0.85, 0.4, WHITE)
    else:
        if r[5] < 0.45:
            b(f.rect(0.15, width - 0.15, 0.45 * height, 0.68 * height), coat(r[6]), 0.8)
        b(f.rect(0.485 * width, 0.515 * width, 1.0, height - 0.1), TYRE, 2.6)
        b(f.rect(0.0, width, height - 0.14, height), STEEL, 0.8)
        b(f.rect(0.15, width - 0.15, 0.5, 0.95), TYRE, 1.6)
        b.lamps(width, 0.62, 0.86, 0.4, RED)
    b(f.rect(0.05, 0.62, 0.0, 0.7), TYRE)
    b(f.rect(width - 0.62, width - 0.05, 0.0, 0.7), TYRE)
    b(f.rect(0.40 * width, 0.60 * width, 0.55, 0.68), WHITE, 0.9)


def bus_side(b: Brush, length: float, height: float, r: list[float]) -> None:
    """A band of windows, doors, two axles."""
    f = b.face
    b.body(f.rect(0.0, length, 0.32, height), coat(r[0]), height)
    b(f.rect(0.1, length - 0.1, 0.36, 0.85), coat(r[1]), 0.9)
    band = f.rect(0.35, length - 0.12, 1.30, 2.45)
    b(band * (1.0 - f.bars(1.5, 0.09)), mix(GLASS, b.stage.light.skyline, 0.2 * r[3]))
    for door in (0.42, 0.86):
        b(f.rect(door * length, door * length + 1.15, 0.45, 2.45), GLASS, 0.8)
    b(f.rect(0.3 * length, 0.6 * length, height - 0.2, height), STEEL, 0.9)
    b.wheels((0.24 * length, 0.77 * length), 0.48)


def bus_end(b: Brush, width: float, height: float, r: list[float], front: bool) -> None:
    """A wide window and a lit line number."""
    f = b.face
    b.body(f.rect(0.0, width, 0.32, height), coat(r[0]), height)
    if front:
        b(f.rect(0.12, width - 0.12, 1.05, 2.5), mix(GLASS, b.stage.light.skyline, 0.25 * r[3]))
        b.lamps(width, 0.55, 0.8, 0.36, WHITE)
    else:
        b(f.rect(0.25, width - 0.25, 1.55, 2.45), GLASS)
        b(f.rect(0.35, width - 0.35, 0.55, 1.05), TYRE, 2.6)
        b.lamps(width, 0.8, 1.4, 0.16, RED)
    b(f.rect(0.0, width, 0.32, 0.55), coat(r[1]), 0.9)
    b(f.rect(0.55, width - 0.55, 2.58, 2.9), TYRE)
    b(f.rect(0.8, width - 0.8, 2.66, 2.82), AMBER)
    b(f.rect(0.05, 0.36, 0.0, 0.4), TYRE)
    b(f.rect(width - 0.36, width - 0.05, 0.0, 0.4), TYRE)


def train_side(b: Brush, length: float, height: float, r: list[float]) -> None:
    """A long band of windows with doors, joints between cars, no wheels."""
    f = b.face
    b.body(f.rect(0.0, length, 0.22, height), coat(r[0]), height)
    b(f.rect(0.0, length, height - 0.28, height), STEEL, 0.85)
    b(f.rect(0.05, length - 0.05, 0.9, 1.15), coat(r[1]))
    band = f.rect(0.3, length - 0.3, 1.35, 2.5)
    b(band * (1.0 - f.bars(1.7, 0.12)), mix(GLASS, b.stage.light.skyline, 0.2 * r[3]))
    b(f.bars(7.0, 0.19) * f.rect(0.5, length - 0.5, 0.35, 2.6), coat(r[1]), 0.7)
    for joint in (0.33, 0.66):
        b(f.rect(joint * length - 0.3, joint * length + 0.3, 0.3, height - 0.1), TYRE, 1.8)
    b(f.rect(0.0, length, 0.12, 0.36), TYRE, 1.5)


def train_end(b: Brush, width: float, height: float, r: list[float], front: bool) -> None:
    """A tapered front with a line number and a coupling."""
    f = b.face
    off = np.abs(f.u - 0.5 * width)
    taper = np.maximum(f.v - 2.4, 0.0) * 0.34
    shape = cover((0.5 * width - taper - off) / f.fu) * f.band(0.2, height)
    b.body(shape, coat(r[0]), height)
    glass = cover((0.43 * width - taper - off) / f.fu) * f.band(1.25, 2.55)
    b(glass, mix(GLASS, b.stage.light.skyline, 0.25 * r[3]))
    b(cover((0.22 * width - off) / f.fu) * f.band(2.68, 2.95), AMBER)
    b(f.rect(0.05, width - 0.05, 0.85, 1.12), coat(r[1]))
    b.lamps(width, 0.55, 0.78, 0.3, WHITE if front else RED)
    b(f.rect(0.15, width - 0.15, 0.10, 0.36), TYRE, 1.5)
    b(cover((0.28 - off) / f.fu) * f.band(0.2, 0.55), TYRE, 1.8)


# on the ground


_DESIGNS = {
    "car": (car_side, car_end, TrainId.CAR),
    "van": (van_side, van_end, TrainId.CAR),
    "truck": (truck_side, truck_end, TrainId.TRUCK),
    "bus": (bus_side, bus_end, TrainId.BUS),
    "train": (train_side, train_end, TrainId.TRAIN),
}


def paint_vehicle(stage: Stage, thing: Thing) -> None:
    """Paint a vehicle: shadow, the side that can be seen, the end that faces the camera."""
    side, end, label = _DESIGNS[thing.kind]
    width, height, length = thing.size
    canvas, camera, light = stage.canvas, stage.camera, stage.light
    roof = height + (1.3 if thing.kind == "train" else 0.0)
    if thing.across:
        stage.shadow(thing.x, thing.z + 0.5 * width, 0.54 * length, 0.8 * width, 0.95)
        face = front_face(canvas, camera, thing.x - 0.5 * length, thing.x + 0.5 * length, thing.z, roof)
        if face is not None:
            if thing.turn < 0:
                face.u = length - face.u
            side(Brush(stage, face, thing.z, light.wall_gain(0.0), label), length, height, thing.r)
            if thing.kind == "train":
                _pantograph(stage, thing, thing.x, thing.z)
        return
    left, right = thing.x - 0.5 * width, thing.x + 0.5 * width
    stage.shadow(thing.x, thing.z + 0.4, 0.62 * width, 0.9, 1.0)
    inner = left if left > 0.0 else right if right < 0.0 else 0.0
    face = side_face(canvas, camera, inner, thing.z, thing.z + length, height)
    if face is not None:
        if thing.toward:
            face.u = length - face.u
        gain = light.wall_gain(-1.0 if inner > 0.0 else 1.0) * 0.92
        side(Brush(stage, face, thing.z + 0.3 * length, gain, label), length, height, thing.r)
    if thing.kind == "train":
        _pantograph(stage, thing, thing.x, thing.z + 0.3 * length)
    if thing.kind == "car":
        z = thing.z + length * (0.21 if thing.toward else 0.04 if thing.r[2] < 0.6 else 0.16)
        face = front_face(canvas, camera, left, right, z, height)
        if face is not None:
            car_cabin(
                Brush(stage, face, z, light.wall_gain(0.0), label), width, height, thing.r, thing.toward
            )
    face = front_face(canvas, camera, left, right, thing.z, height)
    if face is not None:
        end(Brush(stage, face, thing.z, light.wall_gain(0.0), label), width, height, thing.r, thing.toward)


def _pantograph(stage: Stage, thing: Thing, x: float, z: float) -> None:
    """The current collector on the roof of a tram, and the wire it touches."""
    camera, height = stage.camera, thing.size[1]
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
    patch.fill(alpha, stage.tint((0.15, 0.15, 0.17), z), TrainId.TRAIN)
