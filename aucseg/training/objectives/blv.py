"""Balancing logit variation, the second of the three papers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aucseg.losses import BLVLoss
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.composed import CountedConfig


class BLVConfig(CountedConfig):
    """Balancing logit variation, :class:`aucseg.losses.BLVLoss`, on the main output of the network.

    Its noise follows from the seed of the run and the step; the checkpoint holds where it is.

    Attributes:
        name: ``"blv"``.
        auc, reweight, counts: as every loss that is built of counts has them.
        sigma: standard deviation before clipping.
        variation, order, coefficient, draws: which of the readings.
        common_mean: a mean that every variation is scaled to.
        schedule: of sigma over the steps.
        peak_step, last_step: of a schedule.
    """

    name: Literal["blv"] = "blv"
    sigma: float = Field(6.0, ge=0)
    variation: Literal["gaussian", "uniform", "beta", "exponential", "constant", "mean"] = "gaussian"
    order: Literal["formula", "listing"] = "formula"
    coefficient: Literal["formula", "listing", "release", "ones", "mean"] = "formula"
    draws: Literal["pixel_class", "pixel", "class"] = "pixel_class"
    common_mean: float | None = Field(None, ge=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    peak_step: int = Field(30_000, ge=1)
    last_step: int = Field(40_000, ge=1)

    def make(self, classes: ClassInfo) -> BLVLoss:
        """The loss; see :meth:`LossConfig.make`."""
        own = self.model_dump(exclude={"name", "auc", "reweight", "counts"})
        return BLVLoss(classes.counts(self.counts), **own, **self.options(classes))
