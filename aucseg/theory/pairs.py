"""A scored sample and the pairs that an AUC is made of, in blocks of anchors: memory grows with N."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

PAIRS = ("different", "all")
CLASS_SIZES = ("class", "one", "batch")

# Pairs (anchors x samples) of one block: 16 MB for each table of float64.
_BLOCK = 2**21

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Scores and classes, checked, with the reading of n_i and of the pairs.

    Attributes:
        columns: (C, N) float64; one row per score channel, a single one if all classes share it.
        channel: (N,), row of ``columns`` that scores the class of each sample.
        group: (N,), classes renumbered 0, 1, ... without holes.
        size: (N,) float64, n_i.
        pairs: one of ``PAIRS``.
        anchors: (A,), the samples i that the outer sum runs over.
        partner_sum: (N,) float64, S_i: the sum of 1/n_k over the partners k of i.
    """

    columns: Floats
    channel: Ints
    group: Ints
    size: Floats
    pairs: str
    anchors: Ints
    partner_sum: Floats

    def blocks(self) -> Iterator[tuple[slice, Floats, NDArray[np.bool_]]]:
        """The pairs, some anchors at a time.

        Yields:
            Which of the anchors, with b of them in this block; (b, N) score of each sample minus that of
            the anchor, in the anchor's channel; (b, N), whether the sample is a partner of the anchor.
        """
        step = max(1, _BLOCK // len(self.size))
        for start in range(0, len(self.anchors), step):
            rows = slice(start, start + step)
            i = self.anchors[rows]
            own = self.columns[self.channel[i], i]
            if self.pairs == "all":
                partner = np.arange(len(self.size)) != i[:, None]
            else:
                partner = self.group != self.group[i, None]
            yield rows, self.columns[self.channel[i]] - own[:, None], partner


def read_sample(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    pairs: str,
    class_size: str | ArrayLike,
    positive: int | None,
) -> Sample:
    """Check scores and labels and read n_i.

    Args:
        scores: (N,) or (N, K), finite numbers.
        labels: (N,), integer classes; 0 to K - 1 with scores (N, K).
        pairs: ``"different"`` or ``"all"``.
        class_size: ``"class"``, ``"one"``, ``"batch"`` or (N,) positive numbers.
        positive: the class whose samples are the anchors; None for all samples.

    Returns:
        The sample.

    Raises:
        TypeError: if scores are not real numbers or labels not integers.
        ValueError: for shapes that do not fit, scores that are not finite, labels without a column, fewer
            than two samples, a single class where pairs need two, or an unknown option.
    """
    check_option("pairs", pairs, PAIRS)
    values, classes = np.asarray(scores), np.asarray(labels)
    if values.dtype.kind not in "fiu":
        raise TypeError(f"scores must be real numbers, got dtype {values.dtype}")
    if classes.dtype.kind not in "iu":
        raise TypeError(
            f"labels must be integer classes, got dtype {classes.dtype}; convert them: labels.astype(int)"
        )
    if values.ndim not in (1, 2) or classes.shape != values.shape[:1]:
        raise ValueError(
            f"scores must have shape (N,) or (N, K) and labels (N,), got {values.shape} and {classes.shape}"
        )
    if len(values) < 2:
        raise ValueError(f"a pair needs two samples, got {len(values)}")
    if not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"scores must be finite, got {values[tuple(bad)]} at {bad.tolist()}")
    columns = np.atleast_2d(values.T.astype(np.float64))
    channel = np.zeros(len(classes), np.int64)
    if values.ndim == 2:
        if classes.min() < 0 or classes.max() >= len(columns):
            label = classes.min() if classes.min() < 0 else classes.max()
            raise ValueError(f"label {label} has no score: scores have {len(columns)} columns, one per class")
        channel = classes.astype(np.int64)
    present, group, count = np.unique(classes, return_inverse=True, return_counts=True)
    if pairs == "different" and len(present) < 2:
        raise ValueError(
            f"pairs='different' needs two classes, all {len(classes)} labels are {present[0]}; "
            "use pairs='all' for the printed sum over all j != i"
        )
    anchors = np.arange(len(classes)) if positive is None else np.flatnonzero(classes == positive)
    if not len(anchors):
        raise ValueError(f"no sample has the class positive={positive!r}; classes: {present.tolist()}")
    size = _sizes(class_size, count[group].astype(np.float64))
    if pairs == "all":
        partner_sum = _sum_of_others(1 / size)
    else:
        partner_sum = _sum_of_others(np.bincount(group, weights=1 / size).astype(np.float64))[group]
    return Sample(columns, channel, group, size, pairs, anchors, partner_sum)


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


def _sizes(class_size: str | ArrayLike, count: Floats) -> Floats:
    """n_i of every sample: (N,) float64, from the number of samples in its class or as the user reads it."""
    if isinstance(class_size, str):
        check_option("class_size", class_size, CLASS_SIZES)
        if class_size == "class":
            return count
        return np.full_like(count, 1 if class_size == "one" else len(count))
    size = np.asarray(class_size, dtype=np.float64)
    if size.shape != count.shape or not (np.isfinite(size) & (size > 0)).all():
        raise ValueError(
            f"class_size must be one of {', '.join(map(repr, CLASS_SIZES))}, or {len(count)} positive "
            f"numbers, one for each sample; got {class_size!r}"
        )
    return size


def _sum_of_others(values: Floats) -> Floats:
    """Sum over all entries but one, for every entry; without taking one large number from another."""
    before = np.concatenate(([0.0], np.cumsum(values)[:-1]))
    after = np.concatenate((np.cumsum(values[::-1])[-2::-1], [0.0]))
    return before + after
