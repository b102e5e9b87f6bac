"""Which classes a scene holds: presence drawn first, with the co-occurrence that streets have."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aucseg.streets import labels as L
from aucseg.streets.draw import Draw

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79)
_RIDER_ON = ((True, False), (False, True), (True, True))  # (bicycle, motorcycle) under the riders
_RIDER_ON_UP_TO = (0.72, 0.86, 1.0)


def _even(seed: int, index: int) -> list[float]:
    """Numbers in [0, 1) that fill it evenly as the index grows: ``frac(offset + index sqrt(prime))``.

    Independent draws would let the rarest class be seen 30 or 65 times in a thousand images; an additive
    recurrence keeps each class within a few images of its share in any run of consecutive indices.
    """
    offsets = Draw(seed, 0, stream=1).units(len(_PRIMES))
    out = []
    for offset, prime in zip(offsets, _PRIMES, strict=True):
        turn = math.sqrt(prime) * float(index) + offset
        out.append(turn - math.floor(turn))
    return out


def draw_presence(seed: int, index: int, image_share: Sequence[float]) -> frozenset[int]:
    """The classes of one scene.

    Classes are unrelated to each other, but for three rules: a rider needs a bicycle or a motorcycle under
    him, a scene without a road has a sidewalk (a square for pedestrians), and one without buildings has
    vegetation. The chances of unridden bicycles and motorcycles are solved so that the totals still meet
    ``image_share``.

    Args:
        seed: seed of the data set.
        index: index of the image.
        image_share: wanted fraction of images that hold each class (19,).

    Returns:
        Train ids of the classes to paint.
    """
    even = _even(seed, index)
    present = {k for k in range(L.CLASSES) if even[k] < image_share[k]}
    mount = _RIDER_ON[sum(even[L.CLASSES] >= edge for edge in _RIDER_ON_UP_TO[:2])]
    rider = image_share[L.RIDER]
    for ridden, u, vehicle, given in (
        (mount[0], even[L.CLASSES + 1], L.BICYCLE, 0.86),
        (mount[1], even[L.CLASSES + 2], L.MOTORCYCLE, 0.28),
    ):
        alone = (image_share[vehicle] - rider * given) / (1.0 - rider)
        has = ridden if L.RIDER in present else u < alone
        (present.add if has else present.discard)(vehicle)
    if L.ROAD not in present:
        present.add(L.SIDEWALK)
    if L.BUILDING not in present:
        present.add(L.VEGETATION)
    return frozenset(present)
