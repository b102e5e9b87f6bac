"""The pixel-level AUC loss (AUCSeg, Eq. 7)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from aucseg.functional.auc import auc_risk, check_options
from aucseg.functional.checks import check_logits_target, check_num_classes
from aucseg.functional.moments import class_moments

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda logits: torch.softmax(logits, dim=1),
    "identity": lambda logits: logits,
}


class AUCLoss(nn.Module):
    r"""Pixel-level one-vs-one AUC loss, exact over all pairs of pixels at a cost linear in pixels.

    For scores s = activation(logits) and N_c the pixels of class c in the batch (AUCSeg, Eq. 7 and 8):

    .. math::

        \ell_{auc} = \sum_{c} \sum_{d \ne c} \frac{1}{|N_c| |N_d|}
            \sum_{m \in N_c} \sum_{n \in N_d} \ell(s_{m,c} - s_{n,c})

    with :math:`\ell(t) = (\gamma - t)^2` and the margin :math:`\gamma`; the sum over ordered pairs of
    classes is a mean by default. Pairs with a class that the batch does not hold are left out; a batch
    without any pair (a single class, or void only) gives zero with a gradient of zero.

    Args:
        num_classes: number of classes K, at least 2.
        surrogate: loss of a score difference; ``"square"``.
        multiclass: how classes are compared; ``"ovo"`` (one-vs-one).
        margin: score difference at which the loss is zero, in units of the score; positive.
        activation: ``"sigmoid"``, ``"softmax"`` or ``"identity"`` (the logits are scores already).
        reduction: ``"mean"`` over the ordered pairs present in the batch, or ``"sum"`` (Eq. 7 as printed),
            or ``"none"`` for the (K, K) table, nan where a pair is absent.
        ignore_index: label of void pixels.

    Raises:
        ValueError: for an option that does not exist.

    Shape:
        logits (B, K, H, W), floating point; target (B, H, W), integer; a scalar comes out, of the dtype of
        the logits but at least float32 (the scores are computed in float32 under autocast too).

    Note:
        The paper minimises the sum of Eq. 7 plus lambda times the cross entropy. With n classes present
        the sum is n(n - 1) times the mean, so beside the mean the same balance needs a lambda n(n - 1)
        times smaller.

    Example:
        >>> loss = AUCLoss(num_classes=19)
        >>> logits = torch.randn(2, 19, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 19, (2, 8, 8))).backward()

    """

    def __init__(
        self,
        num_classes: int,
        *,
        surrogate: str = "square",
        multiclass: str = "ovo",
        margin: float = 1.0,
        activation: str = "sigmoid",
        reduction: str = "mean",
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            known = ", ".join(map(repr, ACTIVATIONS))
            raise ValueError(f"unknown activation {activation!r}; use one of {known}")
        check_options(surrogate, multiclass, margin, reduction)
        self.num_classes = check_num_classes(num_classes)
        self.surrogate = surrogate
        self.multiclass = multiclass
        self.margin = margin
        self.activation = activation
        self.reduction = reduction
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, K, H, W), floating point.
            target: (B, H, W), integer; 0 to K - 1 or ``ignore_index``.

        Returns:
            A scalar, or a (K, K) table with ``reduction="none"``.

        Raises:
            TypeError: if the logits are not floating point or the target is not integer.
            ValueError: if the shapes do not fit or a label is outside the classes.

        """
        check_logits_target(logits, target, self.num_classes)
        with torch.autocast(logits.device.type, enabled=False):
            wide = logits if logits.dtype == torch.float64 else logits.float()
            scores = ACTIVATIONS[self.activation](wide)
            moments = class_moments(scores, target, self.num_classes, self.ignore_index)
            risk = auc_risk(
                moments,
                surrogate=self.surrogate,
                multiclass=self.multiclass,
                margin=self.margin,
                reduction=self.reduction,
            )
        return risk.to(wide.dtype)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        names = (
            "num_classes",
            "surrogate",
            "multiclass",
            "margin",
            "activation",
            "reduction",
            "ignore_index",
        )
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
