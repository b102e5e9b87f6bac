"""How probable it is that a random crop holds a class: Proposition 1 for crops instead of whole images.

A network is trained on crops, and a crop shows less than its image: its p_i are smaller. Two ways to them:
measure (:func:`crop_probabilities`, exact for given label maps; or the presence matrix of drawn crops, for
:func:`aucseg.theory.exact_batch_size`), or model from the size of the objects
(:func:`crop_hit_probability`, :func:`crop_presence`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats, check_probabilities, check_whole

Size = tuple[int, int]


def crop_hit_probability(
    image_size: Size, crop_size: Size, object_size: Size = (1, 1), *, wrap: bool = False
) -> float:
    r"""Probability that a random crop meets a rectangular object that lies anywhere in the image.

    Crop and object take every place inside the image with equal probability. With ``wrap`` the image is a
    torus, and along an axis the probability is :math:`\min(1, (c + o - 1) / s)` for crop c, object o and
    image s; for a single pixel it is then the crop's share of the area.

    Args:
        image_size: height and width, pixels.
        crop_size: height and width, pixels, at most the image's.
        object_size: height and width of the object's bounding box, pixels, at most the image's.
        wrap: whether crops and objects may go over the edge and come back on the other side.

    Returns:
        The probability.

    Raises:
        OptionError: if a size is below 1 or larger than the image.

    Example:
        >>> crop_hit_probability((4, 4), (2, 2), wrap=True)
        0.25
    """
    result = 1.0
    for side, crop, thing in zip(image_size, crop_size, object_size, strict=True):
        for name, length in (("image", side), ("crop", crop), ("object", thing)):
            check_whole(f"{name}_size", length, 1, "it is a length in pixels")
        if crop > side or thing > side:
            raise OptionError(f"a crop of {crop} or an object of {thing} does not fit into {side} pixels")
        if wrap:
            result *= min(1.0, (crop + thing - 1) / side)
            continue
        starts = np.arange(side - thing + 1)  # of the object; the crop's must lie between first and last
        first, last = np.maximum(starts - crop + 1, 0), np.minimum(starts + thing - 1, side - crop)
        result *= float((last - first + 1).mean() / (side - crop + 1))
    return result


def crop_presence(probabilities: ArrayLike, hit: ArrayLike, *, objects: ArrayLike = 1) -> Floats:
    r"""Probability that a crop holds a class, if an image that holds it holds some objects of it.

    .. math:: p_\text{crop} = p \, (1 - (1 - h)^m)

    for m objects that lie independently of each other, each met with probability h. With one object of one
    pixel on a torus, h is the crop's share of the area: no shape of a class has a smaller one.

    Args:
        probabilities: p that a whole image holds the class, in (0, 1].
        hit: h of one object, in (0, 1]; see :func:`crop_hit_probability`.
        objects: m of an image that holds the class, at least 1.

    Returns:
        The probability, of the shape that the arguments broadcast to.

    Raises:
        OptionError: for a value outside its range.
    """
    many = check_whole("objects", objects, 1, "an image that holds the class holds an object of it")
    return np.asarray(check_probabilities(probabilities) * -np.expm1(many * _log_miss(hit)))


def crop_probabilities(masks: Iterable[Any], num_classes: int, crop_size: Size) -> Floats:
    """Probability that a random crop of a random image holds each class: exact, from label maps.

    Every place of the crop inside each image is looked at, by sums over rectangles.

    Args:
        masks: label maps (H, W) of integers; labels of K and more are void.
        num_classes: number of classes K.
        crop_size: height and width, pixels, at most those of the smallest mask.

    Returns:
        The probability of each class, (K,); 0 for a class in no mask.

    Raises:
        ValueError: if one is no label map.
        OptionError: if there is no mask, or one is smaller than the crop.
    """
    check_whole("num_classes", num_classes, 2, "a single class needs no batch that holds them all")
    total, count = np.zeros(num_classes), 0
    for count, item in enumerate(masks, start=1):
        mask = np.asarray(item)
        if mask.ndim != 2 or mask.dtype.kind not in "iu":
            raise ValueError(
                f"mask {count - 1} is no label map (H, W) of integers: {mask.dtype}, {mask.shape}"
            )
        if mask.shape[0] < crop_size[0] or mask.shape[1] < crop_size[1]:
            raise OptionError(f"mask {count - 1} of {mask.shape} is smaller than the crop {crop_size}")
        for label in np.unique(mask):
            if 0 <= label < num_classes:
                total[label] += float((_window_sums(mask == label, crop_size) > 0).mean())
    if not count:
        raise OptionError("no mask to crop from")
    return total / count


def _log_miss(hit: ArrayLike) -> Floats:
    with np.errstate(divide="ignore"):  # log1p(-1) is -inf: never missed
        return np.asarray(np.log1p(-check_probabilities(hit)))


def _window_sums(held: np.ndarray, crop_size: Size) -> np.ndarray:
    """Pixels of the class in the crop at each place."""
    sums = np.pad(held.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    height, width = crop_size
    bottom, top = sums[height:], sums[:-height]
    return np.asarray((bottom - top)[:, width:] - (bottom - top)[:, :-width])
