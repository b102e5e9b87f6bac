"""Intersection over union and accuracy: per data set, image and class, and for head, middle and tail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from aucseg.functional.checks import (
    check_ignore_index,
    check_num_classes,
    check_option,
    class_index,
    label_map,
    logits_and_labels,
    where_float64_is,
)
from aucseg.metrics.figures import (
    FigureMetric,
    check_groups,
    group_means,
    group_names,
    share_of_units,
    units,
)


class SegmentationIoU(FigureMetric):
    r"""IoU and accuracy of each class over all pixels seen since the last reset, and their means.

    With the confusion matrix M (target in rows, prediction in columns), counted over the whole data set as
    the benchmarks do and not averaged over images:

    .. math::

        IoU_c = \frac{M_{cc}}{\sum_j M_{cj} + \sum_i M_{ic} - M_{cc}}, \qquad
        accuracy_c = \frac{M_{cc}}{\sum_j M_{cj}}

    A class that occurs in neither target nor prediction has no IoU, a class without a target pixel no
    accuracy: both are nan and the means pass over them. One that is predicted and occurs in no target has an
    IoU of 0, which counts in mIoU, as the benchmarks have it: those pixels are wrong. The means over head,
    middle and tail pass over it all the same. They tell how well the classes of a group are found, of this
    one there is nothing to find, and of the few classes of a tail it would make up a whole part of the mean.
    A labelled pixel that is predicted void, as
    predicted labels may be, is missed: it counts for its own class and for no other. So the class that
    ``ignore_index`` names, where it names one, has no figures.

    Beside the mean over the data set, to which large objects give most of their pixels, there are the means
    over images (Wang et al., 2023, "Revisiting Evaluation Metrics for Semantic Segmentation"). With
    :math:`IoU_{ic}` that of class c in image i, and only the pairs of an image and a class of which it has a
    labelled pixel:

    .. math::

        mIoU^I = \operatorname*{mean}_i \; \operatorname*{mean}_{c \in i} IoU_{ic}, \qquad
        mIoU^C = \operatorname*{mean}_c \; \operatorname*{mean}_{i \ni c} IoU_{ic}

    What is given as one item of a batch is an image. Counts are int64, so that 2^53 pixels and more stay
    exact, and ranks are joined by adding them; the shares of images are added in units of 2^-40, so that no
    order or number of ranks changes a bit.

    Args:
        num_classes: number of classes K, at least 2.
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each class (``ClassSpec.groups``); without it the
            group means are left out.
        ignore_index: label of void pixels.
        image_groups: a second grouping, by the number of images that hold a class
            (``aucseg.longtail.groups_by_images``), where ``groups`` go by pixels.
        threshold: where predictions are scores of one channel, for two classes: above which score a pixel is
            class 1. 0 for logits, 0.5 for probabilities; there is no default, as the scores do not tell which
            they are.
        size: ``"target"``: logits of another size than the target are resized to it, as the losses do.
        **options: those of ``torchmetrics.Metric``.

    Raises:
        ValueError: if groups do not fit the number of classes or hold another name, or an option is none.

    Example:
        >>> metric = SegmentationIoU(2, groups=("head", "tail"))
        >>> metric.update(torch.tensor([[[0, 1]]]), torch.tensor([[[0, 0]]]))
        >>> metric.compute()["iou"].tolist()
        [0.5, 0.0]
        >>> metric["mIoU"].compute().item()  # one figure as a metric, for the wrappers of torchmetrics
        0.25
    """

    by_class = ("iou", "accuracy", "iou_by_image")

    confusion: Tensor
    missed: Tensor
    images: Tensor
    image_share: Tensor
    class_images: Tensor
    class_share: Tensor

    def __init__(
        self,
        num_classes: int,
        groups: Sequence[str] | None = None,
        ignore_index: int = 255,
        *,
        image_groups: Sequence[str] | None = None,
        threshold: float | None = None,
        size: Literal["target"] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.num_classes = k = check_num_classes(num_classes)
        self.ignore_index, self.threshold = check_ignore_index(ignore_index), threshold
        check_option("size", size, ("target", None))
        self.size = size
        self.groups, self.image_groups = check_groups(groups, k), check_groups(image_groups, k)
        for name, shape in (
            ("confusion", (k, k)),
            ("missed", (k,)),  # predicted void
            ("images", ()),
            ("image_share", ()),
            ("class_images", (k,)),
            ("class_share", (k,)),
        ):
            self.add_state(name, default=torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            preds: (B, K, H, W) logits, floating point, or (B, H, W) predicted labels, integer; predictions
                at void pixels do not matter. For two classes also scores (B, 1, H, W), see ``threshold``.
                Labels may be ``ignore_index``, for no prediction.
            target: (B, H, W), integer of any width, 0 to K - 1 or ``ignore_index``; for two classes also
                boolean. An axis of length one for a channel is left out, of predicted labels too.

        Raises:
            TypeError: if the target is not integer.
            ValueError: if the shapes do not fit, a label is outside the classes, or a logit is nan.
        """
        self._count_maps(*self._maps(preds, target))

    def _maps(self, preds: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Classes (B, N) of target and prediction, checked, K for void and for no prediction."""
        k, highest = self.num_classes, None
        if isinstance(preds, Tensor) and preds.is_floating_point():
            scores, target = logits_and_labels(preds, target, k, size=self.size)
            highest, chosen = scores.max(1)
            preds = chosen if scores.shape[1] == preds.shape[1] else self._above(scores[:, 1])
        else:
            target = label_map(target, k)
            preds = label_map(preds, k, target.shape[1:], name="preds")
            if preds.shape != target.shape:
                raise ValueError(
                    f"preds have shape {tuple(preds.shape)}, target {tuple(target.shape)}; give logits of "
                    f"shape (B, K, H, W) or labels of the target's shape"
                )
        rows = class_index(target, k, self.ignore_index).flatten(1)
        if highest is not None:
            lost = highest.isnan().flatten(1) & (rows < k)
            if bool(lost.any()):
                raise ValueError(
                    f"{int(lost.sum())} labelled pixels have logits that are nan, of which none is the "
                    f"largest: see why the model diverged, or mark them as void"
                )
        # void becomes row k; predictions there are blanked first, since any label is allowed at them
        columns = preds.flatten(1).masked_fill(rows == k, self.ignore_index)
        return rows, class_index(columns, k, self.ignore_index, name="preds")

    def _count_maps(self, rows: Tensor, columns: Tensor) -> None:
        """Add the images of ``_maps``."""
        k = self.num_classes
        # Not torchmetrics' multiclass_confusion_matrix: the counts are the same and so is the time, but while
        # torch.use_deterministic_algorithms is on (Lightning's deterministic=True) and on Apple's devices it
        # compares every pixel with every cell at once, 1.7 TB for four images of 256 x 512 and 19 classes.
        # bincount without weights is deterministic everywhere.
        for row, column in zip(rows, columns, strict=True):
            cells = torch.bincount(row * (k + 1) + column, minlength=(k + 1) ** 2)
            self._count(cells.view(k + 1, k + 1)[:k])

    def _count(self, cells: Tensor) -> None:
        """Add the (K, K + 1) pixels of an image, by target and by prediction, void in the last column."""
        confusion, pixels = cells[:, :-1], cells.sum(1)
        held = pixels > 0
        hits = confusion.diagonal()
        union = (pixels + confusion.sum(0) - hits).clamp(min=1)
        # a class that the image does not hold has no hit, and so a share of 0
        share = where_float64_is(hits).double() / where_float64_is(union)
        mean = share.sum() / where_float64_is(held).sum().clamp(min=1)
        self.confusion += confusion
        self.missed += cells[:, -1]
        self.images += held.any()
        self.class_images += held
        self.class_share += units(share).to(self.class_share)
        self.image_share += units(mean).to(self.image_share)

    def _above(self, scores: Tensor) -> Tensor:
        if self.threshold is None:
            raise ValueError(
                "preds have one channel, and whether they are logits or probabilities they do not tell; give "
                "the metric threshold=0 for logits or threshold=0.5 for probabilities"
            )
        return (scores > self.threshold).long()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the figures that ``compute`` returns."""
        return (
            *("iou", "accuracy", "iou_by_image", "mIoU", "pixel_accuracy", "mAcc", "mIoU_I", "mIoU_C"),
            *(name for figure in ("mIoU", "mAcc", "mIoU_C") for name in group_names(self.groups, figure)),
            *(
                f"{name}_by_images"
                for figure in ("mIoU", "mAcc")
                for name in group_names(self.image_groups, figure)
            ),
        )

    def compute(self) -> dict[str, Tensor]:
        """The metrics so far.

        Returns:
            float64 tensors: (K,) ``"iou"``, ``"accuracy"`` and ``"iou_by_image"``, the mean IoU over the
            images that hold a class; scalars ``"mIoU"``, ``"mAcc"`` and ``"mIoU_C"``, the means of those
            three, ``"pixel_accuracy"`` and ``"mIoU_I"``. With groups each of the three means also for
            ``..._head``, ``..._middle`` and ``..._tail``, and with image groups the first two for
            ``..._head_by_images`` and so on. All are in [0, 1], or nan where nothing was counted. Where the
            device knows no float64 they are on the CPU.
        """
        confusion = where_float64_is(self.confusion).double()
        hits, predicted = confusion.diagonal(), confusion.sum(0)
        target = confusion.sum(1) + where_float64_is(self.missed)
        iou, accuracy = hits / (target + predicted - hits), hits / target
        by_image = share_of_units(self.class_share) / where_float64_is(self.class_images)
        images = share_of_units(self.image_share) / where_float64_is(self.images)
        there = iou.where(target > 0, torch.nan)  # IoU of the classes that can be found
        by_images = {
            **group_means(there, self.image_groups, "mIoU"),
            **group_means(accuracy, self.image_groups, "mAcc"),
        }
        return {
            "iou": iou,
            "accuracy": accuracy,
            "iou_by_image": by_image,
            "mIoU": iou.nanmean(),
            "pixel_accuracy": hits.sum() / target.sum(),
            "mAcc": accuracy.nanmean(),
            "mIoU_I": images,
            "mIoU_C": by_image.nanmean(),
            **group_means(there, self.groups, "mIoU"),
            **group_means(accuracy, self.groups, "mAcc"),
            **group_means(by_image, self.groups, "mIoU_C"),
            **{f"{name}_by_images": value for name, value in by_images.items()},
        }
