"""What streets look like beyond their layout: palette, light, texture, weather and camera.

A *look* is a domain: the same kind of streets with the same classes, pictured otherwise. What is learnt on
one is tried on another. The look ``"standard"`` is that with which everything else was recorded; it changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aucseg.errors import OptionError, did_you_mean
from aucseg.streets.camera import Camera
from aucseg.streets.canvas import Array, Colour, TrainId, planes, sample
from aucseg.streets.draw import Draw
from aucseg.streets.light import Light, draw_light

Range = tuple[float, float]
_LUMA = planes((0.30, 0.59, 0.11))


@dataclass(frozen=True)
class Material:
    """What becomes of the surfaces of a class.

    Args:
        hue: colour that they are dyed in, in parts of their brightness.
        dye: share of it in their colour, in [0, 1].
        noise: pattern that lies over them, one of those of `aucseg.streets.canvas.sample`.
        grain: repeats of the pattern over the height of the picture, in units of its cells.
        strength: its largest change of brightness.
    """

    hue: Colour
    dye: float
    noise: str = "grain"
    grain: float = 90.0
    strength: float = 0.0


@dataclass(frozen=True)
class Look:
    """How streets are pictured.

    Args:
        name: its name in ``LOOKS``.
        moods: weights of sun, overcast, haze and dusk.
        balance: white balance and exposure, a factor for each channel.
        reach: factor of the depth at which haze takes half of the colour; below 1 for mist and rain.
        hard: factor of direct light.
        sensor: factor of the sensor noise.
        focal: focal lengths in heights of the picture.
        eye: heights of the camera, metres.
        horizon: rows of the horizon in heights of the picture.
        materials: for some train ids what becomes of their surfaces.
        shift: added to the seed of a split's world, so that no two looks show the same streets.
    """

    name: str
    moods: tuple[float, float, float, float] = (0.38, 0.34, 0.14, 0.14)
    balance: Colour = (1.0, 1.0, 1.0)
    reach: float = 1.0
    hard: float = 1.0
    sensor: float = 1.0
    focal: Range = (1.9, 2.3)
    eye: Range = (1.2, 1.45)
    horizon: Range = (0.385, 0.45)
    materials: Mapping[int, Material] = field(default_factory=dict)
    shift: int = 0

    def camera(self, draw: Draw, width: float) -> Camera:
        """Focal length, eye height and vanishing point for an image of unit height and ``width``."""
        return Camera(
            focal=draw.uniform(*self.focal),
            eye=draw.uniform(*self.eye),
            cx=0.5 * width + draw.uniform(-0.16, 0.16),
            cy=draw.uniform(*self.horizon),
        )

    def light(self, draw: Draw) -> Light:
        """Time of day and weather."""
        drawn = draw_light(draw, self.moods)
        if self.name == STANDARD:
            return drawn
        gain = [g * b for g, b in zip(drawn.gain, self.balance, strict=True)]
        return replace(
            drawn,
            gain=gain,
            reach=drawn.reach * self.reach,
            hard=drawn.hard * self.hard,
            noise=drawn.noise * self.sensor,
        )

    def dye(self, rgb: Array, mask: np.ndarray) -> None:
        """Give the surfaces of each class their colour and texture, in place.

        Args:
            rgb: colours (3, H, W).
            mask: train ids (H, W), before outlines become void.
        """
        height, width = mask.shape
        y = np.arange(height, dtype=np.float64).reshape(-1, 1)
        x = np.arange(width, dtype=np.float64).reshape(1, -1)
        for label, material in self.materials.items():
            here = mask == label
            if not here.any():
                continue
            luma = (rgb * _LUMA).sum(axis=0)
            dyed = rgb * (1.0 - material.dye) + planes(material.hue) * (material.dye * luma)
            if material.strength:
                cells = material.grain / height
                pattern = sample(material.noise, y * cells, x * cells)
                dyed *= 1.0 + material.strength * (2.0 * pattern - 1.0)
            np.copyto(rgb, dyed, where=here)


STANDARD = "standard"

# A wet autumn seen from a van: bricks, leaves in yellow and brown, dark asphalt, sodium light, mist, a wider
# lens higher above the road, a noisier sensor.
_AUTUMN = Look(
    "autumn",
    moods=(0.12, 0.34, 0.30, 0.24),
    balance=(1.06, 0.92, 0.74),
    reach=0.55,
    hard=0.6,
    sensor=1.8,
    focal=(1.55, 1.9),
    eye=(1.75, 2.15),
    horizon=(0.40, 0.47),
    materials={
        TrainId.ROAD: Material((0.62, 0.66, 0.74), 0.85, "cloud", 40.0, 0.25),
        TrainId.SIDEWALK: Material((1.02, 0.84, 0.62), 0.7, "hash", 60.0, 0.14),
        TrainId.BUILDING: Material((1.32, 0.80, 0.60), 0.75, "hash", 70.0, 0.16),
        TrainId.WALL: Material((1.20, 0.86, 0.70), 0.7, "hash", 80.0, 0.18),
        TrainId.FENCE: Material((0.95, 0.88, 0.76), 0.6),
        TrainId.POLE: Material((0.80, 0.86, 0.84), 0.7),
        TrainId.VEGETATION: Material((1.55, 0.98, 0.38), 0.8, "leaf", 120.0, 0.22),
        TrainId.TERRAIN: Material((1.25, 0.98, 0.55), 0.8, "leaf", 100.0, 0.20),
        TrainId.SKY: Material((1.02, 0.98, 0.94), 0.75),
        TrainId.CAR: Material((0.95, 0.98, 1.05), 0.35),
        TrainId.BUS: Material((0.80, 1.05, 1.10), 0.5),
        TrainId.TRUCK: Material((1.10, 0.98, 0.80), 0.5),
    },
    shift=10,
)

LOOKS: dict[str, Look] = {look.name: look for look in (Look(STANDARD), _AUTUMN)}
"""Looks of the streets by name."""


def find_look(name: str) -> Look:
    """A look by name.

    Args:
        name: its name.

    Raises:
        OptionError: for an unknown name, with the nearest known one.
    """
    if name not in LOOKS:
        raise OptionError(f"streets have no look {name!r}; {did_you_mean(name, LOOKS)}")
    return LOOKS[name]
