r"""The degree of pixel-level imbalance tau of AUCSeg Theorem 1.

.. math:: \tau = \Bigl(\max_c \frac{n^{(c)}_{\max}}{n^{(c)}_{\text{mean}}}\Bigr)^2, \qquad
    n^{(c)}_{\max} = \max_X n(X^{(c)}), \quad n^{(c)}_{\text{mean}} = \frac{1}{N} \sum_{i=1}^N n(X^{(c)}_i)

The paper prints the mean without 1/N. With the sum tau would never exceed 1, and the step
:math:`\rho_{\max} \le \tau / N` of its proof would fail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats, check_whole


@dataclass(frozen=True, eq=False)
class Imbalance:
    """tau of a data set, counted.

    Attributes:
        tau: dimensionless, at least 1.
        ratios: largest to mean number of pixels of each class in an image, (K,).
        worst: the class whose ratio makes tau.
        num_images: images N.
    """

    tau: float
    ratios: Floats
    worst: int
    num_images: int


@dataclass(frozen=True, eq=False)
class ImbalanceRange:
    """What tau can be if only sums over the data set are known.

    Attributes:
        low: least tau, reached if the images that hold a class hold equally many pixels of it.
        high: largest tau, reached if one of them holds all that the others need not.
        low_ratios: least ratio of each class, (K,).
        high_ratios: largest ratio of each class, (K,).
        worst: the class whose ratio makes ``low``.
        num_images: images N.
    """

    low: float
    high: float
    low_ratios: Floats
    high_ratios: Floats
    worst: int
    num_images: int


def imbalance(counts: ArrayLike) -> Imbalance:
    """Degree of imbalance tau from the pixels of each class in each image.

    Args:
        counts: pixels, (N, K), N and K at least 2.

    Returns:
        tau and the ratio of each class.

    Raises:
        OptionError: for another shape, values that are no counts, or a class without a pixel.

    Example:
        >>> imbalance([[4, 1], [4, 3]]).tau
        2.25
    """
    table = check_whole("counts", counts, 0, "it counts pixels")
    if table.ndim != 2 or len(table) < 2 or table.shape[1] < 2:
        raise OptionError(f"counts must be (images, classes), at least 2 of each; got shape {table.shape}")
    mean = table.mean(0)
    _refuse_empty(mean)
    ratios = table.max(0) / mean
    worst = int(ratios.argmax())
    return Imbalance(float(ratios[worst] ** 2), ratios, worst, len(table))


def imbalance_range(
    pixels: ArrayLike, images: ArrayLike, num_images: int, *, image_pixels: int | None = None
) -> ImbalanceRange:
    r"""The range of tau from the pixels and the images of each class.

    The mean is known, the largest image is not: it has at least the mean over the images that hold the class,
    rounded up, and at most all pixels but one for each other image that holds it. So
    :math:`\tau \ge \max_c (N / N_c)^2` roughly: the rarest class by images makes tau, not by pixels.

    Args:
        pixels: pixels of each class, (K,), at least 1.
        images: images N_c that hold each class, (K,), at least 1.
        num_images: images N of the set, at least 2.
        image_pixels: pixels of the largest image; None if unknown, which leaves ``high`` far off.

    Returns:
        The range.

    Raises:
        OptionError: for another shape, values that contradict each other, or a class without a pixel or an
            image.
    """
    total = int(check_whole("num_images", num_images, 2, "one image has nothing to generalise from"))
    area = np.atleast_1d(check_whole("pixels", pixels, 0, "it counts pixels"))
    held = np.atleast_1d(check_whole("images", images, 0, "it counts images"))
    if area.shape != held.shape or area.ndim != 1 or len(area) < 2:
        raise OptionError(f"pixels and images must be (classes,), at least 2; got {area.shape}, {held.shape}")
    _refuse_empty(area)
    _refuse_empty(held)
    if (held > np.minimum(area, total)).any():
        raise OptionError(f"a class is in more images than it has pixels, or than the {total} there are")
    most = area - (held - 1)
    if image_pixels is not None:
        limit = check_whole("image_pixels", image_pixels, 1, "an image has pixels")
        if (np.ceil(area / held) > limit).any():
            bad = int(np.argmax(np.ceil(area / held) > limit))
            raise OptionError(
                f"class {bad} has {area[bad] / held[bad]:.0f} pixels in a mean image that holds it, more "
                f"than image_pixels={limit:g}"
            )
        most = np.minimum(most, limit)
    mean = area / total
    low, high = np.ceil(area / held) / mean, most / mean
    worst = int(low.argmax())
    return ImbalanceRange(float(low[worst] ** 2), float(high.max() ** 2), low, high, worst, total)


def _refuse_empty(amount: Floats) -> None:
    empty = np.flatnonzero(amount == 0)
    if len(empty):
        raise OptionError(
            f"classes {empty.tolist()} never occur: their mean is 0 and tau infinite; leave them out"
        )
