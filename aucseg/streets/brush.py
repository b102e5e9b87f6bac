"""The brush that paints parts of a vehicle, and the palette that all vehicles share."""

from __future__ import annotations

import numpy as np

from aucseg.streets.camera import Face
from aucseg.streets.canvas import Array, Colour, cover
from aucseg.streets.stage import Stage

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
        self.face.patch.fill(alpha, self.stage.tint(colour, self.z, self.gain * gain), self.label)

    def body(self, alpha: Array, colour: Colour, height: float) -> None:
        """Fill the body: darker towards the ground, lighter towards the sky."""
        shade = 0.78 + 0.34 * np.minimum(np.maximum(self.face.v / height, 0.0), 1.0)
        self.face.patch.fill(alpha, self.stage.tint(colour, self.z, self.gain) * shade, self.label)

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
