"""What the painters of objects share: the stage, and an object's place on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from aucseg.streets.camera import Camera
from aucseg.streets.canvas import Array, Canvas, Colour
from aucseg.streets.light import Light


@dataclass(frozen=True)
class Item:
    """One object on the ground.

    Args:
        kind: name of its painter.
        x: lateral position of its middle, metres.
        z: depth of its near end, metres.
        size: width across the street, height and length along the street (metres).
        r: private randomness of its look, uniform in [0, 1).
        turn: -1 or 1: which way it looks or leans.
        across: True if it stands across the street (its long side is seen).
        toward: True if it comes towards the camera.
        parts: labels that its painter may use (a pole may or may not carry lights).
    """

    kind: str
    x: float
    z: float
    size: tuple[float, float, float]
    r: list[float]
    turn: int = 1
    across: bool = False
    toward: bool = False
    parts: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Stage:
    """Canvas, camera and light, passed to every painter."""

    canvas: Canvas
    camera: Camera
    light: Light

    def tint(self, colour: Colour, z: float, gain: float = 1.0) -> Array:
        """A colour (3, 1, 1) as it arrives from depth z."""
        return self.light.tint(colour, z, gain)

    def shadow(self, x: float, z: float, half_width: float, half_length: float, strength: float) -> None:
        """A soft shadow on the ground around (x, z), shifted away from the sun."""
        camera, light = self.camera, self.light
        far, near = z + half_length, max(z - half_length, 3.0)
        top, bottom = camera.y(0.0, far), camera.y(0.0, near)
        x = x - light.sun * light.hard * half_width * 0.5
        rx = half_width * camera.scale(z) * 1.15 + 0.5
        cx, cy = camera.x(x, z), 0.5 * (top + bottom)
        ry = 0.5 * (bottom - top) + 0.6
        patch = self.canvas.patch(cx - rx, cy - ry, cx + rx, cy + ry)
        if patch is not None:
            patch.darken((strength * (0.55 + 0.25 * light.hard)) * patch.soft(cx, cy, rx, ry))
