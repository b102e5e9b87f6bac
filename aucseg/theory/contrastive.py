"""AUCSeg Theorem 2: a weighted contrastive loss is an upper bound of the logistic AUC loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from aucseg.theory.pairs import Floats, Ints, check_option, read_sample

WEIGHTS = ("conditional", "shared", "one_letter")

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


def logistic_auc(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    pairs: str = "different",
    class_size: str | ArrayLike = "class",
    positive: int | None = None,
) -> float:
    r"""Logistic AUC loss of a scored sample: the right side of AUCSeg Theorem 2.

    .. math::

        \sum_i \sum_{j \in P_i} \frac{1}{n_i n_j} \log\bigl(1 + e^{f_{y_i}(x_j) - f_{y_i}(x_i)}\bigr)

    With ``pairs="different"`` and ``class_size="class"`` this is Eq. 7 for the logistic surrogate: the sum
    over ordered pairs of classes of the mean loss over their pairs of samples. Divide it by K(K - 1), K the
    number of classes that occur, for the mean over pairs of classes.

    Args:
        scores: (N, K), where column c scores class c, as one-vs-one AUC needs; or (N,), the one score f(x)
            that the theorem prints. See ``theorem2`` for what a single score means when i runs over all.
        labels: (N,), integer classes; 0 to K - 1 with scores (N, K).
        pairs: partners P_i of i: ``"different"`` (all samples of other classes) or ``"all"`` (all j != i, as
            printed).
        class_size: reading of n_i: ``"class"`` (samples in the class of i), ``"one"`` (1), ``"batch"`` (N),
            or (N,) positive numbers.
        positive: let i run over the samples of this class only, as the binary AUC of a single score does;
            None for all samples.

    Returns:
        The loss, not negative.

    Raises:
        TypeError: if scores are not real numbers or labels not integers.
        ValueError: for shapes that do not fit, scores that are not finite, labels without a column, fewer
            than two samples, a single class where pairs need two, or an unknown option.

    Example:
        >>> round(logistic_auc([2.0, 0.0], [1, 0], positive=1), 6)
        0.126928
    """
    return theorem2(scores, labels, pairs=pairs, class_size=class_size, positive=positive).auc


def weighted_contrastive(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    pairs: str = "different",
    class_size: str | ArrayLike = "class",
    weights: str = "conditional",
    positive: int | None = None,
) -> float:
    r"""Weighted contrastive loss of a scored sample: the left side of AUCSeg Theorem 2.

    .. math::

        \sum_i w_i \Bigl[-\log \frac{e^{f(x_i)}}{e^{f(x_i)} + \sum_{j \in P_i} w_j e^{f(x_j)}}\Bigr]

    Args:
        scores: see ``logistic_auc``; f is the score of the class of i.
        labels: see ``logistic_auc``.
        pairs: see ``logistic_auc``.
        class_size: see ``logistic_auc``.
        weights: reading of w_i and w_j, see ``theorem2``.
        positive: see ``logistic_auc``.

    Returns:
        The loss, not negative.

    Raises:
        TypeError: see ``logistic_auc``.
        ValueError: see ``logistic_auc``; also for unknown weights.

    Example:
        >>> round(weighted_contrastive([2.0, 0.0], [1, 0], positive=1), 6)
        0.126928
    """
    return theorem2(
        scores, labels, pairs=pairs, class_size=class_size, weights=weights, positive=positive
    ).contrastive


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
        scores: see ``logistic_auc``.
        labels: see ``logistic_auc``.
        pairs: see ``logistic_auc``. ``"all"`` also compares samples of one class, which no score ranks: with
            n_i the size of the class this alone is at least log 2 times the sum of 1 - 1/n over classes.
        class_size: see ``logistic_auc``.
        weights: ``"conditional"``, as above; ``"shared"``, where k runs over all samples, so that w_j does
            not depend on i (products right, sum below one: the bound holds and is looser); or
            ``"one_letter"``, where w_j is the formula of w_i at j, S_j / n_j (the bound holds if
            :math:`S_i S_j \ge 1` for all pairs, so with n_i the size of the class and two classes or more
            but not with n_i = N).
        positive: see ``logistic_auc``.

    Returns:
        Both sides, their gap with its bound, whether the theorem covers the weights, and the weights.

    Raises:
        TypeError: see ``logistic_auc``.
        ValueError: see ``logistic_auc``; also for unknown weights.

    Note:
        A single score f(x), as printed, with i running over all classes counts each pair in both orders.
        Then both sides are convex, a constant score minimises both, and nothing is ranked. For an AUC give
        scores (N, K) or ``positive``. Time is O(A N) for A anchors, memory O(N).

    Example:
        >>> theorem2([2.0, 1.0, 0.0], [1, 0, 0], positive=1).inner_sums.tolist()
        [1.0]
    """
    check_option("weights", weights, WEIGHTS)
    sample = read_sample(scores, labels, pairs=pairs, class_size=class_size, positive=positive)
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
