"""From a loss configuration to the number that is minimised."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from aucseg.losses import AUCSegLoss, SumQueue, cross_entropy
from aucseg.training.config import ConfigError, LossConfig


class Objective(nn.Module):
    r"""The training objective: cross entropy, or :math:`\ell_{auc} + \lambda \ell_{ce}` in one pass.

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
        self.auc: AUCSegLoss | None = None
        if config.name == "auc":
            queue = config.queue
            try:
                self.auc = AUCSegLoss(
                    num_classes,
                    ce_weight=config.ce_weight,
                    surrogate=config.surrogate,
                    multiclass=config.multiclass,
                    margin=config.margin,
                    scale=config.scale,
                    activation=config.activation,
                    reduction=config.reduction,
                    tail_classes=tail_classes if config.pairs == "tail_versus_rest" else None,
                    ignore_index=ignore_index,
                    queue=None if queue is None else SumQueue(**queue.model_dump()),
                    validate=False,  # no wait for the device; nan, which such input gives, ends a run
                )
            except ValueError as error:
                raise ConfigError(f"loss: {error}") from error

    def forward(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The total under ``"loss"`` and its parts under their own names."""
        if self.auc is None:
            ce = cross_entropy(logits.float(), target, self.ignore_index)
            return {"loss": ce, "cross_entropy": ce.detach()}
        parts = self.auc.parts(logits, target)
        return {name: value if name == "loss" else value.detach() for name, value in parts.items()}
