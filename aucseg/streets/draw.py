"""Random draws of a scene, the same on every platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


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
