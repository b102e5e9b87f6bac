"""AUC risk from class-conditional moments (AUCSeg, Section 4.1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aucseg.functional.moments import ClassMoments

REDUCTIONS = ("mean", "sum", "none")

PairRisk = Callable[[ClassMoments, float], Tensor]


def auc_risk(
    moments: ClassMoments,
    *,
    surrogate: str = "square",
    multiclass: str = "ovo",
    margin: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    r"""Multi-class AUC risk of a batch, from its moments alone.

    AUCSeg Eq. 7 sums, over all ordered pairs of classes c != d, the mean surrogate loss over all pairs of
    a pixel of class c and a pixel of class d:

    .. math::

        R_{cd} = \frac{1}{|N_c| |N_d|} \sum_{m \in N_c} \sum_{n \in N_d} \ell(s_{m,c} - s_{n,c})

    For the square surrogate :math:`\ell(t) = (\gamma - t)^2` with margin :math:`\gamma` this is exactly

    .. math::

        R_{cd} = \bigl(\gamma - (\mu_{c,c} - \mu_{d,c})\bigr)^2 + v_{c,c} + v_{d,c},

    where :math:`\mu_{d,c}` and :math:`v_{d,c}` are mean and variance of channel c over the pixels of class d.

    Only pairs whose two classes both have a pixel count (Eq. 8).

    Args:
        moments: what ``class_moments`` returns.
        surrogate: the loss of a score difference; ``"square"``.
        multiclass: how classes are compared; ``"ovo"`` (one-vs-one, every ordered pair).
        margin: score difference at which the loss is zero, in units of the score.
        reduction: ``"mean"`` over the present ordered pairs, ``"sum"`` over them (Eq. 7 as printed), or
            ``"none"``.

    Returns:
        A scalar; zero with a gradient of zero where no pair of classes is present. With
        ``reduction="none"`` a (K, K) tensor with risk[c, d] in row c (positive class), column d (negative
        class), and nan on the diagonal and on pairs that are absent: reduce it with ``nanmean``.

    Raises:
        ValueError: for an unknown option, with the known ones, or a margin that is not positive.

    Note:
        With n classes present the sum is n(n - 1) times the mean. The objective l_auc + lambda l_ce with the
        sum therefore equals, up to the factor n(n - 1), the mean with lambda / (n(n - 1)): for the 19
        classes of Cityscapes lambda is 342 times smaller beside a mean. The mean keeps the balance of the
        two terms the same whatever number of classes a batch happens to hold.

    """
    check_options(surrogate, multiclass, margin, reduction)
    return MULTICLASS[multiclass](moments, SURROGATES[surrogate](moments, margin), reduction)


def _square_pairs(moments: ClassMoments, margin: float) -> Tensor:
    """(K, K) risk of the square surrogate, positive class in rows; finite also where a class is absent."""
    own_mean, own_var = moments.mean.diagonal()[:, None], moments.var.diagonal()[:, None]
    gap = own_mean - moments.mean.t()
    return (margin - gap).square() + own_var + moments.var.t()


def _one_vs_one(moments: ClassMoments, pairs: Tensor, reduction: str) -> Tensor:
    present = moments.count > 0
    valid = present[:, None] & present & ~torch.eye(len(present), dtype=torch.bool, device=present.device)
    if reduction == "none":
        return pairs.masked_fill(~valid, torch.nan)
    total = pairs.masked_fill(~valid, 0).sum()
    return total if reduction == "sum" else total / valid.sum().clamp(min=1)


# A surrogate or a way of comparing classes is added by one entry here; the error messages follow.
SURROGATES: dict[str, PairRisk] = {"square": _square_pairs}
MULTICLASS: dict[str, Callable[[ClassMoments, Tensor, str], Tensor]] = {"ovo": _one_vs_one}


def check_options(surrogate: str, multiclass: str, margin: float, reduction: str) -> None:
    """Make sure that the options of ``auc_risk`` exist.

    Args:
        surrogate: see ``auc_risk``.
        multiclass: see ``auc_risk``.
        margin: see ``auc_risk``.
        reduction: see ``auc_risk``.

    Raises:
        ValueError: for an unknown option, with the known ones, or a margin that is not positive and finite.

    """
    options = (
        ("surrogate", surrogate, SURROGATES),
        ("multiclass", multiclass, MULTICLASS),
        ("reduction", reduction, REDUCTIONS),
    )
    for what, name, known in options:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; use one of {', '.join(map(repr, known))}")
    if not 0 < margin < float("inf"):
        raise ValueError(f"margin must be a positive number, got {margin!r}")
