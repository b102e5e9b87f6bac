"""Checks of plain numbers: an error names the value, and says why no answer exists for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aucseg.errors import OptionError

Floats = NDArray[np.float64]


def check_delta(delta: ArrayLike) -> Floats:
    """Failure probabilities, strictly between 0 and 1.

    Args:
        delta: one or many.

    Raises:
        ValueError: if one is outside (0, 1).
    """
    values = _numbers("delta", delta)
    _refuse(
        "delta",
        values,
        (values <= 0) | (values >= 1),
        "it is a probability of failure, strictly between 0 and 1: no sample reaches 0, and 1 asks nothing",
    )
    return values


def check_probabilities(probabilities: ArrayLike) -> Floats:
    """Probabilities that an image holds a class, in (0, 1].

    Args:
        probabilities: one or many.

    Raises:
        ValueError: if one is outside (0, 1].
    """
    values = _numbers("probabilities", probabilities)
    _refuse(
        "probability",
        values,
        values == 0,
        "a class that never occurs makes the batch size infinite; leave the class out",
    )
    _refuse("probability", values, (values < 0) | (values > 1), "it must be in (0, 1]")
    return values


def check_whole(name: str, value: ArrayLike, least: int, why: str) -> Floats:
    """Whole numbers of at least some value, as float64.

    Args:
        name: what the error message calls them.
        value: one or many.
        least: the smallest that makes sense.
        why: the reason for it.

    Raises:
        ValueError: if one is no whole number or smaller.
    """
    values = _numbers(name, value)
    _refuse(name, values, values != np.floor(values), "it must be a whole number")
    _refuse(name, values, values < least, f"it must be at least {least}: {why}")
    return values


def check_positive(name: str, value: ArrayLike) -> Floats:
    """Finite numbers above zero.

    Args:
        name: what the error message calls them.
        value: one or many.

    Raises:
        ValueError: if one is zero, negative or not finite.
    """
    values = _numbers(name, value)
    _refuse(name, values, values <= 0, "it must be above 0")
    return values


def check_presence(presence: ArrayLike) -> NDArray[np.bool_]:
    """A presence matrix in which every class occurs.

    Args:
        presence: which image holds which class, (N, K) of bool or of 0 and 1.

    Raises:
        ValueError: for another shape, other values, fewer than two images or classes, or a class in no image.
    """
    matrix = np.asarray(presence)
    if matrix.ndim != 2:
        raise ValueError(f"presence must have shape (images, classes), got {matrix.shape}")
    if matrix.dtype != np.bool_ and not np.isin(matrix, (0, 1)).all():
        raise ValueError("presence holds yes or no: bool, or 0 and 1; for pixel counts give counts > 0")
    if len(matrix) < 2 or matrix.shape[1] < 2:
        raise OptionError(f"presence needs at least 2 images and 2 classes, got shape {matrix.shape}")
    empty = np.flatnonzero(~matrix.astype(bool).any(0))
    if len(empty):
        raise OptionError(
            f"classes {empty.tolist()} are in no image: a class that never occurs makes the batch size "
            "infinite; leave them out"
        )
    return matrix.astype(bool)


def _numbers(name: str, value: ArrayLike) -> Floats:
    values = np.asarray(value, dtype=np.float64)
    _refuse(name, values, ~np.isfinite(values), "it must be a finite number")
    return values


def _refuse(name: str, values: Floats, bad: NDArray[np.bool_], why: str) -> None:
    """Raise with the first bad value and where it stands."""
    if np.any(bad):
        at = np.argwhere(bad)[0].tolist()
        place = f" at {at}" if values.ndim else ""
        raise OptionError(f"{name} is {float(values[tuple(at)]):g}{place}; {why}")
