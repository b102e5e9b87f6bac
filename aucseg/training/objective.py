"""From a loss configuration to the number that is minimised."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from aucseg.losses import AUCLoss
from aucseg.training.config import LossConfig


def cross_entropy(logits: Tensor, target: Tensor, ignore_index: int = 255) -> Tensor:
    """Softmax cross entropy averaged over labelled pixels; zero where every pixel is void.

    PyTorch's own mean is NaN for a batch without a label, which would end the run.

    Args:
        logits: (B,K,H,W).
        target: (B,H,W) int64, void = ``ignore_index``.
        ignore_index: the void label.

    Returns:
        Scalar loss.
    """
    total = F.cross_entropy(logits, target, ignore_index=ignore_index, reduction="sum")
    return total / (target != ignore_index).sum().clamp(min=1)


class Objective(nn.Module):
    r"""The training objective: cross entropy, or :math:`\ell_{auc} + \lambda \ell_{ce}`.

    Args:
        config: names the loss and its weights.
        num_classes: number of classes K.
        ignore_index: the void label.
    """

    def __init__(self, config: LossConfig, num_classes: int, ignore_index: int = 255) -> None:
        super().__init__()
        self.config = config
        self.ignore_index = ignore_index
        self.auc: AUCLoss | None = None
        if config.name == "auc":
            self.auc = AUCLoss(
                num_classes,
                surrogate=config.surrogate,
                multiclass=config.multiclass,
                margin=config.margin,
                activation=config.activation,
                ignore_index=ignore_index,
            )

    def forward(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The total under ``"loss"`` and its parts under their own names."""
        ce = cross_entropy(logits.float(), target, self.ignore_index)
        if self.auc is None:
            return {"loss": ce, "cross_entropy": ce.detach()}
        auc = self.auc(logits, target)
        total = auc + self.config.ce_weight * ce
        return {"loss": total, "auc": auc.detach(), "cross_entropy": ce.detach()}
