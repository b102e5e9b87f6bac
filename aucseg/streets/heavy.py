"""Trucks, buses and trams: boxes alike in shape, size and colour that differ in details alone."""

from __future__ import annotations

import numpy as np

from aucseg.streets.brush import AMBER, GLASS, RED, STEEL, TYRE, WHITE, Brush, coat, mix
from aucseg.streets.camera import polyline
from aucseg.streets.canvas import cover


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
