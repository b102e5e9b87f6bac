"""The cross-section of a street and what lines it: kerbs, pavements, buildings, trees, walls, fences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from aucseg.streets.canvas import TrainId
from aucseg.streets.draw import Draw


@dataclass(frozen=True)
class Segment:
    """A stretch of the backdrop, from ``start`` (metres along the street) to the next one's start.

    Args:
        start: where it begins, metres.
        kind: ``"building"``, ``"trees"`` or ``"open"``.
        height: metres.
        r: private randomness of its look, uniform in [0, 1).
    """

    start: float
    kind: str
    height: float
    r: list[float]


@dataclass(frozen=True)
class Barrier:
    """A wall, fence or hedge along the street (``label`` tells which)."""

    lateral: float
    near: float
    far: float
    height: float
    label: int
    r: list[float]


@dataclass(frozen=True)
class Side:
    """One side of the street: widths in metres from the kerb outwards.

    Args:
        kerb: distance of the kerb from the camera's line.
        verge: grass between kerb and pavement.
        walk: pavement.
        lawn: grass between pavement and backdrop.
        segments: the backdrop, from near to far.
    """

    kerb: float
    verge: float
    walk: float
    lawn: float
    segments: list[Segment]

    @property
    def back(self) -> float:
        """Distance of the backdrop from the camera's line."""
        return self.kerb + self.verge + self.walk + self.lawn


@dataclass(frozen=True)
class Street:
    """Everything that does not stand on its own feet.

    Args:
        left: the left side.
        right: the right side.
        end: depth at which the street is closed, metres.
        closing: the backdrop at the end, ``start`` measured across.
        crossing: depths between which another street crosses, or None.
        square: True if there is no road but a square.
        roofed: True if no sky may be seen.
        tracks: lateral position of a tram line, or None.
        barriers: walls, fences and hedges.
        present: train ids of the classes to paint.
        r: private randomness of the ground.
    """

    left: Side
    right: Side
    end: float
    closing: list[Segment]
    crossing: tuple[float, float] | None
    square: bool
    roofed: bool
    tracks: float | None
    present: frozenset[int]
    r: list[float]
    barriers: list[Barrier] = field(default_factory=list)


def _segments(
    draw: Draw,
    start: float,
    stop: float,
    present: frozenset[int],
    green: float,
    gap: tuple[float, float] | None,
) -> list[Segment]:
    """Backdrop segments from start to stop; ``green`` is the chance of trees in place of a building."""
    out = []
    at = start
    storeys = draw.integer(5, 9)
    while at < stop:
        kind = "trees" if draw.chance(green) else "building"
        if TrainId.BUILDING not in present:
            kind = "trees"
        if TrainId.VEGETATION not in present:
            kind = "building" if TrainId.BUILDING in present else "open"
        if gap is not None and gap[0] <= at < gap[1]:
            kind = "open"
        levels = max(2, storeys + draw.integer(-1, 1))
        height = 4.2 + 3.2 * (levels - 1) if kind == "building" else draw.uniform(9.0, 18.0)
        out.append(Segment(at, kind, height, draw.units(16)))
        step = draw.uniform(9.0, 26.0)
        if gap is not None:
            for edge in gap:
                if at < edge < at + step:
                    step = edge - at
        at += step
    return out


def _barrier(draw: Draw, side: Side, sign: float, label: int, focal: float, half: float) -> Barrier:
    """A barrier at the foot of the backdrop that covers a drawn share of the picture."""
    low, high = {TrainId.WALL: (1.2, 2.9), TrainId.FENCE: (1.0, 2.2), TrainId.VEGETATION: (0.8, 1.8)}[label]
    height = draw.uniform(low, high)
    lateral = min(side.kerb + side.verge + side.walk + min(0.4, side.lawn), 10.5)
    area = 0.025 + 0.20 * draw.unit() * draw.unit()
    seen = focal * lateral / half  # nearer than this it lies beyond the edge of the image
    far = max(draw.uniform(26.0, 70.0), 1.7 * seen + 5.0)
    near = 1.0 / math.sqrt(2.0 * area / (focal * focal * height * lateral) + 1.0 / (far * far))
    near = max(min(near, 0.6 * far), 5.0)
    return Barrier(sign * lateral, near, far, height, label, draw.units(12))


def draw_street(draw: Draw, present: frozenset[int], focal: float, half: float) -> Street:
    """Lay out a street that offers a place to every class in ``present``.

    Args:
        draw: draws of the image.
        present: train ids of the classes to paint.
        focal: focal length in units of the image's height.
        half: half the image's width in the same unit.
    """
    square = TrainId.ROAD not in present
    crossing = None
    if draw.chance(0.42):
        near = draw.uniform(18.0, 45.0)
        crossing = (near, near + draw.uniform(7.0, 11.0))
    green = draw.pick((0.06, 0.2, 0.3, 0.6))
    end = draw.uniform(42.0, 135.0)
    paved = TrainId.SIDEWALK in present
    one_side = draw.integer(0, 13)
    grass_side = draw.integer(0, 3)  # 0 left, 1 right, 2 both, 3 on the far side of the pavement
    sides = []
    for s in (0, 1):
        kerb = draw.uniform(3.4, 6.2) if s == 0 else draw.uniform(2.2, 4.5)
        walk = draw.uniform(3.6, 7.5)
        if not paved or one_side == s:
            walk = 0.0
        verge = lawn = 0.0
        width = draw.uniform(3.0, 8.0)
        inner = draw.chance(0.55)
        if TrainId.TERRAIN in present and (grass_side >= 2 or grass_side == s):
            by_kerb = (inner and grass_side != 3) or kerb + walk > 9.0  # far out it would not be seen
            verge, lawn = (width * 0.42, 0.0) if by_kerb else (0.0, width)
        segments = _segments(draw, 0.0, end, present, green, crossing)
        sides.append(Side(kerb, verge, walk, lawn, segments))
    closing = _segments(draw, -0.75 * end, 0.75 * end, present, 0.55, None)
    if TrainId.SKY in present:  # leave a notch of sky over the end of the street
        ceiling = 1.3 + end * draw.uniform(0.23, 0.37) / focal
        closing = [replace(s, height=min(s.height, ceiling)) for s in closing]
    tracks = None
    if TrainId.TRAIN in present:
        tracks = draw.uniform(-4.4, -2.6) if draw.chance(0.7) else draw.uniform(1.2, 2.2)
    street = Street(
        sides[0], sides[1], end, closing, crossing, square, TrainId.SKY not in present, tracks, present,
        draw.units(16),
    )  # fmt: skip
    s = draw.integer(0, 1)
    for label in (TrainId.WALL, TrainId.FENCE, TrainId.VEGETATION):
        if label in present and (label != TrainId.VEGETATION or draw.chance(0.3)):
            street.barriers.append(_barrier(draw, sides[s], 2.0 * s - 1.0, label, focal, half))
            s = 1 - s  # the next one on the other side: they do not hide each other
    return street
