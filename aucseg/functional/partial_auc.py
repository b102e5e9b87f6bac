"""Partial area under the ROC curve: false positive rates from 0 up to a limit."""

from __future__ import annotations

import torch
from torch import Tensor


def check_max_fpr(max_fpr: float | None) -> None:
    """Make sure that a limit of the false positive rate is one.

    Args:
        max_fpr: the limit, or None for the whole curve.

    Raises:
        ValueError: if it is not a number in (0, 1].
    """
    if max_fpr is None:
        return
    if isinstance(max_fpr, bool) or not isinstance(max_fpr, (int, float)) or not 0 < max_fpr <= 1:
        raise ValueError(
            f"max_fpr must be a number in (0, 1], got {max_fpr!r}; None or 1 takes the whole curve"
        )


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


def ranked_partial_area(
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
