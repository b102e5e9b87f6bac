"""Exact area under the ROC curve, or a part of it, of every pair of classes (AUCSeg, Eq. 6)."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor

from aucseg.functional.checks import check_labels, check_num_classes, class_index


class PairAUC(NamedTuple):
    """AUC of every channel, against each other class and against all others at once; float64.

    Attributes:
        pairs: (K, K); row c is the positive class, whose channel c gives the scores, column d the negative
            class; nan on the diagonal and where either class has no pixel.
        ova: (K,); class c against all other pixels; nan where either side has no pixel.
    """

    pairs: Tensor
    ova: Tensor


def pairwise_auc(
    scores: Tensor | Sequence[Tensor], labels: Tensor, num_classes: int, *, max_fpr: float | None = None
) -> PairAUC:
    r"""Exact AUC of each ordered pair of classes and of each class against the rest.

    For positive class c and negative class d, with the scores of channel c (AUCSeg Eq. 6; a tie counts half):

    .. math::

        A_{cd} = \frac{1}{|N_c| |N_d|} \sum_{m \in N_c} \sum_{n \in N_d}
            [s_{m,c} > s_{n,c}] + \tfrac12 [s_{m,c} = s_{n,c}]

    One sort of channel c and a running count of its positives tell, for every pixel at once, how many
    positives score lower and how many score the same. Adding that up by class gives row c of the table, so
    that K classes and P pixels cost O(K P log P) whatever the number of pairs. The sums are integers, exact
    for up to 2^62 pairs of pixels. Only channels of classes that occur are sorted.

    Args:
        scores: (P, K), floating point, any monotone score, infinities included; or several such tensors, one
            after the other. Wider dtypes are rounded to float32 first.
        labels: (P,), integer, 0 to K - 1; leave void pixels out.
        num_classes: number of classes K.
        max_fpr: count only false positive rates up to this, in (0, 1]; the area is then standardized as
            ``standardize_partial_area`` says. None for the whole curve.

    Returns:
        The table of pairs and the one-vs-all vector.

    Raises:
        TypeError: if the scores are not floating point or the labels not integer.
        ValueError: if shapes do not fit, a label is outside the classes, a score is nan or ``max_fpr`` is
            outside (0, 1].
    """
    k = check_num_classes(num_classes)
    check_max_fpr(max_fpr)
    pieces = [scores] if isinstance(scores, Tensor) else list(scores)
    labels = _checked(pieces, labels, k)
    count = torch.bincount(labels, minlength=k)
    pairs = torch.full((k, k), torch.nan, dtype=torch.float64, device=labels.device)
    ova = pairs[0].clone()
    present = count.nonzero().flatten().tolist()
    if len(present) < 2:
        return PairAUC(pairs, ova)
    for c in present:
        channel = torch.cat([piece[:, c] for piece in pieces])
        # the code of a pixel is zero where its label is c, and the label comes back by another xor
        ranks = _rank(channel, labels ^ c)
        label = ranks.code ^ c
        if max_fpr is None:
            doubled = torch.zeros_like(count).scatter_add_(0, label, ranks.below + ranks.upto)
            doubled[c] = 0
            pairs[c] = 1 - doubled.double() / (2 * count[c] * count)
            ova[c] = 1 - doubled.sum().double() / (2 * count[c] * (len(labels) - count[c]))
        else:
            area = _partial_area(label, k, *ranks[1:], max_fpr)
            pairs[c] = standardize_partial_area(area, max_fpr)
            area = _partial_area((label != c).long(), 2, *ranks[1:], max_fpr)
            ova[c] = standardize_partial_area(area, max_fpr)[1]
    pairs.fill_diagonal_(torch.nan)
    return PairAUC(pairs, ova)


def standardize_partial_area(area: Tensor, max_fpr: float) -> Tensor:
    r"""Partial area on McClish's scale: 1 for a perfect ranking, 1/2 for a random one.

    With the limit f of the false positive rate, a random ranking has area f^2 / 2, a perfect one f:

    .. math::

        A^{std} = \frac12 \left( 1 + \frac{A - f^2 / 2}{f - f^2 / 2} \right)

    so that the raw area is again :math:`A = f^2 / 2 + (2 A^{std} - 1) (f - f^2 / 2)`.

    Args:
        area: raw area under the ROC curve from 0 to ``max_fpr``, any shape.
        max_fpr: the limit f, in (0, 1].

    Returns:
        The standardized area, of the same shape; the area itself for ``max_fpr=1``.
    """
    lowest = 0.5 * max_fpr**2
    return 0.5 * (1 + (area - lowest) / (max_fpr - lowest))


def check_max_fpr(max_fpr: float | None) -> None:
    """Make sure that a limit of the false positive rate is one.

    Args:
        max_fpr: the limit, or None for the whole curve.

    Raises:
        ValueError: if it is not a number in (0, 1].
    """
    if max_fpr is None:
        return
    if isinstance(max_fpr, bool) or not isinstance(max_fpr, Real) or not 0 < max_fpr <= 1:
        raise ValueError(
            f"max_fpr must be a number in (0, 1], got {max_fpr!r}; None or 1 takes the whole curve"
        )


def check_scores(scores: Tensor, *, name: str = "scores") -> None:
    """Make sure that every score has a rank.

    Args:
        scores: floating point, any shape; infinities are fine.
        name: what the error message calls them.

    Raises:
        ValueError: if any is nan, with their number.
    """
    if bool(scores.isnan().any()):
        count = int(scores.isnan().sum())
        raise ValueError(
            f"{count} of {scores.numel()} {name} are nan, and nan has no rank: mark those pixels as void in "
            f"the target, or see why the model diverged"
        )


class _Ranks(NamedTuple):
    """Pixels in ascending order of score; all (P,) int64."""

    code: Tensor
    score: Tensor  # in [-2^31, 2^31), in the order of the scores and equal where they are
    below: Tensor  # how many positives score lower
    upto: Tensor  # how many positives score lower or the same


def _rank(scores: Tensor, code: Tensor) -> _Ranks:
    """Sort the pixels and count the positives, which have code 0; at equal scores they come first."""
    # Score and code share one integer: torch sorts int64 several times faster than float32 with its indices,
    # and nothing has to be gathered afterwards.
    keys = (_ordered_bits(scores).long() << 32).bitwise_or_(code).sort().values
    code = keys & 0xFFFFFFFF
    score = keys >> 32
    positive = code == 0
    upto = positive.long().cumsum(0)
    own = score[positive]
    index = torch.arange(len(own), device=own.device)
    starts = torch.ones_like(own, dtype=torch.bool)
    starts[1:] = own[1:] != own[:-1]
    first = (index * starts).cummax(0).values  # how many positives score lower than own[i]
    # a pixel before the first positive looks at that one, and its score is another
    last = (upto - 1).clamp_min_(0)
    below = upto.clone()
    tied = (own[last] == score).nonzero().flatten()
    below[tied] = first[last[tied]]
    return _Ranks(code, score, below, upto)


def _ordered_bits(scores: Tensor) -> Tensor:
    """An int32 that is larger where the score is larger, and equal where it is equal."""
    bits = (scores.float() + 0.0).view(torch.int32)  # adding zero turns -0.0 into 0.0
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _partial_area(
    group: Tensor, num_groups: int, score: Tensor, below: Tensor, upto: Tensor, max_fpr: float
) -> Tensor:
    """Raw partial area of the same positives against each group of negatives.

    In descending order of score the curve has one point after each distinct score and straight lines
    between them, so that of the last score within the limit only a part counts.

    Args:
        group: (P,) int64, 0 to ``num_groups`` - 1; the pixels in ascending order of score. The positives may
            form a group of their own, whose area means nothing.
        num_groups: number of groups G.
        score: (P,) int64 in [-2^31, 2^31), ascending.
        below: (P,) int64, how many positives score lower than each pixel.
        upto: (P,) int64, how many positives score lower or the same.
        max_fpr: the limit of the false positive rate, in (0, 1].

    Returns:
        (G,) float64 in [0, ``max_fpr``], nan for a group without a pixel.
    """
    positives = upto[-1]
    count = torch.bincount(group, minlength=num_groups)
    end = count.cumsum(0)
    order = group.sort(stable=True).indices
    place = (group[order] << 32) + (score[order] + 2**31)  # ascending: by group, then by score
    below, upto = below[order], upto[order]
    wanted = max_fpr * count.double()
    # the last negative, counted from the top, that is wanted at least in part, and all that tie with it
    edge = (end - 1 - torch.minimum(wanted.long(), count - 1)).clamp(0, len(group) - 1)
    left, right = (torch.searchsorted(place, place[edge], right=side) for side in (False, True))
    doubled = torch.cat((count.new_zeros(1), (2 * positives - below - upto).cumsum(0)))
    whole = (doubled[end] - doubled[right]).double() / 2
    part = wanted - (end - right)
    higher, least = positives - upto[edge], positives - below[edge]
    area = whole + part * (higher + part / (right - left) * (least - higher) / 2)
    return (area / (positives * count)).masked_fill(count == 0, torch.nan)


def _checked(pieces: list[Tensor], labels: Tensor, num_classes: int) -> Tensor:
    """The labels as int64, if they and the scores fit each other."""
    check_labels(labels, "labels")
    for piece in pieces:
        if not piece.is_floating_point():
            raise TypeError(f"scores must be floating point, got dtype {piece.dtype}")
        if piece.ndim != 2 or piece.shape[1] != num_classes:
            raise ValueError(f"scores must have shape (P, {num_classes}), got {tuple(piece.shape)}")
        check_scores(piece)
    rows = sum(len(piece) for piece in pieces)
    if labels.shape != (rows,):
        raise ValueError(f"{rows} rows of scores need labels of shape ({rows},), got {tuple(labels.shape)}")
    return class_index(labels, num_classes, ignore_index=None, name="labels")
