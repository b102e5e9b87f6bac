"""From (seed, index, size) to a picture and its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aucseg.streets import labels as L
from aucseg.streets.barriers import paint_barrier
from aucseg.streets.canvas import Canvas
from aucseg.streets.compose import Composer
from aucseg.streets.cycles import paint_cycle
from aucseg.streets.draw import Draw
from aucseg.streets.facades import paint_facades
from aucseg.streets.furniture import paint_clutter, paint_pole
from aucseg.streets.ground import paint_ground
from aucseg.streets.light import develop, draw_light
from aucseg.streets.people import paint_person
from aucseg.streets.presence import draw_presence
from aucseg.streets.sky import paint_sky, paint_skyline
from aucseg.streets.stage import Item, Stage
from aucseg.streets.street import draw_street
from aucseg.streets.trees import paint_tree
from aucseg.streets.vehicles import paint_vehicle
from aucseg.streets.view import pixel_camera, unit_camera
from aucseg.streets.void import outline_void, paint_bonnet

_PAINTERS: dict[str, Callable[[Stage, Item], None]] = {
    "car": paint_vehicle, "van": paint_vehicle, "truck": paint_vehicle, "bus": paint_vehicle,
    "train": paint_vehicle, "person": paint_person, "bicycle": paint_cycle, "motorcycle": paint_cycle,
    "pole": paint_pole, "tree": paint_tree, "clutter": paint_clutter,
}  # fmt: skip


def render_street(
    seed: int, index: int, size: tuple[int, int], image_share: Sequence[float], *, picture: bool = True
) -> tuple[np.ndarray | None, np.ndarray, frozenset[int]]:
    """Draw one street.

    Args:
        seed: seed of the data set.
        index: index of the image.
        size: (H, W) in pixels.
        image_share: wanted fraction of images with each class (19,).
        picture: False for the labels alone.

    Returns:
        Picture (H, W, 3) uint8 or None, labels (H, W) uint8 with void 255, and the classes that
        were meant to be there.
    """
    height, width = size
    draw = Draw(seed, index)
    present = draw_presence(seed, index, image_share)
    light = draw_light(draw)
    unit = unit_camera(draw, width / height)
    street = draw_street(draw, present, unit.focal, 0.5 * width / height)
    items = Composer(draw, street, unit, width / height).compose()
    canvas = Canvas(height, width, L.VOID)
    camera = pixel_camera(unit, height)
    stage = Stage(canvas, camera, light)
    paint_sky(canvas, camera, light, street)
    paint_skyline(canvas, camera, light, street)
    paint_ground(canvas, camera, light, street)
    paint_facades(canvas, camera, light, street)
    for barrier in street.barriers:
        paint_barrier(stage, barrier)
    for item in items:
        _PAINTERS[item.kind](stage, item)
    paint_bonnet(canvas, light, draw)
    outline_void(canvas.mask, draw)
    return (develop(canvas.rgb, light, draw) if picture else None), canvas.mask, present
