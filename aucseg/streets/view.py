"""How the camera of an image looks: drawn once, the same for every resolution."""

from __future__ import annotations

import math

from aucseg.streets.camera import Camera
from aucseg.streets.draw import Draw


def unit_camera(draw: Draw, width: float) -> Camera:
    """A camera for an image of unit height: focal length, eye height, vanishing point."""
    return Camera(
        focal=draw.uniform(1.9, 2.3),
        eye=draw.uniform(1.2, 1.45),
        cx=0.5 * width + draw.uniform(-0.16, 0.16),
        cy=draw.uniform(0.385, 0.45),
    )


def pixel_camera(camera: Camera, height: int) -> Camera:
    """The same camera for an image of ``height`` rows."""
    h = float(height)
    return Camera(camera.focal * h, camera.eye, camera.cx * h, math.floor(camera.cy * h) + 0.5)
