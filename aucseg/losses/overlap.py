"""Losses of overlap: Dice, the Jaccard metric loss, Lovász-Softmax; each with cross entropy beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.functional.checks import check_number, check_option, widest
from aucseg.functional.distributed import all_reduce
from aucseg.functional.logits import adjusted_cross_entropy
from aucseg.functional.overlap import lovasz_softmax, overlap_sums
from aucseg.losses.base import SegmentationLoss, mean_over_ranks, weight_table

REDUCTIONS = ("batch", "image", "class")


class OverlapLoss(SegmentationLoss):
    r"""A mean over classes of how little each overlaps, and cross entropy beside it.

    With the loss :math:`\ell_c` of each class, C the classes that occur and their weights w (1 without):

    .. math::

        \ell = \frac{\sum_{c \in C} w_c \ell_c}{\sum_{c \in C} w_c} + \lambda \ell_{ce}

    For logits in half precision the gradients of both terms are rounded one by one before they are added. A
    subclass defines :meth:`overlap`.

    Args:
        num_classes: number of classes K, at least 2.
        ce_weight: lambda; 0 leaves the cross entropy out.
        weights: (K,), w; None for 1. No factor common to all of them matters.
        options: those of :class:`aucseg.losses.SegmentationLoss`.

    Raises:
        ValueError: for a weight that is negative, weights of another length, and as ``SegmentationLoss``.
    """

    weights: Tensor | None

    def __init__(
        self,
        num_classes: int,
        *,
        ce_weight: float = 0.0,
        weights: Tensor | Sequence[float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(num_classes, **options)
        self.ce_weight = check_number("ce_weight", ce_weight, least=0)
        self.register_buffer("weights", weight_table(weights, self.num_classes), persistent=False)

    def overlap(self, logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        """The loss without cross entropy; arguments as :meth:`SegmentationLoss.batch_loss`."""
        raise NotImplementedError

    def batch_loss(self, logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        """The loss of the pixels of all ranks; see :meth:`SegmentationLoss.batch_loss`."""
        value = self.overlap(logits, rows, group)
        if not self.ce_weight:
            return value
        total = adjusted_cross_entropy(logits, rows).sum()
        return value + self.ce_weight * mean_over_ranks(total, (rows < self.num_classes).sum(), group)

    def mass(self, present: Tensor) -> Tensor:
        """What each class weighs in the mean: nothing where it does not occur.

        Args:
            present: (..., K) bool.

        Returns:
            (..., K), floating point.
        """
        # a class counts as 1 without weights: a product with it changes no bit
        ones = torch.ones(present.shape[-1], dtype=widest(present.device), device=present.device)
        return torch.where(present, ones if self.weights is None else self.weights.to(ones), 0.0)

    def _shown(self) -> tuple[str, ...]:
        return ("ce_weight",)


class DiceLoss(OverlapLoss):
    r"""Dice loss of a softmax, in the form of V-Net, averaged over the classes that occur.

    With probabilities p and one-hot labels g over the labelled pixels m of the whole batch, C the classes
    that occur and w their weights, 1 without:

    .. math::

        \ell = \frac{1}{\sum_{c \in C} w_c} \sum_{c \in C} w_c \Bigl(1 - \frac{2 \sum_m p_{m,c} g_{m,c} + s}
        {\sum_m p_{m,c}^2 + \sum_m g_{m,c}^2 + s}\Bigr)

    (Milletari et al., 2016, Section 3, for one class; Region Rebalance, Table 6, gives neither a form for
    several classes nor a weight). Alone it hardly trains 150 classes there (1.14 mIoU); with ``ce_weight=1``
    it is that table's Dice + CE. segmentation-models-pytorch has p and g instead of their squares, and
    averages over all classes, of which those that do not occur count as 0.

    Args:
        num_classes: number of classes K, at least 2.
        smooth: s, keeps the ratio of a class of few pixels from jumping.
        ce_weight: weight of a cross entropy that is added, of pixels that all count alike.
        weights: (K,), weights of the classes in the mean over them, see :func:`aucseg.losses.class_weights`;
            None for a plain mean.
        options: those of :class:`aucseg.losses.SegmentationLoss`.

    Raises:
        ValueError: for a number that is negative, and as ``SegmentationLoss``.

    Shape:
        as ``SegmentationLoss``.

    Example:
        >>> loss = DiceLoss(3, ce_weight=1.0)
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    def __init__(
        self,
        num_classes: int,
        *,
        smooth: float = 1.0,
        ce_weight: float = 0.0,
        weights: Tensor | Sequence[float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(num_classes, ce_weight=ce_weight, weights=weights, **options)
        self.smooth = check_number("smooth", smooth, least=0)

    def overlap(self, logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        """Mean of one minus Dice over the classes that occur; see :meth:`OverlapLoss.overlap`."""
        sums = overlap_sums(logits, rows)
        own, square, count = _joined(torch.stack((sums.own, sums.square, sums.pixels)).sum(1), group)
        present = count > 0
        # where a class does not occur the ratio may be 0 / 0
        below = (square + count + self.smooth).where(present, 1.0)
        return _mean(1 - (2 * own + self.smooth) / below, present, self.mass(present))

    def _shown(self) -> tuple[str, ...]:
        return ("smooth", "ce_weight")


class JaccardLoss(OverlapLoss):
    r"""Jaccard metric loss: one minus the soft IoU of the classes that occur.

    .. math::

        \ell_c = 1 - \frac{\sum_m p_{m,c} g_{m,c}}{\sum_m p_{m,c} + \sum_m g_{m,c} - \sum_m p_{m,c} g_{m,c}}

    With hard labels, as here, both forms of Wang et al. (NeurIPS 2023, Eq. 5 and 6) are this one. What m runs
    over, the reduction says, each the surrogate of a measure of its own (same authors, "Revisiting evaluation
    metrics"):

    - ``"batch"``: all labelled pixels of the batch; then the mean over the classes that occur (mIoU-D);
    - ``"image"``: the pixels of one image; the mean over its classes, then over images (mIoU-I), those left
      out that hold no class of a weight;
    - ``"class"``: the pixels of one image; for each class the mean over the images that hold it, then the
      mean over classes (mIoU-C): an image with a rare class counts as it does in no other.

    The authors train 0.75 of it beside 0.25 of cross entropy: ``ce_weight=1/3``, up to the factor 0.75.

    Args:
        num_classes: number of classes K, at least 2.
        reduction: ``"batch"``, ``"image"`` or ``"class"``.
        ce_weight: weight of a cross entropy that is added, of pixels that all count alike.
        weights: (K,), weights of the classes in the mean over them, see :func:`aucseg.losses.class_weights`;
            None for a plain mean.
        options: those of :class:`aucseg.losses.SegmentationLoss`.

    Raises:
        ValueError: for an unknown reduction, and as ``SegmentationLoss``.

    Shape:
        as ``SegmentationLoss``.

    Example:
        >>> loss = JaccardLoss(3, reduction="class", ce_weight=1 / 3)
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    def __init__(
        self,
        num_classes: int,
        *,
        reduction: str = "batch",
        ce_weight: float = 0.0,
        weights: Tensor | Sequence[float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(num_classes, ce_weight=ce_weight, weights=weights, **options)
        check_option("reduction", reduction, REDUCTIONS)
        self.reduction = reduction

    def overlap(self, logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        """One minus the soft IoU, reduced; see :meth:`OverlapLoss.overlap`."""
        sums = overlap_sums(logits, rows)
        if self.reduction == "batch":
            total, own, count = _joined(torch.stack((sums.total, sums.own, sums.pixels)).sum(1), group)
            return _mean(_jaccard(total, own, count), count > 0, self.mass(count > 0))
        present = sums.pixels > 0
        loss = _jaccard(sums.total, sums.own, sums.pixels).where(present, 0.0)
        if self.reduction == "image":
            mass = self.mass(present)
            by_image, held = _mean(loss, present, mass), mass.sum(1) > 0
            total, number = _joined(torch.stack((by_image.sum(), held.sum().to(loss))), group)
            return total / number.clamp(min=1)
        total, number = _joined(torch.stack((loss.sum(0), present.sum(0).to(loss))), group)
        return _mean(total / number.clamp(min=1), number > 0, self.mass(number > 0))

    def _shown(self) -> tuple[str, ...]:
        return ("reduction", "ce_weight")


class LovaszSoftmaxLoss(OverlapLoss):
    r"""Lovász-Softmax: the convex closure of the Jaccard loss of every class that occurs, over the batch.

    See :func:`aucseg.functional.lovasz_softmax` for the formula (Berman et al., 2018). The pixels of all
    images, and of all ranks, are sorted together, so that it is a surrogate of the IoU of a data set and not
    of single images. With the weights w of the classes, if there are any, it is
    :math:`\sum_{c \in C} w_c \bar\Delta_c / \sum_{c \in C} w_c`, C those that occur.

    Args:
        num_classes: number of classes K, at least 2.
        ce_weight: weight of a cross entropy that is added, of pixels that all count alike.
        weights: (K,), weights of the classes in the mean over them, see :func:`aucseg.losses.class_weights`;
            None for a plain mean.
        options: those of :class:`aucseg.losses.SegmentationLoss`.

    Raises:
        ValueError: as ``SegmentationLoss``.

    Shape:
        as ``SegmentationLoss``.

    Example:
        >>> loss = LovaszSoftmaxLoss(3)
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    def overlap(self, logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        """Mean of the Lovász extensions over the classes that occur; see :meth:`OverlapLoss.overlap`."""
        values, present = lovasz_softmax(logits, rows, group)
        return _mean(values, present, self.mass(present))


def _jaccard(total: Tensor, own: Tensor, count: Tensor) -> Tensor:
    union = total + count - own
    return 1 - own / union.where(count > 0, 1.0)


def _mean(values: Tensor, present: Tensor, mass: Tensor) -> Tensor:
    """Mean over the last axis of what is present, each by its mass; zero where nothing weighs anything.

    A nan of a class without weight stays one: a network that has diverged is not hidden by it.
    """
    total = mass.sum(-1)
    return (values.where(present, 0.0) * mass).sum(-1) / total.masked_fill(total == 0, 1)


def _joined(sums: Tensor, group: dist.ProcessGroup | None) -> tuple[Tensor, ...]:
    """Sums of all ranks, with the gradient of this one's, apart by their first axis."""
    return (sums if group is None else all_reduce(sums, group)).unbind()
