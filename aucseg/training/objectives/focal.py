"""Focal loss."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aucseg.losses import FocalLoss
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.composed import PixelwiseConfig


class FocalConfig(PixelwiseConfig):
    """Focal loss, :class:`aucseg.losses.FocalLoss`.

    Attributes:
        name: ``"focal"``.
        auc, reweight: as every loss over pixels has them.
        gamma: exponent.
        variant: ``"softmax"``, or ``"sigmoid"`` for K binary problems.
        alpha: weight of the positives, for ``"sigmoid"``.
    """

    name: Literal["focal"] = "focal"
    gamma: float = Field(2.0, ge=0)
    variant: Literal["softmax", "sigmoid"] = "softmax"
    alpha: float | None = Field(None, gt=0, lt=1)

    def make(self, classes: ClassInfo) -> FocalLoss:
        """The loss; see :meth:`LossConfig.make`."""
        options = self.model_dump(include={"gamma", "variant", "alpha"})
        return FocalLoss(classes.num_classes, **options, **self.options(classes))
