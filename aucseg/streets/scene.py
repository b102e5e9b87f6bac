"""From (seed, index, size) to a picture and its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aucseg.streets.camera import pixel_camera
from aucseg.streets.canvas import Canvas, TrainId, cover, planes, sample
from aucseg.streets.draw import Draw, draw_presence
from aucseg.streets.furniture import paint_clutter, paint_pole
from aucseg.streets.ground import paint_ground
from aucseg.streets.light import Light, develop, paint_sky, paint_skyline
from aucseg.streets.look import LOOKS, STANDARD, Look
from aucseg.streets.people import paint_cycle, paint_person
from aucseg.streets.placing import Composer
from aucseg.streets.roadside import paint_barrier, paint_facades, paint_tree
from aucseg.streets.stage import Stage, Thing
from aucseg.streets.street import draw_street
from aucseg.streets.vehicles import paint_vehicle

_PAINTERS: dict[str, Callable[[Stage, Thing], None]] = {
    "car": paint_vehicle, "van": paint_vehicle, "truck": paint_vehicle, "bus": paint_vehicle,
    "train": paint_vehicle, "person": paint_person, "bicycle": paint_cycle, "motorcycle": paint_cycle,
    "pole": paint_pole, "tree": paint_tree, "clutter": paint_clutter,
}  # fmt: skip

# outlines are taken from these large classes only: thin objects keep all their pixels
_LENDERS = (
    TrainId.ROAD,
    TrainId.SIDEWALK,
    TrainId.BUILDING,
    TrainId.VEGETATION,
    TrainId.SKY,
    TrainId.TERRAIN,
)


def render_street(
    seed: int,
    index: int,
    size: tuple[int, int],
    image_share: Sequence[float],
    look: Look = LOOKS[STANDARD],
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one street.

    Args:
        seed: seed of the data set.
        index: index of the image.
        size: (H, W) in pixels.
        image_share: wanted fraction of images with each class (19,).
        look: palette, light, texture, weather and camera.

    Returns:
        Picture (H, W, 3) uint8 and labels (H, W) uint8 with void 255.
    """
    canvas = Canvas(*size)
    draw, light = _paint(canvas, seed, index, image_share, look)
    assert canvas.rgb is not None
    return develop(canvas.rgb, light, draw), canvas.mask


def render_labels(
    seed: int,
    index: int,
    size: tuple[int, int],
    image_share: Sequence[float],
    look: Look = LOOKS[STANDARD],
) -> np.ndarray:
    """The labels of :func:`render_street` alone, the same to the last bit, in less than half of the time.

    Args:
        seed: seed of the data set.
        index: index of the image.
        size: (H, W) in pixels.
        image_share: wanted fraction of images with each class (19,).
        look: as for that function; its camera decides where things are.

    Returns:
        Labels (H, W) uint8 with void 255.
    """
    canvas = Canvas(*size, colours=False)
    _paint(canvas, seed, index, image_share, look)
    return canvas.mask


def _paint(
    canvas: Canvas, seed: int, index: int, image_share: Sequence[float], look: Look
) -> tuple[Draw, Light]:
    """Lay out one street and paint it from far to near; what developing the picture needs."""
    wide = canvas.width / canvas.height
    draw = Draw(seed, index)
    present = draw_presence(seed, index, image_share)
    light = look.light(draw)
    unit = look.camera(draw, wide)
    street = draw_street(draw, present, unit.focal, 0.5 * canvas.width / canvas.height)
    things = Composer(draw, street, unit, wide).compose()
    camera = pixel_camera(unit, canvas.height)
    stage = Stage(canvas, camera, light)
    paint_sky(canvas, camera, light, street)
    paint_skyline(canvas, camera, light, street)
    paint_ground(canvas, camera, light, street)
    paint_facades(canvas, camera, light, street)
    for barrier in street.barriers:
        paint_barrier(stage, barrier)
    for thing in things:
        _PAINTERS[thing.kind](stage, thing)
    if canvas.rgb is not None:
        look.dye(canvas.rgb, canvas.mask)
    paint_bonnet(canvas, light, draw)
    outline_void(canvas.mask, draw)
    return draw, light


def paint_bonnet(canvas: Canvas, light: Light, draw: Draw) -> None:
    """The bonnet along the bottom, curved, with a reflection of the sky; most images show it."""
    shown = draw.chance(0.75)
    rise, bow, shift, tone = draw.uniform(0.045, 0.11), draw.uniform(0.02, 0.07), draw.unit(), draw.unit()
    if not shown:
        return
    patch = canvas.patch(0, canvas.height * (1.0 - rise) - 2, canvas.width, canvas.height)
    if patch is None:
        return
    h = float(canvas.height)
    x = (patch.x - 0.5 * canvas.width) / (0.5 * canvas.width) - 0.16 * (shift - 0.5)
    edge = h * (1.0 - rise + bow * x * x)
    alpha = cover(patch.y - edge)
    patch.label(alpha, TrainId.VOID)
    if patch.rgb is None:
        return
    depth = np.maximum(patch.y - edge, 0.0) / (0.08 * h)
    sheen = np.maximum(1.0 - np.abs(depth - 0.35) * 2.2, 0.0)
    base = planes((0.09 + 0.22 * tone, 0.10 + 0.21 * tone, 0.12 + 0.20 * tone))
    smear = sample("cloud", patch.y * (90.0 / h), patch.x * (160.0 / h))
    colour = base + planes(light.skyline) * (0.10 + 0.28 * sheen * smear)
    patch.fill(alpha, colour)
    seam = cover(1.0 - np.abs(patch.y - edge - 0.012 * h) / (0.008 * h))
    patch.fill(0.55 * seam, planes((0.05, 0.05, 0.06)))


def outline_void(mask: np.ndarray, draw: Draw) -> None:
    """Make part of the outlines void, one pixel wide, on the side of the larger class.

    An annotator's outlines do not meet: where a small object ends and a large surface begins, a pixel of the
    surface is left without a label. Which stretches are open follows a soft noise, about 1 to 3% of pixels.
    """
    height, width = mask.shape
    lender = np.zeros(256, bool)
    lender[list(_LENDERS)] = True
    edge = np.zeros(mask.shape, bool)
    down = mask[1:] != mask[:-1]
    across = mask[:, 1:] != mask[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge &= lender[mask]
    y = (np.arange(height).reshape(-1, 1)) * (300.0 / height) + 256.0 * draw.unit()
    x = (np.arange(width).reshape(1, -1)) * (300.0 / height) + 256.0 * draw.unit()
    # a pixel is a larger part of a small picture: open fewer stretches there
    edge &= sample("cloud", y, x) > min(0.80, max(0.50, 0.83 - 0.08 * (height / 128.0)))
    mask[edge] = TrainId.VOID
