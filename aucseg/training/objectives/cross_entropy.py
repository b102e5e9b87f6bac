"""Cross entropy over all labelled pixels, or over the hard ones."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationInfo, model_validator
from torch import Tensor

from aucseg.losses import cross_entropy, ohem_cross_entropy
from aucseg.training.classes import ClassInfo
from aucseg.training.objectives.base import Objective, ObjectiveConfig

# Both objectives once shared one section, and files of that time carry the keys of the AUC here too.
_KEYS_OF_AUC: dict[str, Any] = {
    "ce_weight": 0.25,
    "surrogate": "square",
    "multiclass": "ovo",
    "margin": 1.0,
    "scale": 1.0,
    "activation": "sigmoid",
    "reduction": "mean",
    "pairs": "all",
    "queue": None,
}


class CrossEntropyConfig(ObjectiveConfig):
    """Softmax cross entropy (AUCSeg, Eq. 2), averaged over the labelled pixels of a batch.

    Attributes:
        name: ``"cross_entropy"``.
        ohem: over the hard pixels only, as STDC has it; see :func:`aucseg.losses.ohem_cross_entropy`, whose
            defaults it takes.
    """

    name: Literal["cross_entropy"] = "cross_entropy"
    ohem: bool = False

    @model_validator(mode="before")
    @classmethod
    def _forget_the_keys_of_auc(cls, content: Any, info: ValidationInfo) -> Any:
        """Leave out what an older version wrote at its default.

        Another value is a mistake in a configuration that is written now; in one that was recorded it never
        had a meaning.
        """
        if not isinstance(content, dict):
            return content
        recorded = bool(info.context and info.context.get("recorded"))
        for key, default in _KEYS_OF_AUC.items():
            if key in content and content[key] != default and not recorded:
                raise ValueError(
                    f"{key} has no part in objective 'cross_entropy'; leave it out, got {content[key]!r}"
                )
        return {key: value for key, value in content.items() if key not in _KEYS_OF_AUC}

    def build(self, classes: ClassInfo) -> Objective:
        """The objective of a run; see :meth:`ObjectiveConfig.build`."""
        return CrossEntropyObjective(ohem=self.ohem, ignore_index=classes.ignore_index)


class CrossEntropyObjective(Objective):
    """The mean over labelled pixels, or over the hard ones of them.

    Args:
        ohem: over the hard ones.
        ignore_index: the void label.
    """

    def __init__(self, *, ohem: bool = False, ignore_index: int = 255) -> None:
        super().__init__()
        self.ohem, self.ignore_index = ohem, ignore_index

    def forward(self, logits: Tensor, target: Tensor, features: Tensor | None = None) -> dict[str, Tensor]:
        """The total, and the same number as ``"cross_entropy"``; see :meth:`Objective.forward`."""
        over_pixels = ohem_cross_entropy if self.ohem else cross_entropy
        loss = over_pixels(logits.float(), target, ignore_index=self.ignore_index)
        return {"loss": loss, "cross_entropy": loss.detach()}
