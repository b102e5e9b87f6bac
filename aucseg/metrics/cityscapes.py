"""The figures of the Cityscapes benchmark beside IoU: of categories of classes, and weighed by instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from aucseg.functional.checks import check_number, label_map, where_float64_is
from aucseg.metrics.figures import share_of_units, units
from aucseg.metrics.iou import SegmentationIoU

CATEGORIES = (
    *("flat", "flat", "construction", "construction", "construction", "object", "object", "object"),
    *("nature", "nature", "sky", "human", "human"),
    *("vehicle",) * 6,
)
"""Category of each of the nineteen classes of Cityscapes, in the order of their training labels."""

INSTANCE_SIZES = (
    *(None,) * 11,
    3462.4756337644,
    3930.4788056518,
    12794.0202738185,
    27855.1264367816,
    35732.1511111111,
    67583.7075812274,
    6298.7200839748,
    4672.3249222261,
)
"""Mean size in pixels of an instance of each of the nineteen classes, as the benchmark's evaluation has it;
``None`` for classes without instances."""


class CityscapesIoU(SegmentationIoU):
    r"""IoU and accuracy as :class:`SegmentationIoU`, of categories too, and the instance-level iIoU of both.

    A **category** g is a set of classes; a pixel of one that is predicted as any of them is found.
    With the confusion matrix M:

    .. math:: IoU_g = \frac{TP_g}{TP_g + FP_g + FN_g}, \qquad TP_g = \sum_{c, d \in g} M_{cd}

    The **instance-level IoU** asks how well the single objects of a class are found, whatever their size
    (Cordts et al., 2016, "The Cityscapes Dataset", section 4.1). Pixels of an instance i of class c count by
    the mean size of its class, :math:`s_c`, over its own, :math:`n_i`, so that each instance has the same
    weight:

    .. math::

        iIoU_c = \frac{iTP_c}{iTP_c + FP_c + iFN_c}, \qquad
        iTP_c = \sum_{i} \frac{s_c}{n_i} \, tp_i, \quad iFN_c = \sum_{i} \frac{s_c}{n_i} \, (n_i - tp_i)

    False positives are of no instance and count as they are. A pixel of a class that has instances, and of
    none itself (a crowd), counts in IoU only. For a category whose classes all have instances, ``tp_i`` are
    the pixels of the instance that are predicted as any class of the category. A labelled pixel that is
    predicted void is missed in all of these.

    These are the figures of cityscapesscripts (``evalPixelLevelSemanticLabeling``), on training labels.
    Shares of instances are added in units of 2^-40, so that no order or number of ranks changes a bit.

    Args:
        num_classes: number of classes K.
        groups, ignore_index: as :class:`SegmentationIoU`.
        categories: name of the category of each class; by default Cityscapes' seven.
        instance_sizes: mean size in pixels of an instance of each class, ``None`` for a class without
            instances; by default those of Cityscapes. ``None`` as a whole leaves the instances out.
        least_instance: smallest number in ``instances`` that is one of an instance: 1000 for Cityscapes'
            ``*_instanceIds.png``, whose smaller numbers are labels.
        **options: further ones of :class:`SegmentationIoU`.

    Raises:
        ValueError: if categories or sizes do not fit the number of classes, or a size is not positive.

    Example:
        >>> metric = CityscapesIoU(2, categories=("human", "human"), instance_sizes=(4, 4), least_instance=1)
        >>> target, instances = torch.tensor([[[0, 0, 0, 1]]]), torch.tensor([[[1, 1, 1, 2]]])
        >>> metric.update(torch.tensor([[[0, 1, 1, 1]]]), target, instances)
        >>> {name: round(value.item(), 3) for name, value in metric.compute().items() if "iIoU" in name}
        {'iIoU': 0.5, 'iIoU_category': 1.0}
    """

    instances: Tensor
    instance_share: Tensor
    category_share: Tensor

    def __init__(
        self,
        num_classes: int = 19,
        groups: Sequence[str] | None = None,
        ignore_index: int = 255,
        *,
        categories: Sequence[str] = CATEGORIES,
        instance_sizes: Sequence[float | None] | None = INSTANCE_SIZES,
        least_instance: int = 1000,
        **options: Any,
    ) -> None:
        super().__init__(num_classes, groups, ignore_index, **options)
        k = self.num_classes
        for name, given in (("categories", categories), ("instance_sizes", instance_sizes)):
            if given is not None and len(given) != k:
                raise ValueError(f"{len(given)} {name} for num_classes={k}; give one for each class")
        self.categories, self.least_instance = tuple(categories), least_instance
        self.instance_sizes = instance_sizes and tuple(
            size if size is None else check_number("instance_sizes", size, least=0, above=True)
            for size in instance_sizes
        )
        for name in ("instances", "instance_share", "category_share"):
            self.add_state(name, default=torch.zeros(k, dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def category_names(self) -> tuple[str, ...]:
        """The categories in the order in which they first occur, which is that of ``"iou_category"``."""
        return tuple(dict.fromkeys(self.categories))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the figures that ``compute`` returns."""
        own = ("iou_category", "mIoU_category")
        weighed = ("iiou", "iIoU", "iiou_category", "iIoU_category") if self.instance_sizes else ()
        return (*super().names, *own, *weighed)

    def update(self, preds: Tensor, target: Tensor, instances: Tensor | None = None) -> None:
        """Count a batch.

        Args:
            preds: as :meth:`SegmentationIoU.update`.
            target: likewise.
            instances: (B, H, W), integer: which object of its class a pixel belongs to, by a number within
                its image; below ``least_instance`` for no object. An axis of length one for a channel is left
                out. Not wanted where the metric has no ``instance_sizes``.

        Raises:
            TypeError: if target or instances are not integer.
            ValueError: as :meth:`SegmentationIoU.update`, or if the instances are missing or do not fit.
        """
        rows, columns = self._maps(preds, target)
        if self.instance_sizes is not None:
            numbers = self._numbers(instances, tuple(label_map(target, self.num_classes).shape))
            for row, column, number in zip(rows, columns, numbers, strict=True):
                self._count_instances(row, column, number)
        self._count_maps(rows, columns)

    def _numbers(self, instances: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        """Numbers (B, N) of instances, checked."""
        if instances is None:
            raise ValueError(
                "an instance-level IoU needs instances=, which object each pixel belongs to; without them "
                "build the metric with instance_sizes=None for the IoU of classes and categories"
            )
        if instances.is_floating_point() or instances.dtype == torch.bool:
            raise TypeError(f"instances are whole numbers of objects, got {instances.dtype}")
        if instances.ndim == len(shape) + 1 and instances.shape[1] == 1:
            instances = instances[:, 0]
        if tuple(instances.shape) != shape:
            raise ValueError(f"instances have shape {tuple(instances.shape)}, target {shape}")
        return instances.flatten(1)

    def _count_instances(self, row: Tensor, column: Tensor, number: Tensor) -> None:
        """Add the objects of an image: how many of each class, and which share of each was found."""
        k = self.num_classes
        sized = torch.tensor([size is not None for size in self.instance_sizes or ()] + [False]).to(
            row.device
        )
        counts = (number >= self.least_instance) & sized[row]
        row, column, number = row[counts], column[counts], number[counts]
        if not len(row):
            return
        # an object is the pixels of one number and one label
        _, number = number.unique(return_inverse=True)
        keys, of = (number * k + row).unique(return_inverse=True)
        label = keys % k
        category = self._category_of(row.device)
        size = torch.bincount(of, minlength=len(keys))
        for share, found in (
            (self.instance_share, column == row),
            (self.category_share, category[column] == category[row]),
        ):
            hits = torch.bincount(of[found], minlength=len(keys))
            part = where_float64_is(hits).double() / where_float64_is(size)
            share.index_add_(0, label.to(share.device), units(part).to(share))
        self.instances += torch.bincount(label, minlength=k)

    def _category_of(self, device: torch.device) -> Tensor:
        """(K + 1,) number of each class's category, -1 for void."""
        names = self.category_names
        return torch.tensor([*(names.index(name) for name in self.categories), -1], device=device)

    def compute(self) -> dict[str, Tensor]:
        """The metrics so far.

        Returns:
            As :meth:`SegmentationIoU.compute`, and float64: ``"iou_category"``, of each of
            ``category_names`` (a scalar if there is one, as torchmetrics drops axes of length one), and its
            mean ``"mIoU_category"``; with instances (K,) ``"iiou"``, nan for classes without instances, its
            mean ``"iIoU"``, and ``"iiou_category"``, nan for a category of which a class has no instances,
            with its mean ``"iIoU_category"``.
        """
        confusion = where_float64_is(self.confusion).double()
        device = confusion.device
        of = self._category_of(device)[:-1]
        member = (of == torch.arange(len(self.category_names), device=device)[:, None]).double()
        joined = member @ confusion @ member.T
        hits = joined.diagonal()
        missed = where_float64_is(self.missed).double()
        false = joined.sum(0) - hits
        iou = hits / (joined.sum(1) + member @ missed + false)
        figures = {**super().compute(), "iou_category": iou, "mIoU_category": iou.nanmean()}
        if self.instance_sizes is None:
            return figures
        sizes = confusion.new_tensor([size or torch.nan for size in self.instance_sizes])
        whole = sizes * where_float64_is(self.instances)
        own = sizes * share_of_units(self.instance_share)
        shared = sizes * share_of_units(self.category_share)
        iiou = own / (whole + confusion.sum(0) - confusion.diagonal())
        # nan of a class without instances makes that of its category
        sums = [
            torch.stack([values[of == g].sum() for g in range(len(member))]) for values in (shared, whole)
        ]
        by_category = sums[0] / (sums[1] + false)
        return {
            **figures,
            "iiou": iiou,
            "iIoU": iiou.nanmean(),
            "iiou_category": by_category,
            "iIoU_category": by_category.nanmean(),
        }
