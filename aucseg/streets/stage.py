"""What the painters of things share: a thing and its place, the stage, and figures of thick strokes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aucseg.streets.camera import Camera
from aucseg.streets.canvas import Array, Canvas, Colour
from aucseg.streets.light import Light

# x0, y0, x1, y1, radius (metres) and colour
Stroke = tuple[float, float, float, float, float, Colour]


@dataclass(frozen=True)
class Thing:
    """One thing on the ground.

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
        if self.canvas.rgb is None:
            return
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
    patch.label(alphas.max(axis=0), label)
    if patch.rgb is None:
        return
    # the side turned to the sun is lighter
    lit = (patch.x - cx) * (stage.light.sun * stage.light.hard * 0.45 / (0.3 * scale))
    shade = 1.0 + np.minimum(np.maximum(lit, -0.28), 0.22)
    for alpha, stroke in zip(alphas, strokes, strict=True):
        patch.fill(alpha, stage.tint(stroke[5], z) * shade)
