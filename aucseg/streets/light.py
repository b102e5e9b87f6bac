"""Time of day and weather: sky, sun side, haze, the far skyline, and the final grading of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aucseg.streets.camera import Camera
from aucseg.streets.canvas import Array, Canvas, Colour, TrainId, cover, planes, sample
from aucseg.streets.draw import Draw
from aucseg.streets.street import Street


@dataclass(frozen=True)
class Light:
    """How a scene is lit.

    Args:
        zenith: colour of the sky overhead.
        skyline: colour of the sky at the horizon, and of the haze.
        clouds: cloud cover in [0, 1].
        sun: -1 if the sun stands on the left, 1 on the right.
        hard: strength of direct light in [0, 1]: contrast between lit and shaded faces, and of shadows.
        reach: depth at which haze takes half of the colour, metres.
        lamps: how many windows and lamps are lit, in [0, 1].
        gain: exposure and white balance for each channel.
        noise: amplitude of the sensor noise.
    """

    zenith: Colour
    skyline: Colour
    clouds: float
    sun: float
    hard: float
    reach: float
    lamps: float
    gain: Colour
    noise: float

    def haze(self, z: float) -> float:
        """Share of haze in the colour of a thing at depth z: ``z / (z + reach)``."""
        return z / (z + self.reach)

    def tint(self, colour: Colour, z: float, gain: float = 1.0) -> Array:
        """A colour (3, 1, 1) as it arrives from depth z."""
        h = self.haze(z)
        return planes([c * gain * (1.0 - h) + s * h for c, s in zip(colour, self.skyline, strict=True)])

    def wall_gain(self, facing: float) -> float:
        """Brightness of an upright face whose normal points to -1 (left), 0 (to the camera) or 1 (right)."""
        return 1.0 - 0.12 * self.hard + 0.30 * self.hard * facing * self.sun


def draw_light(draw: Draw, moods: tuple[float, float, float, float]) -> Light:
    """Day with sun, overcast, haze or dusk.

    Args:
        draw: draws of the image.
        moods: weights of the four.
    """
    mood = draw.weighted(("sun", "overcast", "haze", "dusk"), moods)
    sun = -1.0 if draw.chance(0.5) else 1.0
    warm = draw.uniform(-0.05, 0.05)
    gain = draw.uniform(0.96, 1.20)
    noise = draw.uniform(0.012, 0.034)
    if mood == "sun":
        return Light(
            (0.36 + draw.uniform(-0.06, 0.08), 0.55, 0.82), (0.80, 0.86, 0.92), draw.uniform(0.1, 0.6), sun,
            draw.uniform(0.6, 1.0), draw.uniform(280.0, 600.0), 0.03,
            (gain * (1.05 + warm), gain * 1.02, gain * (0.96 - warm)), noise,
        )  # fmt: skip
    if mood == "overcast":
        return Light(
            (0.66, 0.69, 0.73), (0.84, 0.86, 0.88), draw.uniform(0.5, 1.0), sun,
            draw.uniform(0.1, 0.35), draw.uniform(160.0, 400.0), 0.08,
            (gain * (0.95 + warm), gain * 0.97, gain * (1.0 - warm)), noise * 1.2,
        )  # fmt: skip
    if mood == "haze":
        return Light(
            (0.72, 0.74, 0.74), (0.87, 0.86, 0.82), draw.uniform(0.2, 0.6), sun,
            draw.uniform(0.2, 0.5), draw.uniform(60.0, 120.0), 0.05,
            (gain * (1.0 + warm), gain * 0.98, gain * (0.94 - warm)), noise,
        )  # fmt: skip
    return Light(
        (0.34, 0.40, 0.54), (0.86, 0.70, 0.56), draw.uniform(0.2, 0.7), sun,
        draw.uniform(0.25, 0.5), draw.uniform(120.0, 300.0), draw.uniform(0.25, 0.6),
        (gain * (0.84 + warm), gain * 0.79, gain * (0.80 - warm)), noise * 1.5,
    )  # fmt: skip


def paint_sky(canvas: Canvas, camera: Camera, light: Light, street: Street) -> None:
    """Gradient from zenith to horizon with clouds, over all rows above the horizon."""
    patch = canvas.patch(0, 0, canvas.width, camera.cy)
    if patch is None:
        return
    patch.mask[:] = TrainId.SKY
    if patch.rgb is None:
        return
    unit = 1.0 / canvas.height
    up = np.maximum((camera.cy - patch.y) * unit, 0.0)
    t = up / (up + 0.22)
    sky = planes(light.skyline) * (1.0 - t) + planes(light.zenith) * t
    # clouds flatten towards the horizon, as a layer seen from below
    row = 60.0 / (up + 0.12) + 256.0 * street.r[0]
    column = (patch.x - camera.cx) * (unit * 34.0) / (up + 0.30) + 256.0 * street.r[1]
    puff = sample("cloud", row, column)
    puff = np.minimum(np.maximum((puff - (0.95 - 0.75 * light.clouds)) * 2.2, 0.0), 1.0)
    bright = planes([0.5 * c + 0.5 for c in light.skyline])
    shadow = 0.80 + 0.20 * t
    patch.rgb[:] = sky + puff * 0.85 * (bright * shadow - sky)


def paint_skyline(canvas: Canvas, camera: Camera, light: Light, street: Street) -> None:
    """Distant roofs and trees along the horizon: what a gap in the street looks upon."""
    unit = 1.0 / canvas.height
    x = (canvas.x - camera.cx) * unit
    roofs = sample("hash", np.full_like(x, 256.0 * street.r[2]), x * 22.0 + 97.0 * street.r[3])
    trees = sample("leaf", np.full_like(x, 256.0 * street.r[4]), x * 130.0)
    depth = 2.0 * street.end
    for label, top, colour in (
        (TrainId.BUILDING, 0.02 + 0.07 * roofs, (0.46, 0.44, 0.43)),
        (TrainId.VEGETATION, 0.01 + 0.06 * trees, (0.22, 0.30, 0.17)),
    ):
        if label not in street.present:
            continue
        if street.roofed and (label == TrainId.BUILDING or TrainId.BUILDING not in street.present):
            top = np.full_like(top, 2.0)
        patch = canvas.patch(0, camera.cy - canvas.height * float(top.max()), canvas.width, camera.cy + 2)
        if patch is None:
            continue
        alpha = cover((patch.y - camera.cy) + top * canvas.height)
        patch.label(alpha, label)
        if patch.rgb is not None:
            grain = sample("leaf", patch.y * (unit * 200.0), patch.x * (unit * 200.0))
            patch.fill(alpha, light.tint(colour, depth) * (0.85 + 0.3 * grain))


@lru_cache(maxsize=16)
def _vignette(height: int, width: int) -> Array:
    """Fall-off of the lens (H, W): one in the centre, less in the corners."""
    y = ((np.arange(height) + 0.5) / height - 0.5).reshape(-1, 1)
    x = ((np.arange(width) + 0.5) / width - 0.5).reshape(1, -1)
    out = 1.0 - 0.42 * (x * x + y * y)
    out.flags.writeable = False
    return out


def develop(rgb: Array, light: Light, draw: Draw) -> np.ndarray:
    """Colours (3, H, W) to an 8-bit picture (H, W, 3): lens, exposure, shoulder, sensor noise."""
    _, height, width = rgb.shape
    out = rgb * (planes(light.gain) * _vignette(height, width))
    # a soft shoulder keeps highlights: identity up to 0.75, then a rational curve that ends below 1
    over = np.maximum(out - 0.75, 0.0)
    out -= over
    out += over / (1.0 + over * 2.6)
    grain = draw.field(height, width)
    grain += draw.field(height, width)
    grain -= 1.0
    out += light.noise * grain
    out += (0.6 * light.noise) * (draw.field(3, height, width) - 0.5)
    out *= 255.0
    out += 0.5
    np.maximum(out, 0.0, out=out)
    np.minimum(out, 255.0, out=out)
    return np.ascontiguousarray(out.astype(np.uint8).transpose(1, 2, 0))
