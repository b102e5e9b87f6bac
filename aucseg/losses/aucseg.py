"""The whole objective of AUCSeg: AUC plus weighted cross entropy, in one pass over the logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aucseg.functional.sums import ClassSums
from aucseg.losses.auc import AUCLoss


class AUCSegLoss(AUCLoss):
    r"""AUC loss plus cross entropy, one pass over the logits forward and one backward.

    .. math::

        \ell = \ell_{auc} + \lambda \, \ell_{ce}

    (AUCSeg, Algorithm 1, with Eq. 2 and 8). The cross entropy is the mean over all pixels that are not
    void, of all ranks and micro-batches where the AUC loss takes them together. Both terms are what
    ``AUCLoss`` and ``torch.nn.functional.cross_entropy`` give; only a batch of void pixels alone gives zero
    and not nan.

    Args:
        num_classes: number of classes K, at least 2.
        ce_weight: lambda, not negative.
        options: those of ``AUCLoss``; ``reduction`` is ``"mean"`` or ``"sum"``.

    Raises:
        ValueError: for a weight that is negative or not finite, and as ``AUCLoss``.

    Example:
        >>> import torch
        >>> loss = AUCSegLoss(num_classes=19, ce_weight=1.0)
        >>> logits = torch.randn(2, 19, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 19, (2, 8, 8))).backward()

    """

    with_cross_entropy = True

    def __init__(self, num_classes: int, *, ce_weight: float = 1.0, **options: Any) -> None:
        super().__init__(num_classes, **options)
        if self.reduction == "none":
            raise ValueError(
                "reduction='none' is a table, which adds to no cross entropy; use AUCLoss for it"
            )
        if not 0 <= ce_weight < float("inf"):
            raise ValueError(f"ce_weight must be a number of at least 0, got {ce_weight!r}")
        self.ce_weight = ce_weight

    def forward(self, logits: Tensor, target: Tensor, *, whole: ClassSums | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, K, H, W), floating point.
            target: (B, H, W), integer; 0 to K - 1 or ``ignore_index``.
            whole: as ``AUCLoss.forward``.

        Returns:
            A scalar.

        Raises:
            TypeError: as ``AUCLoss.forward``.
            ValueError: as ``AUCLoss.forward``.

        """
        return self.parts(logits, target, whole=whole)["loss"]

    def parts(self, logits: Tensor, target: Tensor, *, whole: ClassSums | None = None) -> dict[str, Tensor]:
        """The loss and its two terms.

        Args:
            logits: as ``forward``.
            target: as ``forward``.
            whole: as ``forward``.

        Returns:
            ``"loss"``, ``"auc"`` and ``"cross_entropy"`` (without its weight), scalars.

        Raises:
            TypeError: as ``AUCLoss.forward``.
            ValueError: as ``AUCLoss.forward``.

        """
        auc, cross_entropy = self._terms(logits, target, whole)
        total = torch.add(auc, cross_entropy, alpha=self.ce_weight)
        return {"loss": total, "auc": auc, "cross_entropy": cross_entropy}

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"{super().extra_repr()}, ce_weight={self.ce_weight!r}"
