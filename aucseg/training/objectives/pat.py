"""Pixel-wise adaptive training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aucseg.losses import PATLoss
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.composed import PixelwiseConfig


class PATConfig(PixelwiseConfig):
    """Pixel-wise adaptive training, :class:`aucseg.losses.PATLoss`.

    Attributes:
        name: ``"pat"``.
        auc, reweight: as every loss over pixels has them.
        temperature: of the inverted softmax.
        weighting: ``"inverted_softmax"``, or ``"archive"`` for what the paper's archive has instead.
    """

    name: Literal["pat"] = "pat"
    temperature: float = Field(1.0, gt=0)
    weighting: Literal["inverted_softmax", "archive"] = "inverted_softmax"

    def make(self, classes: ClassInfo) -> PATLoss:
        """The loss; see :meth:`LossConfig.make`."""
        own = self.model_dump(include={"temperature", "weighting"})
        return PATLoss(classes.num_classes, **own, **self.options(classes))
