"""Plain data of the AUC loss: what is asked of a batch, and the sums over its pixels that answer it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aucseg.functional.surrogates import BilinearForm, SortedForm

ACTIVATIONS = ("sigmoid", "softmax", "identity")
MULTICLASS = ("ovo", "ova")
REDUCTIONS = ("mean", "sum", "none")
REGION_WEIGHTS = ("pixels", "objects")


@dataclass(frozen=True)
class Request:
    """What an AUC loss asks of a batch; each option is explained at ``aucseg.losses.AUCLoss``.

    Attributes:
        form: the surrogate.
        num_classes: K.
        activation: from logits to scores, one of ``ACTIVATIONS``.
        cross_entropy: the cross entropy of the logits as well, in the same pass where there are sums.
        multiclass: one of ``MULTICLASS``.
        reduction: one of ``REDUCTIONS``.
        pair_weights: (K, K) weights of the ordered pairs of classes, or None for equal ones.
        pixel_weights: (B, P), how much each pixel counts in the risk, or None for 1; the cross entropy is
            that of all pixels alike.
    """

    form: BilinearForm | SortedForm
    num_classes: int
    activation: str = "sigmoid"
    cross_entropy: bool = False
    multiclass: str = "ovo"
    reduction: str = "mean"
    pair_weights: Tensor | None = None
    pixel_weights: Tensor | None = None

    @property
    def bilinear(self) -> BilinearForm:
        """The surrogate, where it follows from sums over pixels.

        Raises:
            ValueError: for a sorted form, which does not.
        """
        if isinstance(self.form, SortedForm):
            raise ValueError("a surrogate past its margin needs the order of the pixels, which has no sums")
        return self.form


@dataclass(frozen=True)
class ClassSums:
    """Sums over the pixels of every class. They add up over images, micro-batches and ranks.

    With the features phi_j and psi_j of a surrogate (``BilinearForm``), j = 1 to D:

    Attributes:
        count: (K,), number of pixels of each class; where pixels have weights, the sum of these.
        own: (K, D), entry [c, j - 1] sums phi_j of score channel c over the pixels of class c.
        other: (K, K, D), entry [d, c, j - 1] sums psi_j of score channel c over the pixels of class d.
        cross_entropy: scalar, sum of the pixels' cross entropies; zero where it was not asked for.

    All are float64 (float32 on devices without it).
    """

    count: Tensor
    own: Tensor
    other: Tensor
    cross_entropy: Tensor

    def __add__(self, more: ClassSums) -> ClassSums:
        """The sums over both sets of pixels."""
        mine, theirs = (vars(sums).values() for sums in (self, more))
        return ClassSums(*(a + b for a, b in zip(mine, theirs, strict=True)))


@dataclass(frozen=True)
class ChannelSums:
    """What is left of ``ClassSums`` where all negatives of a class carry one weight, in K instead of K x K.

    Attributes:
        own: (K, D), as ``ClassSums.own``.
        rest: (K, D), entry [c, j - 1] sums w_d psi_j of score channel c over the pixels of all classes d but
            c, each pixel with the weight of its class.
        cross_entropy: as ``ClassSums.cross_entropy``.
    """

    own: Tensor
    rest: Tensor
    cross_entropy: Tensor


def channels_of(sums: ClassSums, weights: Tensor) -> ChannelSums:
    """The sums of weighted negatives from those of every class: what ``class_sums`` gives for the weights.

    Args:
        sums: what ``class_sums`` returns without weights.
        weights: (K,), weight of a pixel of each class when it is a negative.

    Returns:
        The sums.
    """
    same = torch.eye(len(weights), dtype=torch.bool, device=weights.device)[..., None]
    rest = (sums.other * weights[:, None, None]).masked_fill(same, 0).sum(0)
    return ChannelSums(sums.own, rest, sums.cross_entropy)
