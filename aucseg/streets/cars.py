"""Cars and vans, from the side and from the end, in metres."""

from __future__ import annotations

import numpy as np

from aucseg.streets.brush import GLASS, RED, TYRE, WHITE, Brush, coat, mix
from aucseg.streets.camera import polyline
from aucseg.streets.canvas import cover


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
