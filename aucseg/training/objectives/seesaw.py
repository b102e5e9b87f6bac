"""Seesaw loss."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aucseg.losses import SeesawLoss
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.composed import PixelwiseConfig


class SeesawConfig(PixelwiseConfig):
    """Seesaw loss, :class:`aucseg.losses.SeesawLoss`.

    It counts pixels while it trains, those that a bank pasted too; the numbers are kept in the checkpoint.

    Attributes:
        name: ``"seesaw"``.
        auc, reweight: as every loss over pixels has them.
        p: exponent of the mitigation.
        q: exponent of the compensation.
        floor: least probability of the own class in the compensation.
    """

    name: Literal["seesaw"] = "seesaw"
    p: float = Field(1.2, ge=0)
    q: float = Field(1.0, ge=0)
    floor: float = Field(0.01, ge=0, lt=1)

    def make(self, classes: ClassInfo) -> SeesawLoss:
        """The loss; see :meth:`LossConfig.make`."""
        own = self.model_dump(include={"p", "q", "floor"})
        return SeesawLoss(classes.num_classes, **own, **self.options(classes))
