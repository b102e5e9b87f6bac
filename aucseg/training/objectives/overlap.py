"""Losses of overlap: Dice, Jaccard metric loss, Lovász-Softmax."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from aucseg.losses import DiceLoss, JaccardLoss, LovaszSoftmaxLoss
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.composed import ClassWeightsConfig, LossConfig


class OverlapConfig(LossConfig):
    """A loss of overlap, and cross entropy beside it.

    Attributes:
        name: its name in ``OBJECTIVES``.
        auc: an AUC loss that is added; ``None`` for none.
        ce_weight: weight of the cross entropy; 0 leaves it out.
        reweight: weights of the classes in the mean over them; ``None`` for none. The cross entropy has none.
    """

    ce_weight: float = Field(0.0, ge=0)
    reweight: ClassWeightsConfig | None = None

    def options(self, classes: ClassInfo) -> dict[str, Any]:
        """The arguments that all losses of overlap have.

        Args:
            classes: of the run.
        """
        # no wait for the device; nan, which a label that is none gives, ends a run
        options = {"ce_weight": self.ce_weight, "ignore_index": classes.ignore_index, "validate": False}
        return options if self.reweight is None else options | self.reweight.weight_options(classes)


class DiceConfig(OverlapConfig):
    """Dice in the form of V-Net, :class:`aucseg.losses.DiceLoss`.

    Attributes:
        name: ``"dice"``.
        auc, ce_weight, reweight: as every loss of overlap has them.
        smooth: keeps the ratio of a class of few pixels from jumping.
    """

    name: Literal["dice"] = "dice"
    smooth: float = Field(1.0, ge=0)

    def make(self, classes: ClassInfo) -> DiceLoss:
        """The loss; see :meth:`LossConfig.make`."""
        return DiceLoss(classes.num_classes, smooth=self.smooth, **self.options(classes))


class JaccardConfig(OverlapConfig):
    """Jaccard metric loss, :class:`aucseg.losses.JaccardLoss`.

    Attributes:
        name: ``"jaccard"``.
        auc, ce_weight, reweight: as every loss of overlap has them.
        reduction: over the ``"batch"``, each ``"image"``, or images by ``"class"``.
    """

    name: Literal["jaccard"] = "jaccard"
    reduction: Literal["batch", "image", "class"] = "batch"

    def make(self, classes: ClassInfo) -> JaccardLoss:
        """The loss; see :meth:`LossConfig.make`."""
        return JaccardLoss(classes.num_classes, reduction=self.reduction, **self.options(classes))


class LovaszConfig(OverlapConfig):
    """Lovász-Softmax, :class:`aucseg.losses.LovaszSoftmaxLoss`.

    Attributes:
        name: ``"lovasz"``.
        auc, ce_weight, reweight: as every loss of overlap has them.
    """

    name: Literal["lovasz"] = "lovasz"

    def make(self, classes: ClassInfo) -> LovaszSoftmaxLoss:
        """The loss; see :meth:`LossConfig.make`."""
        return LovaszSoftmaxLoss(classes.num_classes, **self.options(classes))
