"""Intersection over union, overall and for head, middle and tail classes, from one confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from aucseg.functional.checks import (
    check_ignore_index,
    check_num_classes,
    class_index,
    label_map,
    logits_and_labels,
)

GROUPS = ("head", "middle", "tail")


class SegmentationIoU(Metric):
    """IoU and accuracy of each class over all pixels seen since the last reset, and their means.

    With the confusion matrix M (target in rows, prediction in columns), counted over the whole data set as
    the benchmarks do and not averaged over images:

        iou[c] = M[c, c] / (sum_j M[c, j] + sum_i M[i, c] - M[c, c]),   accuracy[c] = M[c, c] / sum_j M[c, j]

    A class that occurs in neither target nor prediction has no IoU, a class without a target pixel no
    accuracy: both are nan and the means pass over them. The counts are int64, so that 2^53 pixels and more
    stay exact, and ranks are joined by adding them.

    Args:
        num_classes: number of classes K, at least 2.
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each class (``ClassSpec.groups``); without it the
            group means are left out.
        ignore_index: label of void pixels.
        threshold: where predictions are scores of one channel, for two classes: above which score a pixel is
            class 1. 0 for logits, 0.5 for probabilities; there is no default, as the scores do not tell which
            they are.

    Raises:
        ValueError: if ``groups`` does not fit the number of classes or holds another name.

    Example:
        >>> metric = SegmentationIoU(2, groups=("head", "tail"))
        >>> metric.update(torch.tensor([[[0, 1]]]), torch.tensor([[[0, 0]]]))
        >>> metric.compute()["iou"].tolist()
        [0.5, 0.0]
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    confusion: Tensor

    def __init__(
        self,
        num_classes: int,
        groups: Sequence[str] | None = None,
        ignore_index: int = 255,
        *,
        threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = check_num_classes(num_classes)
        self.ignore_index, self.threshold = check_ignore_index(ignore_index), threshold
        self.groups = check_groups(groups, num_classes)
        zeros = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.add_state("confusion", default=zeros, dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            preds: (B, K, H, W) logits, floating point, or (B, H, W) predicted labels, integer; predictions
                at void pixels do not matter. For two classes also scores (B, 1, H, W), see ``threshold``.
            target: (B, H, W), integer of any width, 0 to K - 1 or ``ignore_index``; for two classes also
                boolean. An axis of length one for a channel is left out, of predicted labels too.

        Raises:
            TypeError: if the target is not integer.
            ValueError: if the shapes do not fit or a label is outside the classes.
        """
        if isinstance(preds, Tensor) and preds.is_floating_point():
            scores, target = logits_and_labels(preds, target, self.num_classes)
            preds = scores.argmax(1) if scores.shape[1] == preds.shape[1] else self._above(scores[:, 1])
        else:
            target = label_map(target, self.num_classes)
            preds = label_map(preds, self.num_classes, target.shape[1:], name="preds")
            if preds.shape != target.shape:
                raise ValueError(
                    f"preds have shape {tuple(preds.shape)}, target {tuple(target.shape)}; give logits of "
                    f"shape (B, K, H, W) or labels of the target's shape"
                )
        k = self.num_classes
        rows = class_index(target, k, self.ignore_index).flatten()
        # void becomes row k; predictions there are blanked first, since any label is allowed at them
        columns = class_index(preds.flatten().masked_fill(rows == k, 0), k, ignore_index=None, name="preds")
        # Not torchmetrics' multiclass_confusion_matrix: the counts are the same and so is the time, but while
        # torch.use_deterministic_algorithms is on (Lightning's deterministic=True) and on Apple's devices it
        # compares every pixel with every cell at once, 1.7 TB for four images of 256 x 512 and 19 classes.
        # bincount without weights is deterministic everywhere.
        cells = torch.bincount(rows * k + columns, minlength=k * (k + 1))
        self.confusion += cells[: k * k].view(k, k)

    def _above(self, scores: Tensor) -> Tensor:
        if self.threshold is None:
            raise ValueError(
                "preds have one channel, and whether they are logits or probabilities they do not tell; give "
                "the metric threshold=0 for logits or threshold=0.5 for probabilities"
            )
        return (scores > self.threshold).long()

    def compute(self) -> dict[str, Tensor]:
        """The metrics so far.

        Returns:
            float64 tensors: ``"iou"`` (K,) and ``"accuracy"`` (K,); scalars ``"mIoU"``,
            ``"pixel_accuracy"`` and, with groups, ``"mIoU_head"``, ``"mIoU_middle"``, ``"mIoU_tail"``. All
            are in [0, 1], or nan where nothing was counted.
        """
        confusion = self.confusion.to(torch.float64)
        hits, target, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
        iou = hits / (target + predicted - hits)
        return {
            "iou": iou,
            "accuracy": hits / target,
            "mIoU": iou.nanmean(),
            "pixel_accuracy": hits.sum() / target.sum(),
            **group_means(iou, self.groups, "mIoU"),
        }


def check_groups(groups: Sequence[str] | None, num_classes: int) -> tuple[str, ...] | None:
    """The groups as a tuple, if there is a known one for each class.

    Args:
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each class, or None for no groups.
        num_classes: number of classes K.

    Returns:
        The same names, or None.

    Raises:
        ValueError: if the number of names is not K or one of them is unknown.
    """
    if groups is None:
        return None
    if len(groups) != num_classes:
        raise ValueError(f"{len(groups)} groups for num_classes={num_classes}; give one for each")
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise ValueError(f"unknown group {unknown[0]!r}; use one of {', '.join(GROUPS)}")
    return tuple(groups)


def group_means(values: Tensor, groups: Sequence[str] | None, name: str) -> dict[str, Tensor]:
    """Mean of a figure over the classes of each group; classes where it is nan are passed over.

    Args:
        values: (K,), floating point.
        groups: what ``check_groups`` returns.
        name: of the figure.

    Returns:
        ``"<name>_head"``, ``"<name>_middle"`` and ``"<name>_tail"``, nan where nothing is left; empty without
        groups.
    """
    if groups is None:
        return {}
    means = {}
    for group in GROUPS:
        member = torch.tensor([own == group for own in groups], device=values.device)
        means[f"{name}_{group}"] = values[member].nanmean()
    return means
