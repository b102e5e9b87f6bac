"""Logits shifted or scaled by how often a class occurs: LA, balanced softmax, VS, LDAM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aucseg.losses import BalancedSoftmaxLoss, LDAMLoss, LogitAdjustedLoss, VSLoss
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.composed import CountedConfig


class LogitAdjustedConfig(CountedConfig):
    """Logit adjustment, :class:`aucseg.losses.LogitAdjustedLoss`.

    Attributes:
        name: ``"logit_adjusted"``.
        auc, reweight, counts: as every loss that is built of counts has them.
        tau: strength of the prior.
    """

    name: Literal["logit_adjusted"] = "logit_adjusted"
    tau: float = Field(1.0, ge=0)

    def make(self, classes: ClassInfo) -> LogitAdjustedLoss:
        """The loss; see :meth:`LossConfig.make`."""
        return LogitAdjustedLoss(classes.counts(self.counts), tau=self.tau, **self.options(classes))


class BalancedSoftmaxConfig(CountedConfig):
    """Balanced softmax, :class:`aucseg.losses.BalancedSoftmaxLoss`.

    Attributes:
        name: ``"balanced_softmax"``.
        auc, reweight: as every loss over pixels has them.
        counts: ``"pixels"``, or ``"images"`` for the region prior of Region Rebalance (Table 1).
    """

    name: Literal["balanced_softmax"] = "balanced_softmax"

    def make(self, classes: ClassInfo) -> BalancedSoftmaxLoss:
        """The loss; see :meth:`LossConfig.make`."""
        return BalancedSoftmaxLoss(classes.counts(self.counts), **self.options(classes))


class VSConfig(CountedConfig):
    """Vector scaling, :class:`aucseg.losses.VSLoss`.

    Attributes:
        name: ``"vs"``.
        auc, reweight, counts: as every loss that is built of counts has them.
        gamma: exponent of the scales.
        tau: strength of the offsets.
    """

    name: Literal["vs"] = "vs"
    gamma: float = Field(0.3, ge=0)
    tau: float = Field(1.0, ge=0)

    def make(self, classes: ClassInfo) -> VSLoss:
        """The loss; see :meth:`LossConfig.make`."""
        counts = classes.counts(self.counts)
        return VSLoss(counts, gamma=self.gamma, tau=self.tau, **self.options(classes))


class LDAMConfig(CountedConfig):
    """Label-distribution-aware margins, :class:`aucseg.losses.LDAMLoss`.

    At its scale of 30 it wants ``model.head: cosine``; on a linear head train it with ``scale: 1``. With
    ``reweight`` and its ``weights_from`` it is LDAM-DRW.

    Attributes:
        name: ``"ldam"``.
        auc, reweight, counts: as every loss that is built of counts has them.
        max_margin: margin of the rarest class.
        scale: factor of the logits.
    """

    name: Literal["ldam"] = "ldam"
    max_margin: float = Field(0.5, ge=0)
    scale: float = Field(30.0, gt=0)

    def make(self, classes: ClassInfo) -> LDAMLoss:
        """The loss; see :meth:`LossConfig.make`."""
        counts = classes.counts(self.counts)
        return LDAMLoss(counts, max_margin=self.max_margin, scale=self.scale, **self.options(classes))
