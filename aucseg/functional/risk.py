"""The AUC loss of logits, by the cheapest way that its options allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from aucseg.functional.auc import pair_table, reduce_pairs, separable_risk, separable_weights
from aucseg.functional.chunks import Request, class_count
from aucseg.functional.class_sums import ClassSums, channel_sums, class_sums
from aucseg.functional.ranks import all_reduce, as_part_of, attach
from aucseg.functional.sorted_hinge import sorted_hinge
from aucseg.functional.surrogates import BilinearForm, SortedForm


@dataclass(frozen=True)
class RiskOptions:
    """What an AUC loss is: see ``aucseg.losses.AUCLoss``.

    Attributes:
        form: the surrogate.
        num_classes: K.
        activation: from logits to scores.
        multiclass: ``"ovo"`` or ``"ova"``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        weights: (K, K) weights of the pairs, or None.
    """

    form: BilinearForm | SortedForm
    num_classes: int
    activation: str = "sigmoid"
    multiclass: str = "ovo"
    reduction: str = "mean"
    weights: Tensor | None = None


def auc_risk(
    logits: Tensor,
    rows: Tensor,
    options: RiskOptions,
    *,
    cross_entropy: bool = False,
    group: dist.ProcessGroup | None = None,
    whole: ClassSums | None = None,
    remember: Callable[[ClassSums], ClassSums] | None = None,
) -> tuple[Tensor, Tensor]:
    """AUC loss and mean cross entropy of a batch.

    Where each pair of classes weighs a product of two weights (mean and sum, one-vs-one and one-vs-all), K
    sums for each feature are enough (``channel_sums``). Pair weights, the table itself and classes filled in
    from other batches need K x K (``class_sums``), hinges past their margin an order (``sorted_hinge``).

    Args:
        logits: (B, K, P), floating point.
        rows: (B, P), what ``class_index`` returns.
        options: which loss.
        cross_entropy: compute the cross entropy as well, in the same pass where there are sums.
        group: ranks whose pixels form the batch together; each has to call.
        whole: class sums of a larger batch of which this is a part.
        remember: fills in the classes that the batch lacks.

    Returns:
        The loss, and the mean cross entropy over pixels that are not void (zero unless asked for). Values of
        the whole batch; gradients by these logits, with no factor of the number of ranks.

    Raises:
        ValueError: for ``whole`` or ``remember`` with a sorted form, which has no sums.
    """
    if isinstance(options.form, SortedForm):
        if whole is not None or remember is not None:
            raise ValueError("a surrogate past its margin needs the order of the pixels, which has no sums")
        return _by_order(logits, rows, options, options.form, cross_entropy, group)
    if options.weights is None and options.reduction != "none" and remember is None:
        return _by_channel(logits, rows, options, options.form, cross_entropy, group, whole)
    alone = group is None and whole is None and remember is None
    request = Request(options.form, options.num_classes, options.activation, not alone, cross_entropy)
    sums = class_sums(logits, rows, request)
    sums = sums if whole is None else as_part_of(sums, whole)
    sums = sums if group is None else all_reduce(sums, group)
    mean = sums.cross_entropy / sums.count.sum().clamp(min=1)
    current = None
    if remember is not None:
        current = sums.count > 0
        sums = remember(sums)
    return _reduce(pair_table(sums, options.form), sums.count, options, current), mean


def _by_channel(
    logits: Tensor,
    rows: Tensor,
    options: RiskOptions,
    form: BilinearForm,
    cross_entropy: bool,
    group: dist.ProcessGroup | None,
    whole: ClassSums | None,
) -> tuple[Tensor, Tensor]:
    count = class_count(rows, options.num_classes) if whole is None else whole.count.clone()
    if group is not None:
        dist.all_reduce(count, group=group)
    weights = separable_weights(count, multiclass=options.multiclass, reduction=options.reduction)
    alone = group is None and whole is None
    request = Request(form, options.num_classes, options.activation, not alone, cross_entropy)
    sums = channel_sums(logits, rows, request, weights[1])
    sums = sums if whole is None else as_part_of(sums, whole.channels(weights[1]))
    sums = sums if group is None else all_reduce(sums, group)
    return separable_risk(sums, count, form, weights), sums.cross_entropy / count.sum().clamp(min=1)


def _by_order(
    logits: Tensor,
    rows: Tensor,
    options: RiskOptions,
    form: SortedForm,
    cross_entropy: bool,
    group: dist.ProcessGroup | None,
) -> tuple[Tensor, Tensor]:
    k = options.num_classes
    with torch.autocast(logits.device.type, enabled=False):
        wide = logits if logits.dtype == torch.float64 else logits.float()
        # a label that is none, on a device that must not be waited for: nan, and void for the sort
        bad = torch.where((rows > k).any(), torch.nan, 0.0)
        rows = rows.clamp(max=k)
        count, pairs = sorted_hinge(
            activate(wide, options.activation),
            rows,
            k,
            margin=form.margin,
            scale=form.scale,
            power=form.power,
            group=group,
        )
        total = count.new_zeros(())
        if cross_entropy:
            labels = rows.masked_fill(rows == k, -100)
            total = F.cross_entropy(wide, labels, reduction="sum", ignore_index=-100).to(count)
            if group is not None:
                summed = total.detach().clone()
                dist.all_reduce(summed, group=group)
                total = attach(summed, total)
    return _reduce(pairs, count, options) + bad, total / count.sum().clamp(min=1)


def _reduce(pairs: Tensor, count: Tensor, options: RiskOptions, current: Tensor | None = None) -> Tensor:
    weights = None if options.weights is None else options.weights.to(count.device)
    return reduce_pairs(
        pairs,
        count,
        multiclass=options.multiclass,
        reduction=options.reduction,
        weights=weights,
        current=current,
    )


def activate(logits: Tensor, activation: str) -> Tensor:
    """The scores of logits.

    Args:
        logits: (B, K, ...).
        activation: ``"sigmoid"``, ``"softmax"`` or ``"identity"``.

    Returns:
        The shape of the logits.
    """
    if activation == "sigmoid":
        return logits.sigmoid()
    return logits.softmax(1) if activation == "softmax" else logits
