"""AUCSeg Theorem 2: a weighted contrastive loss is an upper bound of the logistic AUC loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from aucseg.theory.checks import Floats, Ints, check_option

PAIRS = ("different", "all")
CLASS_SIZES = ("class", "one", "batch")
WEIGHTS = ("conditional", "shared", "one_letter")
BLOCK_PAIRS = 2**21
"""Pairs (anchors x samples) of one block: 16 MB for each table of float64, so that memory grows with N."""

# Relative slack for conditions that the printed weights meet with equality.
_SLACK = 1e-12


@dataclass(frozen=True)
class Theorem2:
    """Both sides of Theorem 2 for one scored sample, and how far apart they are.

    Attributes:
        contrastive: left side, the weighted contrastive loss.
        auc: right side, the logistic AUC loss.
        gap: left minus right; where ``guaranteed`` it is below zero by rounding alone.
        gap_bound: upper bound of the gap from the spread of the scores; inf for ``weights="one_letter"``.
        guaranteed: whether the weights meet the conditions under which left >= right for all scores.
        anchors: (A,) int64, positions of the samples i that the outer sum runs over.
        outer_weights: (A,) float64, w_i.
        inner_sums: (A,) float64, the sum of w_j over the partners of each anchor; the proof needs 1.
    """

    contrastive: float
    auc: float
    gap: float
    gap_bound: float
    guaranteed: bool
    anchors: Ints
    outer_weights: Floats
    inner_sums: Floats


def theorem2(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    pairs: str = "different",
    class_size: str | ArrayLike = "class",
    weights: str = "conditional",
    positive: int | None = None,
) -> Theorem2:
    r"""Both sides of AUCSeg Theorem 2: weighted contrastive loss >= logistic AUC loss.

    .. math::

        \sum_i w_i \Bigl[-\log \frac{e^{f(x_i)}}{e^{f(x_i)} + \sum_{j \in P_i} w_j e^{f(x_j)}}\Bigr]
        \ge \sum_i \sum_{j \in P_i} \frac{1}{n_i n_j} \log\bigl(1 + e^{f_{y_i}(x_j) - f_{y_i}(x_i)}\bigr)

    With ``pairs="different"`` and ``class_size="class"`` the right side is Eq. 7 for the logistic surrogate:
    the sum over ordered pairs of classes of the mean loss over their pairs of samples. Divide it by K(K - 1),
    K the number of classes that occur, for the mean over pairs of classes.

    Let :math:`S_i = \sum_{k \in P_i} 1/n_k` run over the partners :math:`P_i` of i. The printed weights are

    .. math::

        w_i = \frac{S_i}{n_i}, \qquad w_j = w_{j|i} = \frac{1}{n_j S_i}, \qquad
        w_i w_{j|i} = \frac{1}{n_i n_j}, \qquad \sum_{j \in P_i} w_{j|i} = 1.

    One letter stands for two things, and the inner weight depends on i. The proof goes anchor by anchor and
    uses the sum of one three times: to take f(x_i) out of the sum over j, for Jensen's inequality, and to
    turn the sum of w_j exp f(x_i) into exp f(x_i). It asks nothing else of n: the inequality holds for all
    positive n_i, for both ``pairs``, for any number of classes and with a score for each class.

    For other weights, a_i outside and b_ij inside, the inequality of one anchor holds for all scores if and
    only if

    .. math::

        a_i \ge \frac{S_i}{n_i} \quad \text{and} \quad a_i\, b_{ij} \ge \frac{1}{n_i n_j}
        \quad \text{for all } j \in P_i.

    The first is needed where all partners' scores grow, the second where all fall and that of j slowest.
    Both suffice: Jensen with the weights 1 / (n_i n_j a_i) and the rest, if any, on a partner with score
    minus infinity. So no weights below the printed ones work. Weights with the right products whose sum
    inside is W > 1 fail: where all scores are equal, W log 2 > log(1 + W).

    The sides are equal if and only if all partners of each anchor have the same score (in its channel). The
    gap is at most :math:`\sum_i w_i r_i^2 / 8` with r_i the range of log(1 + exp(f(x_j) - f(x_i))) over the
    partners (Hoeffding's lemma), so the losses are close where scores lie in a narrow interval.

    Args:
        scores: (N, K), where column c scores class c, as one-vs-one AUC needs; or (N,), the one score f(x)
            that the theorem prints, see the note.
        labels: (N,), integer classes; 0 to K - 1 with scores (N, K).
        pairs: partners P_i of i: ``"different"`` (all samples of other classes) or ``"all"`` (all j != i, as
            printed). The second also compares samples of one class, which no score ranks: with n_i the size
            of the class this alone is at least log 2 times the sum of 1 - 1/n over classes.
        class_size: reading of n_i: ``"class"`` (samples in the class of i), ``"one"`` (1), ``"batch"`` (N),
            or (N,) positive numbers.
        weights: ``"conditional"``, as above; ``"shared"``, where k runs over all samples, so that w_j does
            not depend on i (products right, sum below one: the bound holds and is looser); or
            ``"one_letter"``, where w_j is the formula of w_i at j, S_j / n_j (the bound holds if
            :math:`S_i S_j \ge 1` for all pairs, so with n_i the size of the class and two classes or more
            but not with n_i = N).
        positive: let i run over the samples of this class only, as the binary AUC of a single score does;
            None for all samples.

    Returns:
        Both sides, their gap with its bound, whether the theorem covers the weights, and the weights.

    Raises:
        TypeError: if scores are not real numbers or labels not integers.
        ValueError: for shapes that do not fit, scores that are not finite, labels without a column, fewer
            than two samples, a single class where pairs need two, or an unknown option.

    Note:
        A single score f(x), as printed, with i running over all classes counts each pair in both orders.
        Then both sides are convex, a constant score minimises both, and nothing is ranked. For an AUC give
        scores (N, K) or ``positive``. Time is O(A N) for A anchors, memory O(N).

    Example:
        >>> round(theorem2([2.0, 0.0], [1, 0], positive=1).auc, 6)
        0.126928
        >>> theorem2([2.0, 1.0, 0.0], [1, 0, 0], positive=1).inner_sums.tolist()
        [1.0]
    """
    check_option("weights", weights, WEIGHTS)
    sample = _read_sample(scores, labels, pairs=pairs, class_size=class_size, positive=positive)
    size, anchors = sample.size, sample.anchors
    sums = sample.partner_sum
    if weights == "shared":
        sums = np.full_like(sums, (1 / size).sum())
    outer = (sums / size)[anchors]
    # log of w_j = exp(by_partner[j] - by_anchor[i])
    by_partner, by_anchor = -np.log(size), np.log(sums)[anchors]
    if weights == "one_letter":
        by_partner, by_anchor = by_partner + np.log(sums), np.zeros_like(by_anchor)

    auc, contrastive, inner_sums, spread = (np.empty(len(anchors)) for _ in range(4))
    guaranteed = bool(np.all(outer * size[anchors] >= sample.partner_sum[anchors] * (1 - _SLACK)))
    for rows, difference, partner in sample.blocks():
        target = 1 / (size[anchors[rows], None] * size)
        loss = np.logaddexp(0, difference)
        auc[rows] = np.where(partner, target * loss, 0).sum(axis=1)
        log_inner = np.where(partner, by_partner - by_anchor[rows, None], -np.inf)
        contrastive[rows] = outer[rows] * np.logaddexp(0, logsumexp(log_inner + difference, axis=1))
        inner = np.exp(log_inner)
        inner_sums[rows] = inner.sum(axis=1)
        covered = outer[rows, None] * inner >= target * (1 - _SLACK)
        guaranteed &= bool(covered[partner].all())
        lowest = np.where(partner, loss, np.inf).min(axis=1)
        spread[rows] = np.where(partner, loss, 0).max(axis=1) - (0 if weights == "shared" else lowest)
    return Theorem2(
        contrastive=float(contrastive.sum()),
        auc=float(auc.sum()),
        gap=float((contrastive - auc).sum()),
        gap_bound=float("inf") if weights == "one_letter" else float((outer * spread**2).sum() / 8),
        guaranteed=guaranteed,
        anchors=anchors,
        outer_weights=outer,
        inner_sums=inner_sums,
    )


@dataclass(frozen=True)
class _Sample:
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
        step = max(1, BLOCK_PAIRS // len(self.size))
        for start in range(0, len(self.anchors), step):
            rows = slice(start, start + step)
            i = self.anchors[rows]
            own = self.columns[self.channel[i], i]
            if self.pairs == "all":
                partner = np.arange(len(self.size)) != i[:, None]
            else:
                partner = self.group != self.group[i, None]
            yield rows, self.columns[self.channel[i]] - own[:, None], partner


def _read_sample(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    pairs: str,
    class_size: str | ArrayLike,
    positive: int | None,
) -> _Sample:
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
    return _Sample(columns, channel, group, size, pairs, anchors, partner_sum)


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
