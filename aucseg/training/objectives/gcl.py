"""Gaussian clouded logits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aucseg.losses import GCLLoss
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.composed import CountedConfig


class GCLConfig(CountedConfig):
    """Gaussian clouded logits, :class:`aucseg.losses.GCLLoss`; at its scale it wants ``model.head: cosine``.

    Its noise follows from the seed of the run and the step; the checkpoint holds where it is.

    Attributes:
        name: ``"gcl"``.
        auc, reweight, counts: as every loss that is built of counts has them.
        strength: the largest that the cloud of the rarest class lowers its cosine.
        sigma: standard deviation before clipping.
        scale: factor of the logits.
        draws: what shares a draw.
    """

    name: Literal["gcl"] = "gcl"
    strength: float = Field(0.5, ge=0)
    sigma: float = Field(1 / 3, ge=0)
    scale: float = Field(30.0, gt=0)
    draws: Literal["pixel_class", "pixel", "class"] = "pixel_class"

    def make(self, classes: ClassInfo) -> GCLLoss:
        """The loss; see :meth:`LossConfig.make`."""
        own = self.model_dump(include={"strength", "sigma", "scale", "draws"})
        return GCLLoss(classes.counts(self.counts), **own, **self.options(classes))
