"""Cross entropy over labelled pixels: plain, with a weight for each class, or of hard pixels only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.errors import OptionError
from aucseg.functional.checks import (
    check_count,
    check_ignore_index,
    check_option,
    class_index,
    logits_and_labels,
    poison,
)
from aucseg.functional.logits import adjusted_cross_entropy, class_counts, class_vector
from aucseg.losses.base import PixelwiseLoss

RULES = ("inverse", "sqrt_inverse", "effective_number", "power")


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int = 255,
    size: Literal["target"] | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Softmax cross entropy averaged over labelled pixels; zero where every pixel is void.

    PyTorch's own mean is NaN for a batch without a label, which would end the run. One channel z is taken
    for the logits (0, z) of two classes: what comes out is the binary cross entropy of sigmoid(z).

    Args:
        logits: (B,K,H,W), floating point, or (B,1,H,W) for two classes.
        target: (B,H,W), integer of any width (for two classes also boolean), 0 to K - 1 or
            ``ignore_index``; an axis of length one for a channel is left out.
        ignore_index: the void label.
        size: ``"target"`` resizes logits of another size to the target's, as ``AUCLoss`` does.
        label_smoothing: share of the target, in [0, 1], that is spread over all K classes, the true one
            among them (Szegedy et al., 2016, section 7; as PyTorch).

    Returns:
        Scalar loss, at least float32.

    Raises:
        TypeError: if the logits are not floating point or the target is not integer.
        ValueError: if the shapes do not fit, a label is outside the classes or the share outside [0, 1].
    """
    _check_smoothing(label_smoothing)
    wide, rows = _wide_batch(logits, target, ignore_index, size)
    k = wide.shape[1]
    with torch.autocast(wide.device.type, enabled=False):
        total = F.cross_entropy(
            wide, rows.clamp(max=k), ignore_index=k, reduction="sum", label_smoothing=label_smoothing
        )
        return total / (rows < k).sum().clamp(min=1) + poison(rows, k)


def _check_smoothing(share: float) -> None:
    if not 0 <= share <= 1:
        raise OptionError(f"label_smoothing is a share of the target in [0, 1], got {share!r}")


def _wide_batch(logits: Tensor, target: Tensor, ignore_index: int, size: str | None) -> tuple[Tensor, Tensor]:
    """Logits (B,K,H,W) in float32 at least, and labels (B,H,W) with K for void and K + 1 for none."""
    ignore_index, classes = check_ignore_index(ignore_index), 2
    check_option("size", size, ("target", None))
    if isinstance(logits, Tensor) and logits.ndim > 1:
        classes = max(classes, logits.shape[1])
    logits, target = logits_and_labels(logits, target, classes, size=size)
    rows = class_index(target, classes, ignore_index, validate=False)
    return logits.to(torch.promote_types(logits.dtype, torch.float32)), rows


class WeightedCrossEntropyLoss(PixelwiseLoss):
    r"""Softmax cross entropy in which each pixel has the weight of its class.

    With the labelled pixels :math:`\Omega`, label :math:`y_m` of pixel m and weights w:

    .. math::

        \ell = \frac{1}{M} \sum_{m \in \Omega} -w_{y_m} \log p_{m, y_m}, \qquad
        M = \sum_{m \in \Omega} w_{y_m} \;\text{ or }\; M = |\Omega|

    With label smoothing :math:`\epsilon` it is
    :math:`-(1 - \epsilon) \log p_{m, y_m} - \frac{\epsilon}{K} \sum_k \log p_{m, k}` that is weighed, by the
    weight of the pixel's own class: a pixel counts by what it is. (PyTorch weighs each term of the sum by its
    own class, so that a rare class pulls at pixels of all others.)

    Args:
        weights: (K,), one for each class, finite and not negative, one at least positive; ``class_weights``
            makes them of pixel counts.
        label_smoothing: epsilon in [0, 1].
        options: those of :class:`aucseg.losses.PixelwiseLoss`: ``normalize`` says what M is, ``weights_from``
            the step at which the weights begin to count (deferred re-weighting).

    Raises:
        ValueError: for weights of another shape or range, and as ``PixelwiseLoss``.

    Shape:
        as ``PixelwiseLoss``; zero, with a gradient of zero, where no pixel has a weight.

    Example:
        >>> loss = WeightedCrossEntropyLoss(class_weights([900, 90, 10]))
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    def __init__(
        self, weights: Tensor | Sequence[float], *, label_smoothing: float = 0.0, **options: Any
    ) -> None:
        table = class_vector(weights, "weights")
        super().__init__(len(table), weights=table, **options)
        _check_smoothing(label_smoothing)
        self.label_smoothing = label_smoothing

    def pixel_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Cross entropy of every pixel; see :meth:`PixelwiseLoss.pixel_losses`."""
        if not self.label_smoothing:
            return adjusted_cross_entropy(logits, rows)
        # widened once: in half precision the gradients of both parts, which take each other away, would be
        # rounded one by one
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        losses = adjusted_cross_entropy(wide, rows)
        # the mean of -log p over the classes is that of the label plus its logit less the mean logit
        own = wide.gather(1, rows.clamp(max=self.num_classes - 1)[:, None])[:, 0]
        spread = (own - wide.mean(1)).masked_fill(rows >= self.num_classes, 0.0)
        return losses + self.label_smoothing * spread


