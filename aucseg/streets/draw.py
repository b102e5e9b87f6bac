"""Random draws of a scene, the same on every platform; what is drawn first, the classes that it holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aucseg.streets.canvas import TrainId

T = TypeVar("T")

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79)
_RIDER_ON = ((True, False), (False, True), (True, True))  # (bicycle, motorcycle) under the riders
_RIDER_ON_UP_TO = (0.72, 0.86, 1.0)


class Draw:
    """Uniform draws for one image, from PCG64 seeded with ``(seed, index)``.

    Everything is made from uniform doubles by comparisons and basic arithmetic, so that no draw depends on
    the mathematical library of the platform (a normal or an exponential draw would).

    Args:
        seed: seed of the data set, not negative.
        index: index of the image, not negative.
        stream: 0 for the draws of an image; other numbers give unrelated draws.
    """

    def __init__(self, seed: int, index: int, stream: int = 0) -> None:
        key = [seed, index] if stream == 0 else [seed, index, stream]
        self._bits = np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))

    def unit(self) -> float:
        """One uniform draw in [0, 1)."""
        return float(self._bits.random())

    def units(self, count: int) -> list[float]:
        """``count`` uniform draws in [0, 1): the private randomness of one object."""
        return [float(u) for u in self._bits.random(count)]

    def uniform(self, low: float, high: float) -> float:
        """One uniform draw in [low, high)."""
        return low + (high - low) * self.unit()

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.unit() < probability

    def integer(self, low: int, high: int) -> int:
        """One integer from low to high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self.unit() * len(options))]

    def weighted(self, options: Sequence[T], weights: Sequence[float]) -> T:
        """One of the options, with probabilities proportional to the weights."""
        rest = self.unit() * sum(weights)
        for option, weight in zip(options, weights, strict=True):
            rest -= weight
            if rest < 0:
                return option
        return options[-1]

    def field(self, *shape: int) -> NDArray[np.float64]:
        """An array of uniform draws in [0, 1)."""
        return self._bits.random(shape)


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
    present = {k for k in range(TrainId.CLASSES) if even[k] < image_share[k]}
    mount = _RIDER_ON[sum(even[TrainId.CLASSES] >= edge for edge in _RIDER_ON_UP_TO[:2])]
    rider = image_share[TrainId.RIDER]
    for ridden, u, vehicle, given in (
        (mount[0], even[TrainId.CLASSES + 1], TrainId.BICYCLE, 0.86),
        (mount[1], even[TrainId.CLASSES + 2], TrainId.MOTORCYCLE, 0.28),
    ):
        alone = (image_share[vehicle] - rider * given) / (1.0 - rider)
        has = ridden if TrainId.RIDER in present else u < alone
        (present.add if has else present.discard)(vehicle)
    if TrainId.ROAD not in present:
        present.add(TrainId.SIDEWALK)
    if TrainId.BUILDING not in present:
        present.add(TrainId.VEGETATION)
    return frozenset(present)
