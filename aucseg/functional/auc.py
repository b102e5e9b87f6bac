"""The AUC loss of logits: the risk of every pair of classes, and the number they become (AUCSeg, 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from aucseg.functional.checks import check_count, check_num_classes, poison
from aucseg.functional.distributed import all_reduce, of_whole_batch
from aucseg.functional.engine import class_count, class_sums
from aucseg.functional.hinge import sorted_hinge
from aucseg.functional.plain import plain_count, plain_sums
from aucseg.functional.separable import risk_and_mean, separable_weights
from aucseg.functional.small import is_small, small_risk
from aucseg.functional.sums import ClassSums, Request, channels_of
from aucseg.functional.surrogates import BilinearForm, SortedForm


def auc_risk(
    logits: Tensor,
    rows: Tensor,
    request: Request,
    *,
    group: dist.ProcessGroup | None = None,
    whole: ClassSums | None = None,
    remember: Callable[[ClassSums], ClassSums] | None = None,
) -> tuple[Tensor, Tensor]:
    """AUC loss and mean cross entropy of a batch, by the cheapest way that the request allows.

    Where each pair of classes weighs a product of two weights (mean and sum, one-vs-one and one-vs-all), K
    sums for each feature are enough. Pair weights, the table itself and classes filled in from other batches
    need K x K of them, hinges past their margin an order (``sorted_hinge``).

    Args:
        logits: (B, K, P), floating point.
        rows: (B, P), what ``class_index`` returns.
        request: which loss.
        group: ranks whose pixels form the batch together; each has to call.
        whole: class sums of a larger batch of which this is a part.
        remember: fills in the classes that the batch lacks.

    Returns:
        The loss, and the mean cross entropy over pixels that are not void (zero unless requested). Values of
        the whole batch; gradients by these logits, with no factor of the number of ranks.

    Raises:
        ValueError: for ``whole`` or ``remember`` with a sorted form, which has no sums.
    """
    if request.pixel_weights is not None:
        return _by_weight(logits, rows, request, group)
    if isinstance(request.form, SortedForm) and whole is None and remember is None:
        return _by_order(logits, rows, request, request.form, group)
    form, alone = request.bilinear, group is None and whole is None and remember is None
    dtype = torch.promote_types(logits.dtype, torch.float32)
    separable = request.pair_weights is None and request.reduction != "none"
    if separable and alone and is_small(logits, request):
        risk, mean = small_risk(logits, rows, request)
        return risk, mean if request.cross_entropy else mean.detach()
    if separable and remember is None:
        count = class_count(rows, request.num_classes) if whole is None else whole.count
        if group is not None:
            count = all_reduce(count, group)
        weights = separable_weights(count, multiclass=request.multiclass, reduction=request.reduction)
        few = class_sums(logits, rows, request, weights.pixel, all_channels=not alone, count=count)
        few = of_whole_batch(few, None if whole is None else channels_of(whole, weights.pixel), group)
        risk, mean = risk_and_mean(few, count, form, weights, dtype)
        return risk, mean if request.cross_entropy else mean.detach()
    sums = class_sums(logits, rows, request, all_channels=not alone)
    sums = of_whole_batch(sums, whole, group)
    count, cross_entropy, current = sums.count, sums.cross_entropy, None
    if remember is not None:
        current = sums.count > 0
        sums = remember(sums)
    risk = _reduce(pair_table(sums, form), sums.count, request, current)
    if not request.cross_entropy:
        return risk, cross_entropy.detach()
    return risk, cross_entropy / count.sum().clamp(min=1)


def _by_weight(
    logits: Tensor, rows: Tensor, request: Request, group: dist.ProcessGroup | None
) -> tuple[Tensor, Tensor]:
    """As ``auc_risk``, where each pixel has a weight: the table of pairs of weighted means.

    By ordinary operations; the strips and the kernels know ones and zeros only.
    """
    k = request.num_classes
    with torch.autocast(logits.device.type, enabled=False):
        sums = of_whole_batch(plain_sums(logits, rows, request), None, group)
        pixels = plain_count(rows, k).sum()
        if group is not None:
            pixels = all_reduce(pixels, group)
        risk = _reduce(pair_table(sums, request.bilinear), sums.count, request)
    return risk, sums.cross_entropy / pixels.clamp(min=1)


def _by_order(
    logits: Tensor, rows: Tensor, request: Request, form: SortedForm, group: dist.ProcessGroup | None
) -> tuple[Tensor, Tensor]:
    """As ``auc_risk``, where pairs can exceed the margin."""
    k = request.num_classes
    with torch.autocast(logits.device.type, enabled=False):
        wide = logits if logits.dtype == torch.float64 else logits.float()
        scores = wide
        if request.activation != "identity":
            scores = wide.sigmoid() if request.activation == "sigmoid" else wide.softmax(1)
        # a label that is none, on a device that must not be waited for: nan, and void for the sort
        bad, rows = poison(rows, k), rows.clamp(max=k)
        count, pairs = sorted_hinge(
            scores, rows, k, margin=form.margin, scale=form.scale, power=form.power, group=group
        )
        total = count.new_zeros(())
        if request.cross_entropy:
            total = F.cross_entropy(wide, rows, reduction="sum", ignore_index=k).to(count)
            total = total if group is None else all_reduce(total, group)
    return _reduce(pairs, count, request) + bad, total / count.sum().clamp(min=1)


def _reduce(pairs: Tensor, count: Tensor, request: Request, current: Tensor | None = None) -> Tensor:
    weights = request.pair_weights
    return reduce_pairs(
        pairs,
        count,
        multiclass=request.multiclass,
        reduction=request.reduction,
        weights=None if weights is None else weights.to(count.device),
        current=current,
    )


def pair_table(sums: ClassSums, form: BilinearForm) -> Tensor:
    r"""Mean surrogate loss of every ordered pair of classes, from class sums.

    The inner part of AUCSeg Eq. 7, with :math:`N_c` the pixels of class c:

    .. math::

        R_{cd} = \frac{1}{|N_c| |N_d|} \sum_{m \in N_c} \sum_{n \in N_d} \ell(s_{m,c} - s_{n,c})
               = \sum_{j,k} A_{jk} \, \bar\phi_j(c) \, \bar\psi_k(d, c)

    where the bars are means over the pixels of a class. For the square surrogate that is
    :math:`(\gamma - \mu_{c,c} + \mu_{d,c})^2 + v_{c,c} + v_{d,c}` with mean and variance
    :math:`\mu_{d,c}, v_{d,c}` of channel c over the pixels of class d.

    Args:
        sums: what ``class_sums`` returns without weights.
        form: the surrogate they were taken for.

    Returns:
        (K, K) in the dtype of the sums, positive class c in rows, negative class d in columns. The diagonal,
        and rows and columns of classes without a pixel, hold numbers without a meaning (finite ones).
    """
    share = sums.count.clamp(min=1).reciprocal()
    own = F.pad(sums.own * share[:, None], (1, 0), value=1.0)
    other = F.pad(sums.other * share[:, None, None], (1, 0), value=1.0)
    return torch.einsum("cj,jk,dck->cd", own, form.matrix_like(own), other)


def reduce_pairs(
    pairs: Tensor,
    count: Tensor,
    *,
    multiclass: str = "ovo",
    reduction: str = "mean",
    weights: Tensor | None = None,
    current: Tensor | None = None,
) -> Tensor:
    r"""From the table of pairs to a loss.

    One-vs-one takes every ordered pair of two classes that have a pixel. One-vs-all compares the pixels of a
    class with all others, whatever their class; its risk is the mean of the row, weighted by pixels:

    .. math::

        R^{ova}_c = \sum_{d \ne c} \frac{|N_d|}{\sum_{e \ne c} |N_e|} R_{cd}

    Args:
        pairs: (K, K), what ``pair_table`` returns.
        count: (K,), pixels of each class; a class with none is left out (Eq. 8).
        multiclass: ``"ovo"`` or ``"ova"``.
        reduction: ``"mean"`` over the pairs (ova: the classes) that are there, ``"sum"`` over them (Eq. 7 as
            printed), or ``"none"``.
        weights: (K, K), not negative, a weight for each ordered pair; the mean is the weighted mean. For
            one-vs-one only.
        current: (K,) bool, classes of which this batch has pixels, where ``count`` holds other batches too:
            a pair of two classes that are both absent has no gradient and is left out.

    Returns:
        A scalar, zero where there is no pair. With ``"none"`` (K, K), or (K,) for one-vs-all, nan where
        there is no pair: reduce it with ``nanmean``.
    """
    present = count > 0
    off_diagonal = ~torch.eye(len(count), dtype=torch.bool, device=count.device)
    valid = present[:, None] & present & off_diagonal
    if current is not None:
        valid &= current[:, None] | current
    pairs = pairs.masked_fill(~valid, 0)
    if multiclass == "ova":
        weights = valid * count
        total = weights.sum(1)
        values, weights = (weights * pairs).sum(1) / total.clamp(min=1), (total > 0).to(pairs)
    else:
        weights = valid.to(pairs) if weights is None else valid * weights.to(pairs)
        values = pairs
    if reduction == "none":
        return values.masked_fill(weights == 0, torch.nan)
    total = (weights * values).sum()
    if reduction == "sum":
        return total
    mass = weights.sum()
    return total / torch.where(mass > 0, mass, 1)


def tail_versus_rest(tail_classes: Sequence[int], num_classes: int) -> Tensor:
    """Pair weights that keep the pairs of a tail class and one that is not.

    Args:
        tail_classes: classes of the tail.
        num_classes: number of classes K.

    Returns:
        (K, K) float64: 1 where exactly one of the two is a tail class.

    Raises:
        ValueError: if the tail is empty, holds a class twice or one outside 0 to K - 1, or is everything.

    Example:
        >>> tail_versus_rest([2], 3).tolist()
        [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]

    """
    num_classes = check_num_classes(num_classes)
    tail = [check_count("tail_classes", c, -(2**31)) for c in tail_classes]
    outside = [c for c in tail if not 0 <= c < num_classes]
    if outside:
        raise ValueError(f"tail class {outside[0]} is outside the classes 0 to {num_classes - 1}")
    if not tail or len(set(tail)) < len(tail) or len(tail) == num_classes:
        raise ValueError(f"tail_classes must be some of the {num_classes} classes, each once, got {tail}")
    member = torch.zeros(num_classes, dtype=torch.bool)
    member[tail] = True
    return (member[:, None] ^ member).to(torch.float64)


def check_pair_weights(weights: Tensor | Sequence[Sequence[float]], num_classes: int) -> Tensor:
    """Pair weights as a float64 table.

    Args:
        weights: (K, K), anything ``torch.as_tensor`` takes.
        num_classes: number of classes K.

    Returns:
        (K, K) float64.

    Raises:
        ValueError: if the shape is another, or a weight is negative or not finite, or all are zero.
    """
    table = torch.as_tensor(weights, dtype=torch.float64)
    if table.shape != (num_classes, num_classes):
        raise ValueError(f"pair_weights must be ({num_classes}, {num_classes}), got {tuple(table.shape)}")
    if not table.isfinite().all() or (table < 0).any() or not (table > 0).any():
        raise ValueError("pair_weights must be finite and not negative, and one at least positive")
    return table
