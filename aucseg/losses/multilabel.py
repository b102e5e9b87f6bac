"""Pixels with several labels at once: one binary problem for each class."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aucseg.errors import OptionError
from aucseg.functional.checks import check_num_classes
from aucseg.functional.logits import class_vector


class MultilabelLoss(nn.Module):
    r"""The mean of binary losses, one for each class, where classes overlap.

    Every channel z of class k stands by itself: sigmoid(z) is how sure the network is that the pixel is of
    class k, whatever else it is of. With the loss :math:`\ell` of two classes, a channel :math:`z_k` and its
    labels :math:`y_k` of 0, 1 and void:

    .. math:: L = \frac{\sum_k w_k \, \ell(z_k, y_k)}{\sum_k w_k}

    For ``AUCLoss(2)`` each term is the binary AUC loss of AUCSeg's Eq. 5: pixels of the class against all
    others, by one score. A class without a labelled pixel, and for an AUC loss one without a pair, has a term
    of 0 and a gradient of 0. Losses that are nothing but a softmax over classes that exclude each other, and
    offsets of class counts among them, are of two classes here: give one for each class, with its counts.

    Args:
        loss: a loss for two classes (``num_classes=2``) that takes one channel, of which every class gets a
            copy of its own (states as those of a queue are not shared), or a sequence of one for each class.
        num_classes: number of channels K, at least 2.
        weights: (K,), w, finite and not negative, one at least positive; None for 1.

    Raises:
        OptionError: if a loss is not for two classes, or their number or that of the weights is not K.

    Shape:
        logits (B, K, H, W), floating point; target (B, K, H, W), boolean, or integer: 0, 1, or the
        ``ignore_index`` of the loss. A scalar comes out, at least float32.

    Example:
        >>> from aucseg.losses import AUCLoss
        >>> loss = MultilabelLoss(AUCLoss(2), 5)
        >>> logits = torch.randn(2, 5, 8, 8, requires_grad=True)
        >>> loss(logits, torch.rand(2, 5, 8, 8) < 0.3).backward()

    """

    weights: Tensor

    def __init__(
        self,
        loss: nn.Module | Sequence[nn.Module],
        num_classes: int,
        *,
        weights: Tensor | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = k = check_num_classes(num_classes)
        given = [copy.deepcopy(loss) for _ in range(k)] if isinstance(loss, nn.Module) else list(loss)
        table = torch.ones(k, dtype=torch.float64) if weights is None else class_vector(weights, "weights")
        for what, number in (("losses", len(given)), ("weights", len(table))):
            if number != k:
                raise OptionError(f"{number} {what} for num_classes={k}; give one for each class")
        for each in given:
            if getattr(each, "num_classes", None) != 2 or getattr(each, "reduction", "mean") == "none":
                raise OptionError(
                    f"{each} is no scalar loss for two classes, of which a loss of several labels is made",
                    remedy="build it with num_classes=2 and a reduction, as AUCLoss(2)",
                )
        self.losses = nn.ModuleList(given)
        self.register_buffer("weights", table, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, K, H, W), floating point.
            target: (B, K, H, W), boolean, or integer of 0, 1 and void.

        Returns:
            A scalar.

        Raises:
            ValueError: if the shapes do not fit, and as the loss of two classes.
        """
        if logits.ndim < 3 or logits.shape[1] != self.num_classes or target.shape[:2] != logits.shape[:2]:
            raise ValueError(
                f"logits have shape {tuple(logits.shape)}, target {tuple(target.shape)}; both must be "
                f"(B, {self.num_classes}, H, W), a channel for each class"
            )
        total = torch.zeros((), device=logits.device)
        for k, (loss, weight) in enumerate(zip(self.losses, self.weights.tolist(), strict=True)):
            if weight:
                total = total + weight * loss(logits[:, k : k + 1], target[:, k])
        return total / self.weights.sum().to(total)

    def at_step(self, step: int) -> None:
        """Say which step of the training comes next, to the losses that ask.

        Args:
            step: steps that were made before, 0 at the beginning.
        """
        for loss in self.losses:
            tell = getattr(loss, "at_step", None)
            if callable(tell):
                tell(step)
