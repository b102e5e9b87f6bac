r"""Channel sums on a CUDA device, by Triton: one read of the logits forward, one read and one write backward.

The same numbers as ``class_sums`` computes without it, which is the tested reference. Arithmetic is in
float32 whatever the logits are. A program adds up at most 64 tiles of a few thousand numbers in float32, and
the programs' sums meet in float64, in a fixed order and without atomics: the error does not grow with the
number of pixels, and two runs give the same bits.

Traffic with the device's memory for each pixel of a forward and a backward pass, K channels of e bytes (4 in
float32, 2 in half precision) and labels of 1 byte (2 from K = 254 on; int64 ones are narrowed before, for 9):

==================  ==============================================  ==============  ===============
what                how                                             bytes           float32, K=150
==================  ==============================================  ==============  ===============
floor               read, read, write                               3 K e           1800
channel sums        the floor; labels read twice                    3 K e + 2       1802
with cross entropy  the same; log-sum-exp written, read             3 K e + 10      1810
``cross_entropy``   log-softmax: one to three reads, one write;     6 K e to 9 K e  3600 to 5400
                    backward: a gradient filled with zeros, read
                    once or twice, the log-softmax read, one write
==================  ==============================================  ==============  ===============

The range of PyTorch's cross entropy is that of what its caches keep between the passes of its kernels. So by
traffic alone the sums with the cross entropy should take a third to a half of the cross entropy's time.
Arithmetic matters too: compiled for compute capability 9.0, the square loss takes about 30 instructions for
each number forward and 36 backward, with the cross entropy 55 and 49, where a multiprocessor issues 128 in a
clock and receives about five float32 numbers or ten half ones. None of this replaces a measurement, which has
not been made.

Memory beside the logits: their gradient, the labels, 4 bytes a pixel of log-sum-exp if there is a cross
entropy or a softmax, and the programs' sums.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.functional.cuda.device import on_device, power_of_two, processors, tile_shape
from aucseg.functional.plain import gradient_again, plain_sums
from aucseg.functional.sums import ChannelSums, Request, channels_of
from aucseg.functional.surrogates import BilinearForm

_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# A tile with every channel of 8 pixels must fit the registers of a program.
MAX_CLASSES = 1024
# Each feature is a sum in registers for every channel of a tile.
MAX_DEGREE = 16
# ... of which a tile with all channels has room for few.
_WIDE_DEGREE = 2
# Tiles that a program adds up in float32.
_MAX_TILES = 64
_PROGRAMS_PER_PROCESSOR = 8


def fit(logits: Tensor, form: BilinearForm) -> bool:
    """Whether the kernels can do this.

    Args:
        logits: (B, K, P) on a CUDA device.
        form: the surrogate.

    Returns:
        True for logits in float32 or half precision, of at most ``MAX_CLASSES`` channels, and a surrogate
        that does without float64 and with at most ``MAX_DEGREE`` features.
    """
    return (
        logits.dtype in _DTYPES
        and logits.numel() > 0
        and not form.double
        and logits.shape[1] <= MAX_CLASSES
        and form.degree <= (MAX_DEGREE if form.chebyshev else _WIDE_DEGREE)
    )


def channel_sums(logits: Tensor, labels: Tensor, request: Request, weights: Tensor) -> ChannelSums:
    """What ``class_sums`` returns for weights; where the kernels ``fit``.

    Args:
        logits: (B, K, P), floating point, of any strides.
        labels: (B, P), integer labels with K for void; K + 1 makes ``rest``, and so the loss, nan.
        request: what to sum.
        weights: (K,), weight of a pixel of each class when it is a negative.

    Returns:
        The sums, float64. The gradient flows from all three to the logits.
    """
    # void weighs nothing, a label that is none makes everything nan
    weights = F.pad(F.pad(weights.detach().float(), (0, 1)), (0, 1), value=torch.nan)
    return ChannelSums(*_ChannelSums.apply(logits, labels.contiguous(), request, weights))


def class_count(rows: Tensor, num_classes: int) -> Tensor:
    """Number of pixels of each class, by one read of the labels.

    Args:
        rows: (B, P), integer labels on a CUDA device; K and more for void.
        num_classes: number of classes K.

    Returns:
        (K,) float64.
    """
    from aucseg.functional.cuda import kernels

    rows = rows.contiguous()
    block = 4096
    tiles = -(-rows.numel() // block)
    programs = max(1, min(tiles, _PROGRAMS_PER_PROCESSOR * processors(rows.device)))
    partial = rows.new_empty((programs, num_classes), dtype=torch.int32)
    with on_device(rows.device):
        kernels.count_kernel[(programs,)](
            rows,
            partial,
            rows.numel(),
            tiles,
            programs,
            num_classes=num_classes,
            block_k=power_of_two(num_classes + 1),
            block_p=block,
            num_warps=8,
            enable_fp_fusion=True,
        )
    return partial.sum(0).double()


class _ChannelSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, request: Request, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        degree = request.bilinear.degree
        normalise = request.cross_entropy or request.activation == "softmax"
        lse = logits.new_empty(labels.shape if normalise else (1,), dtype=torch.float32)
        inputs = (logits, labels, weights, lse, request)
        if normalise and degree <= _WIDE_DEGREE:
            table = _forward(*inputs, degree, entropy=request.cross_entropy, normalise=True, whole=True)
        else:
            entropy = logits.new_zeros((0, request.num_classes), dtype=torch.float64)
            if normalise:
                entropy = _forward(*inputs, 0, entropy=request.cross_entropy, normalise=True, whole=True)
            whole = logits.stride(1) == 1 and degree <= _WIDE_DEGREE
            table = _forward(*inputs, degree, entropy=False, normalise=False, whole=whole)
            table = torch.cat((table, entropy))
        ctx.save_for_backward(logits, labels, weights, lse)
        ctx.request = request
        return table[:degree].t(), table[degree : 2 * degree].t(), table[2 * degree :].sum()

    @staticmethod
    def backward(
        ctx: Any, grad_own: Tensor, grad_rest: Tensor, grad_cross_entropy: Tensor
    ) -> tuple[Tensor, None, None, None]:
        from aucseg.functional.cuda import kernels

        logits, labels, weights, lse = ctx.saved_tensors
        request: Request = ctx.request
        if torch.is_grad_enabled():  # the gradient will be differentiated
            sums = channels_of(plain_sums(logits, labels, request), weights[: request.num_classes].double())
            grads = [grad_own, grad_rest, grad_cross_entropy]
            again = gradient_again([sums.own, sums.rest, sums.cross_entropy], logits, grads)
            return again, None, None, None
        form = request.bilinear
        # z^j has the derivative j z^(j-1), and T_j has j U_(j-1): the kernel evaluates powers, or U
        order = torch.arange(1, form.degree + 1, device=logits.device)[:, None]
        table = torch.stack((form.own.slope * grad_own.t(), form.other.slope * grad_rest.t()))
        table = (order * table).float().contiguous()
        grad = torch.empty_like(logits)
        whole = request.activation == "softmax" or logits.stride(1) == 1
        block_k, _, block_p, warps = tile_shape(request.num_classes, 1, whole)
        per_image = -(-logits.shape[2] // block_p)
        grid = len(logits) * per_image * -(-request.num_classes // block_k)
        with on_device(logits.device):
            kernels.backward_kernel[(grid,)](
                logits,
                labels,
                weights,
                lse,
                table,
                grad_cross_entropy.float(),
                grad,
                logits.shape[2],
                per_image,
                *logits.stride(),
                *grad.stride(),
                *_features(request),
                num_classes=request.num_classes,
                degree=form.degree,
                chebyshev=form.chebyshev,
                exponential=form.own.exponential,
                activation=request.activation,
                cross_entropy=request.cross_entropy,
                block_k=block_k,
                block_p=block_p,
                num_warps=warps,
                enable_fp_fusion=True,
            )
        return grad, None, None, None


def _forward(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor,
    lse: Tensor,
    request: Request,
    degree: int,
    *,
    entropy: bool,
    normalise: bool,
    whole: bool,
) -> Tensor:
    """The sums of all programs (2 degree + entropy, K) float64."""
    from aucseg.functional.cuda import kernels

    form, k, pixels = request.bilinear, request.num_classes, logits.shape[2]
    block_k, more, block_p, warps = tile_shape(k, degree, whole, split=True)
    per_image, blocks = -(-pixels // block_p), 1 if whole else -(-k // block_k)
    tiles = len(logits) * per_image
    wanted = _PROGRAMS_PER_PROCESSOR * processors(logits.device) // blocks
    programs = max(-(-tiles // _MAX_TILES), min(tiles, max(1, wanted)))
    partial = logits.new_empty((programs, 2 * degree + entropy, k), dtype=torch.float32)
    ranged = request.activation == "identity" and form.score_range is not None
    low, high = form.score_range if form.score_range is not None else (0.0, 0.0)
    with on_device(logits.device):
        kernels.forward_kernel[(programs * blocks,)](
            logits,
            labels,
            weights,
            lse,
            partial,
            pixels,
            per_image,
            tiles,
            programs,
            *logits.stride(),
            *_features(request),
            float(low),
            float(high),
            num_classes=k,
            degree=degree,
            chebyshev=form.chebyshev,
            exponential=form.own.exponential,
            activation=request.activation,
            ranged=ranged,
            cross_entropy=entropy,
            normalise=normalise,
            blocks=blocks,
            block_k=block_k,
            block_more=more,
            block_p=block_p,
            together=min(block_p, 16 // logits.element_size()),
            pixel_last=logits.stride(1) != 1,
            num_warps=warps,
            maxnreg=128 if whole else None,
            enable_fp_fusion=True,
        )
    return partial.sum(0, dtype=torch.float64)


def _features(request: Request) -> tuple[float, float, float, float]:
    own, other = request.bilinear.own, request.bilinear.other
    return float(own.slope), float(own.shift), float(other.slope), float(other.shift)
