"""The AUC loss of a batch so small that starting an operation on a CPU takes longer than the operation.

The passes of ``engine`` over strips of pixels are some three hundred operations, however few the pixels are.
Here the batch is one piece, tables of K numbers are NumPy's, and the gradient, which is as short to write as
the value, is taken along with it: what is left for the pass backward is a product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aucseg.functional import checks
from aucseg.functional.engine import contract, numbers, places, zeros
from aucseg.functional.parallel import in_threads
from aucseg.functional.plain import gradient_again, plain_count, plain_sums
from aucseg.functional.separable import (
    risk_and_mean,
    separable_weights,
    separable_with_slopes,
)
from aucseg.functional.sums import Request, channels_of

# Scores of a batch up to which this way is the shorter one.
SMALL_SCORES = 2**17


def is_small(logits: Tensor, request: Request) -> bool:
    """Whether ``small_risk`` is the way for a batch.

    Args:
        logits: (B, K, P), floating point.
        request: which loss.

    Returns:
        True on a CPU, for few scores that need not be looked for outside their range.
    """
    device = logits.device
    if checks.synchronizes(device) or checks.widest(device) != torch.float64 or checks.transformed():
        return False
    if not 0 < logits.numel() <= SMALL_SCORES:
        return False
    return request.activation != "identity" or request.bilinear.score_range is None


def small_risk(logits: Tensor, rows: Tensor, request: Request) -> tuple[Tensor, Tensor]:
    """AUC loss and mean cross entropy of a small batch that is alone; see ``auc_risk``.

    Args:
        logits: (B, K, P), floating point, on the CPU.
        rows: (B, P) int64, what ``class_index`` returns.
        request: which loss; mean or sum, without pair weights.

    Returns:
        The loss, and the mean cross entropy over pixels that are not void (zero unless requested).
    """
    if torch.is_autocast_enabled(logits.device.type):  # to leave it takes as long as three operations
        with torch.autocast(logits.device.type, enabled=False):
            return small_risk(logits, rows, request)
    risk, mean = _SmallRisk.apply(logits, rows, request)
    return risk, mean


class _SmallRisk(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, rows: Tensor, request: Request) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(logits, rows)
        ctx.request = request

        def work(slope: bool) -> tuple[Tensor, Tensor]:
            piece = _Piece(logits.detach(), rows, request)
            risk, ctx.by_risk = piece.risk(slope)
            mean, ctx.by_mean = risk.new_zeros(()), None
            if request.cross_entropy:
                mean, ctx.by_mean = piece.cross_entropy(slope)
            return risk, mean

        return in_threads(work, [ctx.needs_input_grad[0]])[0]  # one piece, so one thread

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_mean: Tensor | None) -> tuple[Tensor | None, None, None]:
        logits, rows = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated
            return _gradient_again(logits, rows, ctx.request, grad, grad_mean), None, None
        total = None
        for weight, slope in ((grad, ctx.by_risk), (grad_mean, ctx.by_mean)):
            if weight is not None and slope is not None:
                total = slope * weight if total is None else total.addcmul_(slope, weight)
        if total is None:
            return None, None, None
        images, k, pixels = logits.shape
        return total.view(k, images, pixels).transpose(0, 1).to(logits.dtype), None, None


def _gradient_again(
    logits: Tensor, rows: Tensor, request: Request, grad: Tensor | None, grad_mean: Tensor | None
) -> Tensor:
    count = plain_count(rows, request.num_classes)
    weights = separable_weights(count, multiclass=request.multiclass, reduction=request.reduction)
    sums = channels_of(plain_sums(logits, rows, request), weights.pixel)
    risks = risk_and_mean(sums, count, request.bilinear, weights, sums.own.dtype)
    grads = [count.new_zeros(()) if weight is None else weight.to(count) for weight in (grad, grad_mean)]
    return gradient_again(list(risks), logits, grads)


class _Piece:
    """All pixels of a batch, M of them, in one row.

    Attributes:
        wide: whether scores and gradients are float64.
        dtype: float64 then, else float32.
        logits: (K, M).
        row: (M,), labels; K for void.
        count: (K,), pixels of each class.
        own: (M,), where in the flattened (K, M) each pixel's own channel is; any where it is void.
    """

    def __init__(self, logits: Tensor, rows: Tensor, request: Request) -> None:
        self.request, self.form, self.k = request, request.bilinear, request.num_classes
        self.wide = self.form.double or logits.dtype == torch.float64
        self.dtype = torch.float64 if self.wide else torch.float32
        self.logits = logits.transpose(0, 1).reshape(self.k, -1).to(self.dtype).contiguous()
        self.row = rows.reshape(-1)
        size = len(self.row)
        self.count = np.bincount(self.row.numpy(), minlength=self.k)[: self.k].astype(np.float64)
        place = places(self.k, rows.device).index_select(0, self.row)
        self.own = torch.add(numbers(size, rows.device), place, alpha=size)

    def of_pixels(self, values: NDArray[np.float64]) -> Tensor:
        """(..., M), of values (..., K) that of each pixel's class; zero where it is void."""
        table = np.zeros((*values.shape[:-1], self.k + 1), np.float64 if self.wide else np.float32)
        table[..., : self.k] = values
        return torch.from_numpy(table).index_select(-1, self.row)

    def put(self, scores: Tensor, values: Tensor) -> None:
        """Write (M,) to each pixel's own channel of (K, M), in place."""
        scores.view(-1).scatter_(0, self.own, values)

    def blank(self, scores: Tensor) -> None:
        """Set each pixel's own channel of (K, M) to zero, in place."""
        self.put(scores, zeros(len(self.row), scores.dtype, scores.device))

    def risk(self, slope: bool) -> tuple[Tensor, Tensor | None]:
        """The AUC loss, and where ``slope`` its derivative (K, M) by the logits."""
        form, k, size = self.form, self.k, len(self.row)
        activation, scores = self.request.activation, self.logits
        if activation != "identity":
            scores = scores.sigmoid() if activation == "sigmoid" else scores.softmax(0)
        picked = scores.view(-1).index_select(0, self.own)
        weights = separable_weights(
            self.count, multiclass=self.request.multiclass, reduction=self.request.reduction
        )
        weight = self.of_pixels(weights.pixel)
        positive = form.polynomials(form.own, picked, picked.new_empty((form.degree, size)))
        labels = self.row.numpy()
        own: NDArray[np.float64] = np.stack(
            [np.bincount(labels, line, k + 1)[:k] for line in positive.numpy()], axis=1
        )
        # taken out before the sum and not after it: the own scores are the large ones
        negative = form.polynomials(
            form.other, scores, scores.new_empty((form.degree, k, size)), blank=self.blank
        )
        rest = contract(negative.view(-1, size), weight[None], torch.float64).view(form.degree, k)
        matrix = form.matrix.numpy()
        value, by_own, by_rest = separable_with_slopes(own, rest.numpy().T, self.count, matrix, *weights)
        risk = torch.full((), float(value), dtype=self.dtype)
        if not slope:
            return risk, None
        table = form.slopes(form.other, torch.from_numpy(by_rest)).to(self.dtype).t()[..., None]
        out = form.derivative(form.other, scores, table, negative[0]).mul_(weight)
        slopes = self.of_pixels(form.slopes(form.own, torch.from_numpy(by_own)).numpy().T)
        self.put(out, form.derivative(form.own, picked, slopes))
        if activation == "softmax":
            out.sub_((scores * out).sum(0)).mul_(scores)
        elif activation == "sigmoid":
            torch.ops.aten.sigmoid_backward.grad_input(out, scores, grad_input=out)
        return risk, out

    def cross_entropy(self, slope: bool) -> tuple[Tensor, Tensor | None]:
        """The mean cross entropy of the pixels that are not void, and where ``slope`` its derivative."""
        pixels = self.count.sum()
        if not pixels:
            return self.logits.new_zeros(()), self.logits.new_zeros(self.logits.shape) if slope else None
        # (1, K, 1, M), as PyTorch's own has images
        log_softmax, row = self.logits.log_softmax(0)[None, :, None], self.row.view(1, 1, -1)
        aten, mean_over = torch.ops.aten, 1
        mean, total = aten.nll_loss2d_forward(log_softmax, row, None, mean_over, self.k)
        if not slope:
            return mean, None
        by_log = aten.nll_loss2d_backward(mean.new_ones(()), log_softmax, row, None, mean_over, self.k, total)
        return mean, aten._log_softmax_backward_data(by_log, log_softmax, 1, self.dtype)[0, :, 0]
