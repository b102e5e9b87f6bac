"""AUC of every pair of classes from score histograms of fixed size, with a bound on its error."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aucseg.functional.checks import check_count
from aucseg.functional.ranking import PairAUC, check_max_fpr, check_scores, standardize_partial_area

MAX_BINS = 2**20
BLOCK = {"cpu": 1 << 18}  # scores at a time: temporaries that stay in the cache, yet few calls
BLOCK_ELSEWHERE = 1 << 24
_ROUNDING = 1e-3  # how far interpolation and half precision may put a probability outside of [0, 1]

# Float32 bit patterns, read as integers: 2^23 of them to an octave.
_OCTAVE = 2**23
_LOW, _HIGH = 39, 24  # octaves from 2^-40 to 1/2, and from 1/2 to 1 - 2^-25, where float32 has no more values
_HALF = 126 * _OCTAVE  # the pattern of 1/2


def check_bins(bins: int, score_range: tuple[float, float] | None = None) -> int:
    """Make sure that bins of scores can be made.

    Args:
        bins: number of bins.
        score_range: lowest and highest score, or None for probabilities.

    Returns:
        ``bins`` as a plain int.

    Raises:
        ValueError: if ``bins`` is not an int from 2 to 2^20 or the range not two finite ascending numbers.
    """
    bins = check_count("bins", bins, 2, most=MAX_BINS, note="; None computes exactly")
    if score_range is not None and not (
        len(score_range) == 2 and all(map(math.isfinite, score_range)) and score_range[0] < score_range[1]
    ):
        raise ValueError(
            f"score_range must be two finite numbers, the lower one first, got {score_range!r}; None is for "
            f"probabilities"
        )
    return bins


def score_bins(scores: Tensor, bins: int, score_range: tuple[float, float] | None = None) -> Tensor:
    """Bin of each score; never a lower bin for a higher score.

    Without a range the scores s are probabilities. Let u = min(s, 1 - s), which float32 holds exactly. The
    bit pattern of u as an integer is a piecewise linear log2(u), and the bins are equally wide in it, from
    2^-40 up to 1/2 and, mirrored, on to 1 - 2^-25: like equally wide bins in logit(s), but fine where
    sigmoids and softmaxes pile up, cheap, and monotone to the last bit, which a computed logarithm is not.
    With a range the bins are equally wide in s. Scores beyond either end go to the first or last bin.

    Args:
        scores: floating point, any shape, not nan; wider dtypes are rounded to float32.
        bins: number of bins, 2 to 2^20.
        score_range: lowest and highest score, for logits and the like; None for probabilities.

    Returns:
        int32 tensor of the same shape, 0 to ``bins`` - 1.
    """
    s = scores.float()
    if score_range is None:
        u = torch.rsub(s, 1)
        torch.minimum(u, s, out=u).clamp_min_(2.0**-40)
        place = (_HALF - u.view(torch.int32)).float()  # distance from 1/2, in patterns
        place.copysign_(torch.sub(s, 0.5, out=u)).add_(_LOW * _OCTAVE)
        place.mul_(bins / ((_LOW + _HIGH) * _OCTAVE))
    else:
        low, high = score_range
        place = (s - low).mul_(bins / (high - low))
    # rounding is monotone in each step, and truncation is floor where nothing is negative
    return place.clamp_(0, bins - 1).int()


def binnable(scores: Tensor, valid: Tensor, score_range: tuple[float, float] | None = None) -> Tensor:
    """Scores that ``add_score_histogram`` can take: checked, and blanked at void pixels if it must be.

    Args:
        scores: (B, K, H, W), floating point.
        valid: (B, H, W) bool, False for void pixels, where scores do not matter.
        score_range: as in ``score_bins``.

    Returns:
        ``scores``, or a copy with zeros at void pixels if only they hold what has no bin.

    Raises:
        ValueError: if a score is nan or, without a range, further than 0.001 outside [0, 1].
    """
    if _all_have_bins(scores, score_range):
        return scores
    scores = scores.masked_fill(~valid.unsqueeze(1), 0)
    check_scores(scores)
    if not _all_have_bins(scores, score_range):
        low, high = torch.stack(torch.aminmax(scores)).tolist()
        raise ValueError(
            f"scores reach from {low:.4g} to {high:.4g}, and bins without score_range are for probabilities: "
            f"pass score_range=(lowest, highest) for logits, or their sigmoid"
        )
    return scores


def _all_have_bins(scores: Tensor, score_range: tuple[float, float] | None) -> bool:
    """One quick pass; the extremes of anything that holds nan are nan, and every comparison fails."""
    if not scores.numel():
        return True
    low, high = torch.stack(torch.aminmax(scores)).tolist()
    if score_range is None:
        return low >= -_ROUNDING and high <= 1 + _ROUNDING
    return low <= high


def add_score_histogram(
    histogram: Tensor,
    scores: Tensor,
    labels: Tensor,
    valid: Tensor,
    score_range: tuple[float, float] | None = None,
) -> Tensor:
    """Count a batch into the histograms, in place and with temporaries of fixed size.

    Args:
        histogram: (C, K, bins) int64: channel, class of the pixel, bin.
        scores: (B, C, H, W), what ``binnable`` returns.
        labels: (B, H, W) int64, 0 to K - 1, anything in that range where not valid.
        valid: (B, H, W) bool, False for void pixels.
        score_range: as in ``score_bins``.

    Returns:
        ``histogram``.
    """
    channels, k, bins = histogram.shape
    cells = histogram.view(channels, k * bins)
    chunk = max(1, BLOCK.get(scores.device.type, BLOCK_ELSEWHERE) // channels)
    for image, label, one in zip(scores.flatten(2), labels.flatten(1), valid.flatten(1).long(), strict=True):
        first = label * bins
        for start in range(0, len(first), chunk):
            part = slice(start, start + chunk)
            cell = score_bins(image[:, part], bins, score_range) + first[part]
            cells.scatter_add_(1, cell, one[part].expand(channels, -1))
    return histogram


def histogram_auc(histogram: Tensor, *, max_fpr: float | None = None) -> tuple[PairAUC, PairAUC]:
    r"""AUC of every pair of classes from their histograms, and how far it can be off.

    With p positives and n negatives in bin b, and P and N in all, the ROC curve passes exactly through a
    point between any two bins. Inside a bin a straight line is taken, as if all pixels there tied. The true
    curve is monotone and can leave that line by no more than half the rectangle, so that

    .. math::

        |A - \hat A| \le \sum_b \frac{p_b n_b}{2 P N}.

    This holds for any scores and any monotone bins; where scores in a bin do tie the error is zero. Of the
    bin that ``max_fpr`` cuts, the part up to the cut counts, in area and bound.

    Args:
        histogram: (K, K, bins) int64: channel, class of the pixel, bin.
        max_fpr: as in ``pairwise_auc``; area and bound are standardized.

    Returns:
        The AUC and the bound of its absolute error, each as a table of pairs and a one-vs-all vector.

    Raises:
        ValueError: if ``max_fpr`` is outside (0, 1].
    """
    check_max_fpr(max_fpr)
    k = len(histogram)
    rows = [_histogram_row(histogram[c], c, max_fpr) for c in range(k)]
    area, bound = torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])
    if max_fpr is not None:
        area = standardize_partial_area(area, max_fpr)
        bound = bound / (2 * max_fpr - max_fpr**2)
    for table in (area, bound):
        table[:, :k].fill_diagonal_(torch.nan)
    return PairAUC(area[:, :k], area[:, k]), PairAUC(bound[:, :k], bound[:, k])


def _histogram_row(row: Tensor, c: int, max_fpr: float | None) -> tuple[Tensor, Tensor]:
    """Area and bound of class c against each class and, last, against all others; raw, (K + 1,) float64."""
    positive = row[c]
    rest = row.sum(0) - positive
    positives, negatives = positive.sum(), torch.cat((row.sum(1), rest.sum()[None]))
    above = positives - positive.cumsum(0)  # in bins of higher scores
    negative = torch.cat((row, rest[None])).double()
    taken = torch.ones_like(negative)  # share of a bin that counts
    if max_fpr is not None:
        before = negatives[:, None] - negative.cumsum(1)
        wanted = max_fpr * negatives.double()[:, None] - before
        taken = torch.where(negative > 0, wanted / negative, 0).clamp_(0, 1)
    pairs = negatives * positives
    area = (taken * negative * (above + taken * positive / 2)).sum(1) / pairs
    bound = (taken * negative * positive * (1 - taken / 2)).sum(1) / pairs
    return area, bound
