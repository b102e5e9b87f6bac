"""Cross entropy in which each pixel has the weight of its class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from aucseg.losses import WeightedCrossEntropyLoss, class_weights
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.base import Objective, ObjectiveConfig
from aucseg.training.section import ConfigError

_BETA = 1 - 1e-6


class WeightedCrossEntropyConfig(ObjectiveConfig):
    """Softmax cross entropy with a weight for each class, :class:`aucseg.losses.WeightedCrossEntropyLoss`.

    Attributes:
        name: ``"weighted_cross_entropy"``.
        weights: how they follow from the pixels of the training split, ``"inverse"``, ``"sqrt_inverse"`` or
            ``"effective_number"``, see :func:`aucseg.losses.class_weights`; or the weights themselves, one
            for each train id, for which nothing is counted.
        beta: for ``"effective_number"``.
        normalize: whether a batch's loss is divided by the weights of its pixels or by their number.
    """

    name: Literal["weighted_cross_entropy"] = "weighted_cross_entropy"
    weights: Literal["inverse", "sqrt_inverse", "effective_number"] | tuple[float, ...] = "inverse"
    beta: float = Field(_BETA, ge=0, lt=1)
    normalize: Literal["weights", "pixels"] = "weights"

    @model_validator(mode="after")
    def _check(self) -> WeightedCrossEntropyConfig:
        if self.beta != _BETA and self.weights != "effective_number":
            raise ValueError(
                f"beta has a part in weights 'effective_number' only; leave it out, got {self.beta}"
            )
        return self

    def build(self, classes: ClassInfo) -> Objective:
        """The objective of a run; see :meth:`ObjectiveConfig.build`."""
        given: Sequence[float] | Tensor
        if isinstance(self.weights, str):
            given = class_weights(torch.from_numpy(classes.pixels), rule=self.weights, beta=self.beta)
        elif len(self.weights) == classes.num_classes:
            given = self.weights
        else:
            raise ConfigError(
                f"loss.weights: one for each of the {classes.num_classes} classes, got {len(self.weights)}"
            )
        try:
            loss = WeightedCrossEntropyLoss(
                given,
                ignore_index=classes.ignore_index,
                normalize=self.normalize,
                validate=False,  # no wait for the device; nan, which such input gives, ends a run
            )
        except ValueError as error:
            raise ConfigError(f"loss.{error}") from error
        return WeightedCrossEntropy(loss)


class WeightedCrossEntropy(Objective):
    """The weighted mean over labelled pixels.

    Args:
        loss: the loss with its weights.
    """

    def __init__(self, loss: WeightedCrossEntropyLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, target: Tensor, features: Tensor | None = None) -> dict[str, Tensor]:
        """The total, and the same number as ``"weighted_cross_entropy"``; see :meth:`Objective.forward`."""
        loss = self.loss(logits, target)
        return {"loss": loss, "weighted_cross_entropy": loss.detach()}
