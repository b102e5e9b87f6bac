"""Region Rebalance: a region branch beside any objective of the pixels (Cui et al., 2022, Eq. 9)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator
from torch import Tensor, nn

from aucseg.losses import RegionBranch
from aucseg.models import classifier
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.base import OBJECTIVES, Objective, ObjectiveConfig
from aucseg.training.objectives.cross_entropy import CrossEntropyConfig
from aucseg.training.section import Choice, ConfigError


class RegionRebalanceConfig(ObjectiveConfig):
    r""":math:`\ell_{pixel} + \lambda \ell_{reg}`, see :class:`aucseg.losses.RegionBranch`.

    Attributes:
        name: ``"region_rebalance"``.
        weight: :math:`\lambda`.
        pixel: what the pixels are trained by: the section of any other objective, plain cross entropy by
            default.
        counts: which counts of the training split stand for F(k): of the images that hold a class, as in
            Eq. 7, or, as a mistake to compare with, of its pixels.
        regions, prior, classifier, labels, label_smoothing, dropout, scale: see the branch.
    """

    name: Literal["region_rebalance"] = "region_rebalance"
    weight: float = Field(0.3, ge=0, allow_inf_nan=False)
    pixel: SerializeAsAny[ObjectiveConfig] = CrossEntropyConfig()
    counts: Literal["images", "pixels"] = "images"
    regions: Literal["image", "batch", "connected"] = "image"
    prior: bool = True
    classifier: Literal["linear", "two_layers", "released", "simplex"] = "linear"
    labels: Literal["nearest", "area"] = "nearest"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    scale: float = Field(5.0, gt=0, allow_inf_nan=False)

    choices = MappingProxyType({"pixel": Choice(OBJECTIVES, "cross_entropy")})

    @field_validator("pixel", mode="plain")
    @classmethod
    def _by_name(cls, value: Any, info: ValidationInfo) -> Any:
        section = cls.choices["pixel"].pick(value, info)
        if isinstance(section, cls):
            raise ValueError("one region branch is enough; give the pixels another objective")
        return section

    def build(self, classes: ClassInfo) -> Objective:
        """The objective of a run; see :meth:`ObjectiveConfig.build`."""
        counts = classes.images if self.counts == "images" else classes.pixels
        options = self.model_dump(exclude={"name", "weight", "pixel", "counts"})
        options |= {"ignore_index": classes.ignore_index, "validate": False}
        return RegionRebalance(self.pixel.build(classes), self.weight, counts, options)


class RegionRebalance(Objective):
    """An objective of the pixels, and the region branch.

    The branch is made with the network, whose features it reads.

    Args:
        pixel: of the pixels.
        weight: of the region loss.
        counts: (K,), F(k).
        options: of the branch.
    """

    needs_features = True

    def __init__(self, pixel: Objective, weight: float, counts: Any, options: dict[str, Any]) -> None:
        super().__init__()
        self.pixel, self.weight = pixel, weight
        self._counts, self._options = counts, options
        self.branch: RegionBranch | None = None

    def attach(self, model: nn.Module) -> None:
        """Make the branch; see :meth:`Objective.attach`."""
        self.pixel.attach(model)
        try:
            self.branch = RegionBranch(self._counts, classifier(model).in_channels, **self._options)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"loss: {error}") from error

    def forward(self, logits: Tensor, target: Tensor, features: Tensor | None = None) -> dict[str, Tensor]:
        """The total, the pixels' parts and ``"region"``; see :meth:`Objective.forward`."""
        assert features is not None
        assert self.branch is not None
        parts = self.pixel(logits, target, features)
        region = self.branch(features, target)
        return parts | {"loss": parts["loss"] + self.weight * region, "region": region.detach()}
