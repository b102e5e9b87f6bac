"""Pixel-wise adaptive training: pixels that a network is unsure of weigh more."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aucseg.functional.checks import check_number, check_option
from aucseg.functional.logits import adjusted_cross_entropy
from aucseg.losses.base import PixelwiseLoss

WEIGHTINGS = ("inverted_softmax", "archive")


class PATLoss(PixelwiseLoss):
    r"""Cross entropy in which each pixel has a weight that falls with the probability of its own class.

    .. math::

        \ell_m = -\beta_m \log p_{m,y_m}, \qquad
        \beta_m = K \frac{e^{-p_{m,y_m} / T}}{\sum_k e^{-p_{m,k} / T}}

    (Do et al., Pattern Recognition Letters, 2024: a pixel-wise weight by an inverted softmax of the predicted
    probabilities). The weight is a constant to the gradient. It is 1 where all classes are equally likely,
    and never 0, so that what is learnt already is not forgotten: a focal loss has both otherwise.

    What is printed of the weight's formula in the sources of this package is its description alone, so its
    normalisation by K and the temperature of 1 are readings. The archive that the paper names,
    KhoiDOO/ibla, holds no loss of that name; its nearest is the variant ``"archive"``,
    :math:`\beta_m = \frac12 e^{K (1 - p_{m,y_m})}`, here without that code's mean over the classes. It spans
    :math:`e^{K}`: of 19 classes, eight orders of magnitude. The same archive's BLV weighs classes by the
    logarithm of their counts and not by that of their rarity, the wrong way round; the paper compares with
    BLV, and whether with that one cannot be told.

    Args:
        num_classes: number of classes K, at least 2.
        temperature: T of the inverted softmax, positive; the larger, the more alike the weights.
        weighting: ``"inverted_softmax"`` or ``"archive"``.
        options: those of :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: for an option out of range, and as ``PixelwiseLoss``.

    Shape:
        as ``PixelwiseLoss``.

    Example:
        >>> loss = PATLoss(3)
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    def __init__(
        self,
        num_classes: int,
        *,
        temperature: float = 1.0,
        weighting: str = "inverted_softmax",
        **options: Any,
    ) -> None:
        super().__init__(num_classes, **options)
        check_option("weighting", weighting, WEIGHTINGS)
        self.temperature = check_number("temperature", temperature, least=0, above=True)
        self.weighting = weighting

    def pixel_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Weighted cross entropy of every pixel; see :meth:`PixelwiseLoss.pixel_losses`."""
        return adjusted_cross_entropy(logits, rows, weigh=self._weights)

    def _weights(self, shares: Tensor, own: Tensor) -> Tensor:
        if self.weighting == "archive":
            return (self.num_classes * (1 - own)).exp() / 2
        below = torch.mul(shares, -1 / self.temperature).exp_().sum(0)
        return self.num_classes * (-own / self.temperature).exp() / below

    def _shown(self) -> tuple[str, ...]:
        return ("temperature", "weighting")
