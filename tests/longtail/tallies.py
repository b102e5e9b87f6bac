"""Tallies made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from aucseg.data.spec import ClassSpec
from aucseg.longtail import Tally


def label_set(names: Sequence[str], groups: Sequence[str] | None = None, name: str = "toy") -> ClassSpec:
    """A label set without colours, all classes head if no groups are given."""
    k = len(names)
    return ClassSpec(name, tuple(names), ((0, 0, 0),) * k, tuple(groups or ("head",) * k))


def sums(
    names: Sequence[str],
    groups: Sequence[str],
    pixels: Sequence[int] | np.ndarray,
    images: Sequence[int] | np.ndarray,
    num_images: int,
    presence: np.ndarray | None = None,
    name: str = "toy",
) -> Tally:
    """Sums, and which image holds which class if that is known."""
    held = None if presence is None else csr_array(presence)
    return Tally(label_set(names, groups, name), np.array(pixels), np.array(images), num_images, held)
