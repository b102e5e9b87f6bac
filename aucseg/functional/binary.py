"""One binary problem for each class: the sigmoid's side of what ``logits`` does for a softmax."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.functional.checks import transformed
from aucseg.functional.logits import worked_strips

# Above it softplus(x) is x to the last digit of float64; PyTorch's own default of 20 is float32's.
_LINEAR_FROM = 40.0


def sigmoid_focal(logits: Tensor, rows: Tensor, *, gamma: float = 2.0, alpha: float | None = None) -> Tensor:
    r"""Binary focal loss of every pixel, summed over the classes, in one pass.

    With :math:`u_k = -z_k` for the pixel's own class and :math:`u_k = z_k` for all others, the logit of the
    wrong answer, :math:`q_k = \sigma(u_k)` and a weight :math:`a_k` of :math:`\alpha` for the own class and
    :math:`1 - \alpha` for the others:

    .. math::

        \ell = \sum_k a_k \, q_k^{\gamma} \log(1 + e^{u_k}), \qquad
        \frac{\partial \ell}{\partial u_k} =
        a_k \, q_k^{\gamma} \left( q_k + \gamma (1 - q_k) \log(1 + e^{u_k}) \right)

    Like :func:`aucseg.functional.adjusted_cross_entropy` it goes strip by strip through the cache of a CPU
    and keeps one tensor of the size and dtype of the logits.

    Args:
        logits: (B, K, P), floating point; half precision is widened to float32 strip by strip.
        rows: (B, P), integer labels; K and more for void.
        gamma: exponent, at least 0; 0 is binary cross entropy.
        alpha: in (0, 1), weight of the positives; None weighs positives and negatives with 1.

    Returns:
        (B, P), at least float32; 0 where void. Where a gradient is to be differentiated again it goes by
        ordinary operations, as it does under the transforms of ``torch.func``.
    """
    with torch.autocast(logits.device.type, enabled=False):
        if transformed():
            return _plain_sigmoid_focal(logits, rows, gamma, alpha)
        keep = logits.requires_grad and torch.is_grad_enabled()
        losses: Tensor = _SigmoidFocal.apply(logits, rows, gamma, alpha, keep)
    return losses


class _SigmoidFocal(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, rows: Tensor, gamma: float, alpha: float | None, keep: bool
    ) -> Tensor:
        losses = logits.new_empty(rows.shape, dtype=torch.promote_types(logits.dtype, torch.float32))
        slopes = torch.empty_like(logits) if keep else None
        for image, part, _, own, (u, cost, wrong, power) in worked_strips(logits, rows, 4):
            u.copy_(logits[image, :, part])
            _negate(u, own)
            torch.ops.aten.softplus.out(u, 1.0, _LINEAR_FROM, out=cost)
            torch.sigmoid(u, out=wrong)
            torch.pow(wrong, gamma, out=power)
            if alpha is not None:
                right = power.view(-1).index_select(0, own).mul_(alpha)
                power.mul_(1 - alpha).view(-1).index_copy_(0, own, right)
            torch.sum(torch.mul(cost, power, out=u), 0, out=losses[image, part])
            if slopes is not None:
                # q + gamma (1 - q) log(1 + e^u), in the memory of log(1 + e^u)
                cost.mul_(gamma)
                torch.addcmul(cost, cost, wrong, value=-1.0, out=u).add_(wrong).mul_(power)
                _negate(u, own)
                slopes[image, :, part].copy_(u)
        ctx.save_for_backward(logits, slopes, rows)
        ctx.gamma, ctx.alpha = gamma, alpha
        return losses.masked_fill_(rows >= logits.shape[1], 0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, slopes, rows = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated
            losses = _plain_sigmoid_focal(logits, rows, ctx.gamma, ctx.alpha)
            (again,) = torch.autograd.grad(losses, logits, grad, create_graph=True)
            return again, *[None] * 4
        factor = grad.masked_fill(rows >= logits.shape[1], 0)[:, None]
        return torch.mul(slopes, factor, out=torch.empty_like(slopes)), *[None] * 4


def _negate(strip: Tensor, own: Tensor) -> None:
    """Change the sign of the own class's value of every pixel, in place."""
    flat = strip.view(-1)
    flat.index_copy_(0, own, flat.index_select(0, own).neg_())


def _plain_sigmoid_focal(logits: Tensor, rows: Tensor, gamma: float, alpha: float | None) -> Tensor:
    """The same by ordinary operations, none of which writes to a tensor that is not new."""
    k = logits.shape[1]
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    void = rows >= k
    own = torch.zeros_like(wide).scatter(1, rows.masked_fill(void, 0)[:, None], 1.0).bool()
    toward = torch.where(own, wide, -wide)
    losses = -F.logsigmoid(toward) * torch.sigmoid(-toward) ** gamma
    if alpha is not None:
        losses = losses * torch.where(own, alpha, 1 - alpha)
    return losses.sum(1).masked_fill(void, 0)