def class_weights(
    pixels: Any, *, rule: str = "inverse", beta: float = 1 - 1e-6, power: float = 0.2
) -> Tensor:
    r"""A weight for each class that falls with its number of pixels n.

    ====================  =========================================  =======================================
    rule                  weight before it is normalised             source
    ====================  =========================================  =======================================
    ``inverse``           :math:`1 / n`                              each class pulls equally
    ``sqrt_inverse``      :math:`1 / \sqrt n`                        half-way (on a log scale) to no weights
    ``effective_number``  :math:`(1 - \beta) / (1 - \beta^n)`        Cui et al., 2019, Eq. 2
    ``power``             :math:`n^{-\rho}`                          DisAlign, second stage
    ====================  =========================================  =======================================

    The effective number of n samples is :math:`(1 - \beta^n) / (1 - \beta)`: it grows like n while n is well
    below :math:`1 / (1 - \beta)`, and no further beyond. That paper counts images and goes up to 0.9999; for
    pixels, of which a class has millions, that would give every class the same weight: class-balanced
    weights as published are ``rule="effective_number", beta=0.9999`` of image counts.

    Args:
        pixels: (K,), pixels of each class in the training set, not negative, one at least positive; or
            statistics that have them. For the numbers of images give
            ``class_counts(statistics, unit="images")``.
        rule: ``"inverse"``, ``"sqrt_inverse"``, ``"effective_number"`` or ``"power"``.
        beta: in [0, 1), for ``"effective_number"`` alone; by default the number stops at a million pixels.
        power: rho in [0, 1], for ``"power"`` alone. DisAlign's configuration for ADE20K has 0.2, its class
            0.3.

    Returns:
        (K,) float64, of mean 1 over the classes that have a pixel. A class without one has weight 0: how rare
        it is the counts do not tell, and infinitely rare it is not.

    Raises:
        ValueError: for an unknown rule, counts of another shape or range, a ``beta`` outside [0, 1) or a
            ``power`` outside [0, 1].

    Example:
        >>> class_weights([1, 4, 0], rule="sqrt_inverse").tolist()
        [1.3333333333333333, 0.6666666666666666, 0.0]

    """
    check_option("rule", rule, RULES)
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be in [0, 1), got {beta!r}")
    if not 0 <= power <= 1:
        raise ValueError(f"power must be in [0, 1], got {power!r}")
    count = class_counts(pixels, name="pixels")
    present = count > 0
    n = count[present]
    if rule == "effective_number":
        # 1 - beta^n without the digits that a beta near 1 would lose
        size = torch.ones_like(n) if beta == 0 else -torch.expm1(n * math.log(beta))
    else:
        size = {"inverse": n, "sqrt_inverse": n.sqrt(), "power": n.pow(power)}[rule]
    weights = torch.zeros_like(count)
    weights[present] = size.reciprocal() / size.reciprocal().mean()
    return weights


def ohem_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int = 255,
    threshold: float = 0.7,
    min_kept: int = 10_000,
    size: Literal["target"] | None = None,
) -> Tensor:
    r"""Softmax cross entropy averaged over the hard pixels of the batch only (online hard example mining).

    A labelled pixel is hard if the probability of its own class is below ``threshold``. With N labelled
    pixels in the batch, the mean is over

    - all hard pixels, if there are at least ``min_kept`` of them;
    - else the ``min_kept`` pixels with the largest loss, which are all the hard ones and the next hardest
      (all N pixels, if N is below ``min_kept``). Of pixels with the very same loss any may be kept to come
      to that number: the value does not depend on which.

    Both are one rule: a pixel is kept if it is hard or among the ``min_kept`` of largest loss. Which pixels
    are kept is a choice and has no gradient. Counts are those of the whole batch on one device: where an
    implementation counts ``min_kept`` for each image, as MMSegmentation does, multiply it by the batch size;
    it also divides by the number of all pixels, here by that of the kept ones.

    Args:
        logits: (B,K,H,W), and all that :func:`aucseg.losses.cross_entropy` takes.
        target: (B,H,W), likewise.
        ignore_index: the void label; void pixels are never kept.
        threshold: probability in (0, 1] below which a pixel is hard.
        min_kept: least number of pixels to keep, at least 0. With 0 a batch without hard pixels gives 0.
        size: ``"target"`` resizes logits of another size to the target's, as ``AUCLoss`` does.

    Returns:
        Scalar loss, at least float32; zero where every pixel is void.

    Raises:
        TypeError: if the logits are not floating point or the target is not integer.
        ValueError: for a threshold or a number out of its range, shapes that do not fit, or a label outside
            the classes.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is a probability in (0, 1], got {threshold!r}")
    min_kept = check_count("min_kept", min_kept, 0)
    wide, rows = _wide_batch(logits, target, ignore_index, size)
    k = wide.shape[1]
    with torch.autocast(wide.device.type, enabled=False):
        losses = F.cross_entropy(wide, rows.clamp(max=k), ignore_index=k, reduction="none").flatten()
        with torch.no_grad():
            labelled = (rows < k).flatten()
            kept = ~(losses <= -math.log(threshold))  # a nan is kept, so that it is seen
            # no count is compared on the host: the device need not be waited for
            hardest = losses.masked_fill(~labelled, -1.0).topk(min(min_kept, losses.numel()), sorted=False)
            kept = kept.index_fill(0, hardest.indices, True) & labelled
        return losses.where(kept, 0.0).sum() / kept.sum().clamp(min=1) + poison(rows, k)
