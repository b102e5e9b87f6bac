"""Checks of plain numbers: an error names the value, and says why no answer exists for it.

Values that whoever calls can choose, such as a delta or a count, raise an error for the user. Arrays of a
wrong shape and unknown options are mistakes of a program and raise a plain ``ValueError``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aucseg.errors import OptionError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def check_delta(delta: ArrayLike) -> Floats:
    """Failure probabilities, strictly between 0 and 1.

    Args:
        delta: one or many.

    Raises:
        OptionError: if one is outside (0, 1).
    """
    values = _numbers("delta", delta)
    _refuse(
        "delta",
        values,
        (values <= 0) | (values >= 1),
        "it is a probability of failure, strictly between 0 and 1: no sample reaches 0, and 1 asks nothing",
    )
    return values


def check_confidence(confidence: float) -> float:
    """The confidence of an interval, strictly between 0 and 1.

    Args:
        confidence: usually 0.95.

    Raises:
        OptionError: if it is outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise OptionError(f"confidence must be in (0, 1), got {confidence}")
    return confidence


def check_probabilities(probabilities: ArrayLike) -> Floats:
    """Probabilities that an image holds a class, in (0, 1].

    Args:
        probabilities: one or many.

    Raises:
        OptionError: if one is outside (0, 1].
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


def check_shares(name: str, shares: ArrayLike) -> Floats:
    """Shares in [0, 1], such as IoU and accuracy.

    Args:
        name: what the error message calls them.
        shares: one or many.

    Raises:
        OptionError: if one is outside [0, 1].
    """
    values = np.asarray(shares, np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise OptionError(
            f"{name} must be in [0, 1], not percent; got values from {values.min():g} to {values.max():g}"
        )
    return values


def check_whole(name: str, value: ArrayLike, least: int, why: str) -> Floats:
    """Whole numbers of at least some value, as float64.

    Args:
        name: what the error message calls them.
        value: one or many.
        least: the smallest that makes sense.
        why: the reason for it.

    Raises:
        OptionError: if one is no whole number or smaller.
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
        OptionError: if one is zero, negative or not finite.
    """
    values = _numbers(name, value)
    _refuse(name, values, values <= 0, "it must be above 0")
    return values


def check_presence(presence: ArrayLike) -> NDArray[np.bool_]:
    """A presence matrix in which every class occurs.

    Args:
        presence: which image holds which class, (N, K) of bool or of 0 and 1.

    Raises:
        ValueError: for another shape.
        OptionError: for other values, fewer than two images or classes, or a class in no image.
    """
    matrix = np.asarray(presence)
    if matrix.ndim != 2:
        raise ValueError(f"presence must have shape (images, classes), got {matrix.shape}")
    if matrix.dtype != np.bool_ and not np.isin(matrix, (0, 1)).all():
        raise OptionError(
            "presence holds yes or no: bool, or 0 and 1", remedy="for pixel counts give counts > 0"
        )
    if len(matrix) < 2 or matrix.shape[1] < 2:
        raise OptionError(f"presence needs at least 2 images and 2 classes, got shape {matrix.shape}")
    empty = np.flatnonzero(~matrix.astype(bool).any(0))
    if len(empty):
        raise OptionError(
            f"classes {empty.tolist()} are in no image: a class that never occurs makes the batch size "
            "infinite",
            remedy="leave them out",
        )
    return matrix.astype(bool)


def check_option(what: str, name: object, known: tuple[str, ...]) -> None:
    """Make sure that an option exists.

    Args:
        what: what the error message calls it.
        name: its value.
        known: the values there are.

    Raises:
        ValueError: if it is none of them.
    """
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; use one of {', '.join(map(repr, known))}")


def _numbers(name: str, value: ArrayLike) -> Floats:
    values = np.asarray(value, dtype=np.float64)
    _refuse(name, values, ~np.isfinite(values), "it must be a finite number")
    return values


def _refuse(name: str, values: Floats, bad: NDArray[np.bool_], why: str) -> None:
    """Raise with the first bad value and where it stands."""
    if np.any(bad):
        at = np.argwhere(bad)[0].tolist()
        place = f" at {at}" if values.ndim else ""
        raise OptionError(f"{name} is {float(values[tuple(at)]):g}{place}", remedy=why)
