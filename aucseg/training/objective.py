"""From a loss configuration to the number that is minimised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from aucseg.losses import AUCLoss, AUCSegLoss, SumQueue, cross_entropy, ohem_cross_entropy
from aucseg.training.sections import ConfigError, LossConfig


class Objective(nn.Module):
    r"""The training objective: cross entropy, or :math:`\ell_{auc} + \lambda \ell_{ce}` in one pass.

    With ``ohem`` the cross entropy is that of hard pixels, which the one pass cannot know beforehand: it is
    then computed by itself, from the pixels of this device alone.

    Args:
        config: names the loss and its weights.
        num_classes: number of classes K.
        ignore_index: the void label.
        tail_classes: classes of the tail, for ``pairs="tail_versus_rest"``.

    Raises:
        ConfigError: if the options of the loss do not go together.
    """

    def __init__(
        self,
        config: LossConfig,
        num_classes: int,
        ignore_index: int = 255,
        tail_classes: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.ohem, self.ce_weight = config.ohem, config.ce_weight
        self.auc: AUCLoss | None = None
        if config.name == "auc":
            queue = config.queue
            options: dict[str, Any] = {
                "surrogate": config.surrogate,
                "multiclass": config.multiclass,
                "margin": config.margin,
                "scale": config.scale,
                "activation": config.activation,
                "reduction": config.reduction,
                "tail_classes": tail_classes if config.pairs == "tail_versus_rest" else None,
                "ignore_index": ignore_index,
                "queue": None if queue is None else SumQueue(**queue.model_dump()),
                "validate": False,  # no wait for the device; nan, which such input gives, ends a run
            }
            try:
                if config.ohem:
                    self.auc = AUCLoss(num_classes, **options)
                else:
                    self.auc = AUCSegLoss(num_classes, ce_weight=config.ce_weight, **options)
            except ValueError as error:
                raise ConfigError(f"loss: {error}") from error

    def forward(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The total under ``"loss"`` and its parts under their own names."""
        if isinstance(self.auc, AUCSegLoss):
            parts = self.auc.parts(logits, target)
        else:
            over_pixels = ohem_cross_entropy if self.ohem else cross_entropy
            ce = over_pixels(logits.float(), target, ignore_index=self.ignore_index)
            parts = {"loss": ce, "cross_entropy": ce}
            if self.auc is not None:
                auc = self.auc(logits, target)
                parts = {"loss": auc + self.ce_weight * ce, "auc": auc, "cross_entropy": ce}
        return {name: value if name == "loss" else value.detach() for name, value in parts.items()}
