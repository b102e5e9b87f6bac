"""One loss of the logits as an objective, the weights of its classes, and the AUC added to it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from aucseg.losses import AUCLoss, class_weights
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.auc import AUCOptions
from aucseg.training.objectives.base import Objective, ObjectiveConfig
from aucseg.training.section import ConfigError, Section

Unit = Literal["pixels", "images"]

_BETA, _POWER = 1 - 1e-6, 0.2


class AddedAUCConfig(AUCOptions):
    r"""An AUC loss beside another loss: :math:`\ell + w \, \ell_{auc}`.

    Attributes:
        weight: w.
        surrogate, multiclass, margin, scale, activation, reduction, region_weights, pairs, queue: as in
            objective ``auc``.
    """

    weight: float = Field(1.0, gt=0)


class ClassWeightsConfig(Section):
    """A weight for each class.

    Attributes:
        weights: how they follow from counts of the training split, ``"inverse"``, ``"sqrt_inverse"``,
            ``"effective_number"`` or ``"power"``, see :func:`aucseg.losses.class_weights`; or the weights
            themselves, one for each train id, for which nothing is counted.
        counts: of what, ``"pixels"`` or ``"images"`` that hold the class. Class-balanced weights as published
            are ``weights: effective_number, beta: 0.9999, counts: images``.
        beta: for ``"effective_number"``.
        power: for ``"power"``; 0.2 is DisAlign's.
    """

    weights: Literal["inverse", "sqrt_inverse", "effective_number", "power"] | tuple[float, ...] = "inverse"
    counts: Unit = "pixels"
    beta: float = Field(_BETA, ge=0, lt=1)
    power: float = Field(_POWER, ge=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.beta != _BETA and self.weights != "effective_number":
            raise ValueError(
                f"beta has a part in weights 'effective_number' only; leave it out, got {self.beta}"
            )
        if self.power != _POWER and self.weights != "power":
            raise ValueError(f"power has a part in weights 'power' only; leave it out, got {self.power}")
        if self.counts != "pixels" and not isinstance(self.weights, str):
            raise ValueError(
                f"counts has no part in weights that are given; leave it out, got {self.counts!r}"
            )
        return self

    def weight_options(self, classes: ClassInfo) -> dict[str, Any]:
        """The arguments of a loss that they make.

        Args:
            classes: of the run.

        Raises:
            ConfigError: if there are not as many as classes.
        """
        if isinstance(self.weights, str):
            counts, options = classes.counts(self.counts), {"beta": self.beta, "power": self.power}
            weights = class_weights(counts, rule=self.weights, **options).tolist()
        elif len(self.weights) == classes.num_classes:
            weights = list(self.weights)
        else:
            raise ConfigError(
                f"loss.weights: one for each of the {classes.num_classes} classes, got {len(self.weights)}"
            )
        return {"weights": weights}


class WeightsConfig(ClassWeightsConfig):
    """A weight for each class of a mean over pixels, and when it begins to count.

    Attributes:
        weights, counts, beta, power: as :class:`ClassWeightsConfig` has them.
        normalize: whether a batch's loss is divided by the weights of its pixels or by their number.
        weights_from: the step of the training at which the weights begin to count; deferred re-weighting.
    """

    normalize: Literal["weights", "pixels"] = "weights"
    weights_from: int = Field(0, ge=0)

    def weight_options(self, classes: ClassInfo) -> dict[str, Any]:
        """The arguments of :class:`aucseg.losses.PixelwiseLoss`.

        Args:
            classes: of the run.

        Raises:
            ConfigError: if there are not as many as classes.
        """
        return super().weight_options(classes) | {
            "normalize": self.normalize,
            "weights_from": self.weights_from,
        }


class LossConfig(ObjectiveConfig):
    """One loss ``loss(logits, target)``, and the AUC beside it where that is wanted.

    Attributes:
        name: its name in ``OBJECTIVES``.
        auc: an AUC loss that is added; ``None`` for none.
    """

    auc: AddedAUCConfig | None = None

    def make(self, classes: ClassInfo) -> nn.Module:
        """The loss. A ``ValueError`` in it is told as one of the configuration.

        Args:
            classes: of the run.
        """
        raise NotImplementedError

    def build(self, classes: ClassInfo) -> Objective:
        """The objective of a run; see :meth:`ObjectiveConfig.build`."""
        try:
            loss = self.make(classes)
            auc = None
            if self.auc is not None:
                auc = AUCLoss(classes.num_classes, **self.auc.auc_options(classes))
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"loss: {error}") from error
        return LossObjective(self.name, loss, auc, 0.0 if self.auc is None else self.auc.weight)


class PixelwiseConfig(LossConfig):
    """A loss that is a mean over pixels, whose classes can be weighed.

    Attributes:
        name: its name in ``OBJECTIVES``.
        auc: an AUC loss that is added; ``None`` for none.
        reweight: weights of the classes; ``None`` for none.
    """

    reweight: WeightsConfig | None = None

    def options(self, classes: ClassInfo) -> dict[str, Any]:
        """The arguments that all losses over pixels have.

        Args:
            classes: of the run.
        """
        options: dict[str, Any] = {
            "ignore_index": classes.ignore_index,
            "validate": False,  # no wait for the device; nan, which such input gives, ends a run
        }
        return options if self.reweight is None else options | self.reweight.weight_options(classes)


class CountedConfig(PixelwiseConfig):
    """A loss over pixels that is built of how often each class occurs in the training split.

    Attributes:
        name: its name in ``OBJECTIVES``.
        auc: an AUC loss that is added; ``None`` for none.
        reweight: weights of the classes; ``None`` for none.
        counts: what is counted: ``"pixels"``, or ``"images"`` that hold the class.
    """

    counts: Unit = "pixels"


class LossObjective(Objective):
    """A loss, and with a weight the AUC loss of the same logits.

    Args:
        name: what the loss is called among the parts.
        loss: a module ``loss(logits, target)``.
        auc: the AUC loss, or None.
        weight: its weight.
    """

    def __init__(self, name: str, loss: nn.Module, auc: AUCLoss | None = None, weight: float = 0.0) -> None:
        super().__init__()
        self.name, self.weight = name, weight
        self.loss, self.auc = loss, auc

    def forward(self, logits: Tensor, target: Tensor, features: Tensor | None = None) -> dict[str, Tensor]:
        """The total, the loss under its name and, where it is added, ``"auc"``."""
        own = self.loss(logits, target)
        if self.auc is None:
            return {"loss": own, self.name: own.detach()}
        auc = self.auc(logits, target)
        return {"loss": own + self.weight * auc, self.name: own.detach(), "auc": auc.detach()}
