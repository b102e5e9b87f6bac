"""Seesaw loss: the pull of a class as a negative is eased for rarer classes, and sharpened where it errs."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.functional.checks import check_number, transformed
from aucseg.functional.distributed import all_reduce
from aucseg.functional.engine import class_count
from aucseg.functional.logits import adjusted_cross_entropy
from aucseg.losses.base import PixelwiseLoss


class SeesawLoss(PixelwiseLoss):
    r"""Seesaw loss: a softmax whose terms are weighed for each pair of classes.

    .. math::

        \ell_m = -\log \frac{e^{z_y}}{\sum_k S_{yk} e^{z_k}}, \qquad S_{yk} = M_{yk} C_{yk}, \quad S_{yy} = 1

    .. math::

        M_{yk} = \min\bigl(1, N_k / N_y\bigr)^p, \qquad C_{yk} = \max\bigl(1, \sigma_k / \sigma_y\bigr)^q

    (Wang et al., CVPR 2021, Eq. 3 to 7) with the probabilities sigma of a softmax and the numbers N of pixels
    of each class that were seen in training so far, on all ranks. The mitigation M keeps a frequent y from
    pushing rarer k down as much; the compensation C pushes back what the network takes for k. S is a constant
    to the gradient. The numbers are part of the state; at least one pixel counts as seen of each class.

    Args:
        num_classes: number of classes K, at least 2.
        p: exponent of the mitigation; 0 for none. 1.2 as for masks of segments, 0.8 in the paper.
        q: exponent of the compensation; 0 for none. 1 as for masks of segments, 2 in the paper.
        floor: least probability of the own class in C, in [0, 1); 0.01 in released code, so that a pixel that
            is wholly wrong does not push as q + 1 would.
        options: those of :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: for an option out of range, and as ``PixelwiseLoss``.

    Shape:
        as ``PixelwiseLoss``.

    Example:
        >>> loss = SeesawLoss(3)
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    seen: Tensor

    def __init__(
        self, num_classes: int, *, p: float = 1.2, q: float = 1.0, floor: float = 0.01, **options: Any
    ) -> None:
        super().__init__(num_classes, **options)
        self.p, self.q = check_number("p", p, least=0), check_number("q", q, least=0)
        self.floor = check_number("floor", floor, least=0)
        if floor >= 1:
            raise ValueError(f"floor is a probability below 1, got {floor!r}")
        self.register_buffer("seen", torch.zeros(num_classes, dtype=torch.float64))

    def batch_loss(self, logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        """Count the pixels of all ranks, then their mean; see :meth:`SegmentationLoss.batch_loss`."""
        if self.training and torch.is_grad_enabled():
            if transformed():
                raise RuntimeError(
                    "under the transforms of torch.func the pixels of a batch cannot be counted; count them "
                    "in an ordinary call, then use loss.eval(), which counts none"
                )
            count = class_count(rows, self.num_classes).to(self.seen)
            self.seen += count if group is None else all_reduce(count, group)
        return super().batch_loss(logits, rows, group)

    def pixel_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Loss of every pixel; see :meth:`PixelwiseLoss.pixel_losses`."""
        wide = torch.promote_types(logits.dtype, torch.float32)
        frequent = self.seen.to(logits.device).clamp(min=1).log()
        # log M, the class that is pushed in rows, the own in columns
        mitigation = (self.p * (frequent[:, None] - frequent).clamp(max=0)).to(wide)
        floor = torch.tensor(self.floor, dtype=wide).log().item() if self.floor else -torch.inf

        def adjust(strip: Tensor, label: Tensor, out: Tensor | None) -> Tensor:
            known = strip.detach().to(wide)
            if self.q:
                share = torch.log_softmax(known, 0, out=out)
                # the own class has ratio 1 whatever the floor
                own = share.gather(0, label[None]).clamp(min=floor)
                pair = share.sub_(own).clamp_(min=0)
                pair = pair if self.q == 1 else pair.mul_(self.q)
            else:
                pair = torch.mul(known, 0, out=out)
            if self.p:
                pair.add_(mitigation.index_select(1, label))
            return torch.add(strip, pair, out=out)

        return adjusted_cross_entropy(logits, rows, adjust)

    def _shown(self) -> tuple[str, ...]:
        return ("p", "q", "floor")
