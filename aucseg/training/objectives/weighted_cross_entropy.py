"""Cross entropy in which each pixel has the weight of its class."""

from __future__ import annotations

from typing import Literal

from aucseg.losses import WeightedCrossEntropyLoss
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.composed import LossConfig, WeightsConfig


class WeightedCrossEntropyConfig(LossConfig, WeightsConfig):
    """Softmax cross entropy with a weight for each class, :class:`aucseg.losses.WeightedCrossEntropyLoss`.

    Attributes:
        name: ``"weighted_cross_entropy"``.
        auc: an AUC loss that is added; ``None`` for none.
        weights: how they follow from counts of the training split, ``"inverse"``, ``"sqrt_inverse"``,
            ``"effective_number"`` or ``"power"``, see :func:`aucseg.losses.class_weights`; or the weights
            themselves, one for each train id, for which nothing is counted.
        counts: of what, ``"pixels"`` or ``"images"`` that hold the class.
        beta: for ``"effective_number"``.
        power: for ``"power"``; 0.2 is DisAlign's.
        normalize: whether a batch's loss is divided by the weights of its pixels or by their number.
        weights_from: the step of the training at which the weights begin to count.
    """

    name: Literal["weighted_cross_entropy"] = "weighted_cross_entropy"

    def make(self, classes: ClassInfo) -> WeightedCrossEntropyLoss:
        """The loss; see :meth:`LossConfig.make`."""
        return WeightedCrossEntropyLoss(
            **self.weight_options(classes),
            ignore_index=classes.ignore_index,
            validate=False,  # no wait for the device; nan, which such input gives, ends a run
        )
