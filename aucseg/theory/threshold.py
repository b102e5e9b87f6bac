"""From how many images on the bound of Theorem 1 says something, if ever."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aucseg.theory.checks import Floats, check_positive
from aucseg.theory.generalization import generalization_bound

_LAST_EXHAUSTIVE = 2**16
_LAST_ODD = 2**53
_MOST = sys.float_info.max / 4  # whose small multiples are still finite


@dataclass(frozen=True)
class BoundThreshold:
    """From how many images on a bound says something.

    Attributes:
        num_images: images; the smallest N whose bound is below the target, an int of any size; None if there
            is none.
        target: what the bound is compared with.
        limit: what the bound tends to as N grows.
        value: the bound at ``num_images``; None without one.
    """

    num_images: int | None
    target: float
    limit: float
    value: float | None


def first_useful_size(
    tau: float,
    num_classes: int,
    delta: float,
    *,
    target: float = 1.0,
    pixels: int = 512 * 512,
    lipschitz: float = 4.0,
    loss_range: float = 4.0,
    cover_a: float = 1.0,
    cover_b: float = 1.0,
    cover_c: float = 1.0,
    variant: str = "corrected",
) -> BoundThreshold:
    r"""The smallest number of images at which the bound is below a target, if any.

    The AUC risk itself is at most 4 with the square loss, and an AUC at most 1: a bound above says nothing.
    For ``"printed"`` there is no such number below a target of
    :math:`\frac{3K}{\sqrt2} \sqrt{\log(4K(K-1)/\delta)}`, which its confidence term alone exceeds for all N.

    Args:
        tau: see :func:`generalization_bound`, as for all that follow.
        num_classes: K.
        delta: probability that the bound fails.
        target: what the bound shall be below, above 0.
        pixels: k.
        lipschitz: mu.
        loss_range: L.
        cover_a: A.
        cover_b: B.
        cover_c: C.
        variant: ``"printed"`` or ``"corrected"``.

    Returns:
        The number of images, if any, and the limit of the bound. Above 65,536 images the search takes the
        bound to fall with N among even N: the corrected one does for B mu k / L >= 0.001, which is checked.
        Above 2^53 images it is the smallest double, so exact to 16 digits.

    Raises:
        ValueError: for a value outside its range, or a target that takes more images than a double holds.

    Example:
        >>> first_useful_size(439, 19, 0.01, variant="printed").num_images is None
        True
    """
    check_positive("target", target)

    def bound(n: ArrayLike) -> Floats:
        return generalization_bound(
            n,
            tau,
            num_classes,
            delta,
            pixels=pixels,
            lipschitz=lipschitz,
            loss_range=loss_range,
            cover_a=cover_a,
            cover_b=cover_b,
            cover_c=cover_c,
            variant=variant,
        ).total

    limit = 0.0
    if variant == "printed":
        limit = 3 * num_classes * math.sqrt(math.log(4 * num_classes * (num_classes - 1) / delta))
    below = np.flatnonzero(bound(np.arange(2, _LAST_EXHAUSTIVE + 1)) < target)
    if len(below):
        found = int(below[0]) + 2
        return BoundThreshold(found, target, limit, float(bound(found)))
    if limit >= target:
        return BoundThreshold(None, target, limit, None)
    scale = cover_b * lipschitz * pixels / loss_range
    if scale < 1e-3:
        raise ValueError(
            f"cover_b * lipschitz * pixels / loss_range = {scale:g} is below 0.001: the bound need not fall "
            "with the number of images, and the search cannot tell"
        )
    # whole numbers of Python, which do not wrap round: the answer is often above 2^63
    low, high = _LAST_EXHAUSTIVE // 2, _LAST_EXHAUSTIVE  # halves of N: even numbers only
    while bound(2.0 * high) >= target:
        low, high = high, 2 * high
        if 2 * high > _MOST:
            raise ValueError(
                f"target is {target:g}; no number of images up to {_MOST:.1e}, about the largest that "
                "floating point holds, gets the bound below it"
            )
    while high - low > 1:
        middle = (low + high) // 2
        if float(middle) in (float(low), float(high)):
            break  # doubles next to each other
        low, high = (low, middle) if bound(2.0 * middle) < target else (middle, high)
    found = int(2.0 * high)  # what the bound was taken of
    if found <= _LAST_ODD and bound(float(found - 1)) < target:
        found -= 1
    return BoundThreshold(found, target, limit, float(bound(float(found))))
