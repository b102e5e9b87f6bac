"""Cross entropy over labelled pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


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
