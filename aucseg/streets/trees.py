"""Trees with trunk and crown, and bushes."""

from __future__ import annotations

import numpy as np

from aucseg.streets import labels as L
from aucseg.streets.canvas import cover
from aucseg.streets.stage import Item, Stage
from aucseg.streets.texture import sample

LEAVES = (
    (0.22, 0.32, 0.11), (0.29, 0.36, 0.14), (0.17, 0.27, 0.13), (0.37, 0.34, 0.13), (0.25, 0.30, 0.18),
    (0.42, 0.28, 0.12),
)  # fmt: skip

# the leafy balls of a crown: x, y, radius in units of its half width and half height
_BLOBS = ((0.0, 0.1, 0.72), (-0.45, -0.1, 0.52), (0.45, -0.12, 0.52), (-0.22, 0.48, 0.48), (0.26, 0.42, 0.5))


def paint_tree(stage: Stage, item: Item) -> None:
    """A tree (or a bush, when lower than 2.5 m): trunk, then a crown of leafy blobs."""
    camera, light, r = stage.camera, stage.light, item.r
    x, z, height, radius = item.x, item.z, item.size[1], 0.5 * item.size[0]
    scale = camera.scale(z)
    stage.shadow(x, z, radius * 0.9, 1.2, 0.45)
    bush = height < 2.5
    middle = 0.5 * height if bush else height - 0.75 * radius
    if not bush:
        trunk = 0.11 + 0.10 * r[0]
        patch = stage.canvas.patch(
            camera.x(x - 0.6, z), camera.y(middle, z), camera.x(x + 0.6, z), camera.y(0.0, z)
        )
        if patch is not None:
            strokes = np.array([[0.0, 0.0, 0.0, middle], [0.0, 0.55 * middle, 0.5 * (r[1] - 0.5), middle]])
            ends = np.empty_like(strokes)
            ends[:, (0, 2)] = camera.x(x, z) + strokes[:, (0, 2)] * scale
            ends[:, (1, 3)] = camera.y(0.0, z) - strokes[:, (1, 3)] * scale
            radii = np.maximum(np.array([trunk, 0.6 * trunk]) * scale, 0.5)
            bark = (0.24 + 0.12 * r[2], 0.20 + 0.09 * r[2], 0.16 + 0.06 * r[2])
            patch.fill(patch.capsules(ends, radii).max(axis=0), stage.tint(bark, z), L.VEGETATION)
    tall = 0.55 * height if bush else radius * (0.85 + 0.35 * r[3])
    patch = stage.canvas.patch(
        camera.x(x - 1.25 * radius, z), camera.y(middle + 1.3 * tall, z),
        camera.x(x + 1.25 * radius, z), camera.y(max(middle - 1.3 * tall, -0.05), z),
    )  # fmt: skip
    if patch is None:
        return
    px = (patch.x - camera.x(x, z)) / scale
    py = (camera.y(middle, z) - patch.y) / scale
    inside = np.full((patch.y.shape[0], patch.x.shape[1]), -9.0)
    form = np.zeros_like(inside)
    for k, (bx, by, br) in enumerate(_BLOBS):
        size = br * (0.8 + 0.4 * r[4 + k])
        dx = px / radius - bx
        dy = py / tall - by
        near = 1.0 - (dx * dx + dy * dy) / (size * size)
        better = near > inside
        inside = np.where(better, near, inside)
        # each blob is lit as a ball from above and from the sun's side
        form = np.where(better, 0.5 * dy / size + (0.38 * light.sun * light.hard) * dx / size, form)
    clump = sample("leaf", py * 14.0 / radius + 256.0 * r[9], px * 14.0 / radius + 256.0 * r[10])
    fine = sample("leaf", py * 11.0, px * 11.0)
    edge = inside + 0.9 * (clump - 0.55) + 0.35 * (fine - 0.5)
    alpha = cover(edge * (0.42 * radius * scale))
    leaf = LEAVES[int(r[11] * len(LEAVES))]
    shade = np.maximum(0.78 + 0.75 * form + 0.75 * (clump - 0.5) + 0.45 * (fine - 0.5), 0.22)
    patch.fill(alpha, stage.tint(leaf, z, 1.12) * shade, L.VEGETATION)
