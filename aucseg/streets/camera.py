"""A pinhole camera behind a windscreen, and the flat faces it sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aucseg.streets.canvas import Array, Canvas, Patch, cover


@dataclass(frozen=True)
class Camera:
    """Projection of street metres (X right, Y up, z ahead) to pixels.

    ``x = cx + focal X / z`` and ``y = cy + focal (eye - Y) / z``: the horizon is the row ``cy`` and all
    lines along the street meet at ``(cx, cy)``.

    Args:
        focal: focal length, pixels.
        eye: height of the camera above the road, metres.
        cx: column of the vanishing point, pixels.
        cy: row of the horizon, pixels.
    """

    focal: float
    eye: float
    cx: float
    cy: float

    def x(self, lateral: float, z: float) -> float:
        """Column of a point, pixels."""
        return self.cx + self.focal * lateral / z

    def y(self, up: float, z: float) -> float:
        """Row of a point, pixels."""
        return self.cy + self.focal * (self.eye - up) / z

    def scale(self, z: float) -> float:
        """Pixels per metre at a depth."""
        return self.focal / z


def pixel_camera(camera: Camera, height: int) -> Camera:
    """The same camera for an image of ``height`` rows."""
    h = float(height)
    return Camera(camera.focal * h, camera.eye, camera.cx * h, math.floor(camera.cy * h) + 0.5)


class Face:
    """A flat upright rectangle in the scene, with its own metres: u along it, v above the ground.

    Attributes:
        patch: the pixels it may cover.
        u: (1, w) metres along the face.
        v: (h, 1) or (h, w) metres above the ground.
        fu: size of a pixel along u, metres.
        fv: size of a pixel along v, metres.
    """

    __slots__ = ("fu", "fv", "patch", "u", "v")

    def __init__(self, patch: Patch, u: Array, v: Array, fu: Array, fv: Array) -> None:
        self.patch, self.u, self.v, self.fu, self.fv = patch, u, v, fu, fv

    def rect(self, u0: float, u1: float, v0: float, v1: float) -> Array:
        """Coverage of a rectangle of the face."""
        across = cover(np.minimum(self.u - u0, u1 - self.u) / self.fu)
        up = cover(np.minimum(self.v - v0, v1 - self.v) / self.fv)
        return across * up

    def under(self, top: Array) -> Array:
        """Coverage of what lies under a height given for each column (1, w)."""
        return cover((top - self.v) / self.fv)

    def band(self, v0: float, v1: float) -> Array:
        """Coverage of a horizontal band."""
        return cover(np.minimum(self.v - v0, v1 - self.v) / self.fv)

    def disc(self, u: float, v: float, radius: float) -> Array:
        """Coverage of a disc."""
        du = self.u - u
        dv = self.v - v
        return cover((radius - np.sqrt(du * du + dv * dv)) / np.maximum(self.fu, self.fv))

    def bars(self, period: float, fraction: float) -> Array:
        """Coverage (1, w) of stripes along u that fill a fraction of each period, blurred when far."""
        t = self.u / period
        t = t - np.floor(t)
        sharp = cover((0.5 * fraction - np.abs(t - 0.5)) * period / self.fu)
        blur = np.minimum(self.fu / period, 1.0)
        return sharp + blur * (fraction - sharp)


def polyline(u: Array, points: tuple[tuple[float, float], ...]) -> Array:
    """A piecewise linear function through points (u ascending), constant beyond both ends."""
    out = np.full_like(u, points[0][1])
    for (a, fa), (b, fb) in pairwise(points):
        out = out + np.minimum(np.maximum((u - a) / (b - a), 0.0), 1.0) * (fb - fa)
    return out


def front_face(
    canvas: Canvas, camera: Camera, left: float, right: float, z: float, top: float
) -> Face | None:
    """The face between two lateral positions at one depth; None if it is not on the canvas."""
    patch = canvas.patch(camera.x(left, z), camera.y(top, z), camera.x(right, z), camera.y(0.0, z))
    if patch is None:
        return None
    size = z / camera.focal
    u = (patch.x - camera.cx) * size - left
    v = camera.eye - (patch.y - camera.cy) * size
    pixel = np.full((1, 1), size)
    return Face(patch, u, v, pixel, pixel)


def side_face(
    canvas: Canvas, camera: Camera, lateral: float, near: float, far: float, top: float
) -> Face | None:
    """The face along the street between two depths, u from the near end; None if it is not visible."""
    if abs(lateral) < 0.15:
        return None
    a, b = camera.x(lateral, near), camera.x(lateral, far)
    if abs(a - b) < 0.75:
        return None
    patch = canvas.patch(min(a, b), camera.y(top, near), max(a, b), camera.y(0.0, near))
    if patch is None:
        return None
    ray = (patch.x - camera.cx) / lateral
    z = camera.focal / np.maximum(ray, camera.focal / (2.0 * far))
    v = camera.eye - (patch.y - camera.cy) * (z / camera.focal)
    return Face(patch, z - near, v, z * z / (abs(lateral) * camera.focal), z / camera.focal)
