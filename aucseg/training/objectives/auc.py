"""The AUC loss and the cross entropy beside it (AUCSeg, Algorithm 2, line 21)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from torch import Tensor

from aucseg.losses import AUCLoss, AUCSegLoss, SumQueue, ohem_cross_entropy
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.base import Objective, ObjectiveConfig
from aucseg.training.section import ConfigError, Section


class QueueConfig(Section):
    """Recent batches that stand in for missing classes; see :class:`aucseg.losses.SumQueue`.

    Attributes:
        momentum, batches: one of the two.
        max_age: steps after which a class that has not been seen is left out again.
    """

    momentum: float | None = Field(None, ge=0, lt=1)
    batches: int | None = Field(None, ge=1)
    max_age: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one_of_two(self) -> QueueConfig:
        if (self.momentum is None) == (self.batches is None):
            raise ValueError(f"give momentum or batches, one of them; got {self.momentum} and {self.batches}")
        return self


class AUCOptions(Section):
    """The AUC loss of a run, alone or beside another loss.

    Attributes:
        surrogate, multiclass, margin, scale, activation, reduction: see :class:`aucseg.losses.AUCLoss`.
        region_weights: what counts the same, each of the ``"pixels"`` of a class, or each of its connected
            parts, ``"objects"``.
        pairs: all pairs of classes, or those of a tail class and one that is not.
        queue: recent batches for the classes that a batch lacks.
    """

    surrogate: Literal["square", "hinge", "squared_hinge", "exp", "logistic"] = "square"
    multiclass: Literal["ovo", "ova"] = "ovo"
    margin: float = Field(1.0, gt=0)
    scale: float = Field(1.0, gt=0)
    activation: Literal["sigmoid", "softmax", "identity"] = "sigmoid"
    reduction: Literal["mean", "sum"] = "mean"
    region_weights: Literal["pixels", "objects"] = "pixels"
    pairs: Literal["all", "tail_versus_rest"] = "all"
    queue: QueueConfig | None = None

    def auc_options(self, classes: ClassInfo) -> dict[str, Any]:
        """The arguments of :class:`aucseg.losses.AUCLoss`.

        Args:
            classes: of the run.
        """
        options: dict[str, Any] = self.model_dump(include=set(AUCOptions.model_fields) - {"pairs", "queue"})
        return options | {
            "tail_classes": classes.tail if self.pairs == "tail_versus_rest" else None,
            "ignore_index": classes.ignore_index,
            "queue": None if self.queue is None else SumQueue(**self.queue.model_dump()),
            "validate": False,  # no wait for the device; nan, which such input gives, ends a run
        }


class AUCConfig(ObjectiveConfig, AUCOptions):
    r""":math:`\ell_{auc} + \lambda \ell_{ce}`, with the mean over present ordered pairs.

    Attributes:
        name: ``"auc"``.
        ce_weight: :math:`\lambda`. AUCSeg finds 1/4 best on ADE20K (Table 23).
        surrogate, multiclass, margin, scale, activation, reduction: see :class:`aucseg.losses.AUCLoss`.
        region_weights: what counts the same in the AUC, ``"pixels"`` or connected ``"objects"``.
        pairs: all pairs of classes, or those of a tail class and one that is not.
        ohem: the cross entropy is that of the hard pixels of a batch only, as STDC has it; see
            :func:`aucseg.losses.ohem_cross_entropy`, whose defaults it takes. The AUC loss has all pixels.
        queue: recent batches for the classes that a batch lacks.
    """

    name: Literal["auc"] = "auc"
    ce_weight: float = Field(0.25, ge=0)
    ohem: bool = False

    def build(self, classes: ClassInfo) -> Objective:
        """The objective of a run; see :meth:`ObjectiveConfig.build`."""
        try:
            options = self.auc_options(classes)
            if self.ohem:
                return AUCObjective(AUCLoss(classes.num_classes, **options), self.ce_weight)
            return AUCObjective(AUCSegLoss(classes.num_classes, ce_weight=self.ce_weight, **options))
        except ValueError as error:
            raise ConfigError(f"loss: {error}") from error


class AUCObjective(Objective):
    """AUC and cross entropy.

    Args:
        auc: an :class:`aucseg.losses.AUCSegLoss`, which has both in one pass over the pixels; or an AUC loss
            alone, beside which the cross entropy is that of hard pixels. One pass cannot know those
            beforehand: they are then found among the pixels of this device.
        ce_weight: weight of the cross entropy of hard pixels.
    """

    def __init__(self, auc: AUCLoss, ce_weight: float = 0.0) -> None:
        super().__init__()
        self.auc = auc
        self.ce_weight = ce_weight

    def forward(self, logits: Tensor, target: Tensor, features: Tensor | None = None) -> dict[str, Tensor]:
        """The total, ``"auc"`` and ``"cross_entropy"``; see :meth:`Objective.forward`."""
        if isinstance(self.auc, AUCSegLoss):
            parts = self.auc.parts(logits, target)
            return {name: value if name == "loss" else value.detach() for name, value in parts.items()}
        ce = ohem_cross_entropy(logits.float(), target, ignore_index=self.auc.ignore_index)
        auc = self.auc(logits, target)
        return {"loss": auc + self.ce_weight * ce, "auc": auc.detach(), "cross_entropy": ce.detach()}
