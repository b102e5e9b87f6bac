"""Focal loss: less weight for pixels that are right already."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aucseg.functional.binary import sigmoid_focal
from aucseg.functional.checks import check_number, check_option
from aucseg.functional.logits import adjusted_cross_entropy
from aucseg.losses.base import PixelwiseLoss

VARIANTS = ("softmax", "sigmoid")


class FocalLoss(PixelwiseLoss):
    r"""Focal loss, of a softmax or of one sigmoid for each class.

    .. math::

        \ell_m = -(1 - p_{m,y_m})^{\gamma} \log p_{m,y_m}

    (Lin et al., 2017, Eq. 4, with a softmax). The named variant ``"sigmoid"`` has K binary problems, each
    pixel a positive of its class and a negative of all others, with p the sigmoids:

    .. math::

        \ell_m = -\alpha (1 - p_{m,y_m})^{\gamma} \log p_{m,y_m}
                 - (1 - \alpha) \sum_{k \ne y_m} p_{m,k}^{\gamma} \log(1 - p_{m,k})

    That is the form of MMSegmentation, which the experiments of AUCSeg are built on, with gamma 2 and alpha
    0.5, and of segmentation-models-pytorch's multiclass focal loss. Both average over the K classes as well;
    here the sum stays one, and is K times as large.

    Args:
        num_classes: number of classes K, at least 2.
        gamma: exponent, at least 0; 0 is cross entropy, or binary cross entropy summed over the classes.
        variant: ``"softmax"`` or ``"sigmoid"``.
        alpha: in (0, 1), weight of the positives, for ``"sigmoid"``; None weighs both with 1.
        options: those of :class:`aucseg.losses.PixelwiseLoss`; a weight for each class is its ``weights``.

    Raises:
        ValueError: for an option that is none, and as ``PixelwiseLoss``.

    Shape:
        as ``PixelwiseLoss``.

    Example:
        >>> loss = FocalLoss(3)
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    def __init__(
        self,
        num_classes: int,
        *,
        gamma: float = 2.0,
        variant: str = "softmax",
        alpha: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(num_classes, **options)
        check_option("variant", variant, VARIANTS)
        if alpha is not None and (variant != "sigmoid" or not 0 < alpha < 1):
            raise ValueError(
                f"alpha is in (0, 1) and for variant 'sigmoid'; got {alpha!r} and variant {variant!r}; a "
                f"softmax takes weights="
            )
        self.gamma = check_number("gamma", gamma, least=0)
        self.variant, self.alpha = variant, alpha

    def pixel_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Focal loss of every pixel; see :meth:`PixelwiseLoss.pixel_losses`."""
        if self.variant == "sigmoid":
            return sigmoid_focal(logits, rows, gamma=self.gamma, alpha=self.alpha)
        ce = adjusted_cross_entropy(logits, rows)
        if self.gamma == 0:
            return ce
        # 1 - exp(-ce) without the digits that a small loss would lose
        wrong = -torch.expm1(-ce)
        if self.gamma == int(self.gamma):
            return wrong ** int(self.gamma) * ce
        # the derivative of a broken power is infinite at 0, where its product with the loss is 0
        return wrong.clamp(min=torch.finfo(ce.dtype).tiny) ** self.gamma * ce

    def _shown(self) -> tuple[str, ...]:
        return ("gamma", "variant", *(() if self.alpha is None else ("alpha",)))
