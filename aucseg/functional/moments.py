"""Class-conditional moments of the scores: all that the square AUC loss needs to know of the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aucseg.functional.checks import check_logits_target, check_num_classes, class_index

# Elements (pixels x classes) of one work chunk: about the L2 cache of a CPU core, and on an accelerator so
# many that the launch of a kernel does not matter.
_CHUNK_CPU = 2**17
_CHUNK_DEVICE = 2**24
_CHUNK_MIN_PIXELS = 1024


@dataclass(frozen=True)
class ClassMoments:
    """Count, mean and variance of every score channel over the pixels of every class.

    Attributes:
        count: (K,), number of pixels of class d.
        mean: (K, K), entry [d, c] is the mean of score channel c over the pixels of class d.
        var: (K, K), entry [d, c] is the biased variance of the same scores.

    Rows of classes without a pixel are zero. All three are float64 (float32 on devices without it), so
    that nothing is lost when the K x K tables of several batches or ranks are merged.

    """

    count: Tensor
    mean: Tensor
    var: Tensor


def class_moments(scores: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255) -> ClassMoments:
    r"""Class-conditional moments of the scores, in one pass over the pixels and differentiable.

    With :math:`N_d` the pixels of class d (AUCSeg, Eq. 7):

    .. math::

        \mu_{d,c} = \frac{1}{|N_d|} \sum_{i \in N_d} s_{i,c}, \qquad
        v_{d,c} = \frac{1}{|N_d|} \sum_{i \in N_d} (s_{i,c} - \mu_{d,c})^2

    Time and memory are linear in the pixels: no pair of pixels, no loop over classes and no dense one-hot
    of the whole batch. The variance is centred before it is squared, chunk by chunk, and the chunks are
    merged by the parallel formula of Chan et al., so a large common offset of the scores costs no digits.

    Args:
        scores: (B, K, H, W), floating point. Half precision is widened to float32; autocast is off inside.
        target: (B, H, W), integer; 0 to K - 1 or ``ignore_index``.
        num_classes: number of classes K.
        ignore_index: label of void pixels, which count for no class.

    Returns:
        The moments; gradients flow from ``mean`` and ``var`` to ``scores``.

    Raises:
        TypeError: if scores are not floating point or the target is not integer.
        ValueError: if the shapes do not fit or a label is outside the classes.

    Example:
        >>> scores = torch.tensor([[[[1.0, 3.0]], [[0.0, 0.0]]]])
        >>> class_moments(scores, torch.tensor([[[0, 0]]]), 2).mean[0].tolist()
        [2.0, 0.0]

    """
    check_num_classes(num_classes)
    check_logits_target(scores, target, num_classes, name="scores")
    labels = class_index(target, num_classes, ignore_index)
    with torch.autocast(scores.device.type, enabled=False):
        wide = scores if scores.dtype == torch.float64 else scores.float()
        return ClassMoments(*_Moments.apply(wide.flatten(2), labels.flatten(1)))


class _Moments(torch.autograd.Function):
    """(B, K, P) scores and (B, P) row numbers to (count, mean, var), with an analytic backward pass."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k = scores.shape[1]
        acc = _accumulator_dtype(scores)
        offset = _offset(scores)
        offset_row = offset.to(acc).t()
        images = [_image_moments(s, y, offset, acc) for s, y in zip(scores, labels, strict=True)]
        if not images:
            zero = scores.new_zeros((), dtype=acc)
            count, mean, var = zero.expand(k).clone(), zero.expand(k, k).clone(), zero.expand(k, k).clone()
        else:
            count, mean, square = _merge(*(torch.stack(parts) for parts in zip(*images, strict=True)))
            var = square / count.clamp(min=1)[:, None]
        ctx.save_for_backward(scores, labels, offset, count, mean)
        present = (count > 0)[:, None]
        ctx.mark_non_differentiable(count)
        return count, torch.where(present, mean + offset_row, 0), var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor, grad_mean: Tensor, grad_var: Tensor) -> tuple[Tensor, None]:
        scores, labels, offset, count, mean = ctx.saved_tensors
        # For a pixel i of class d: d mean[d,c] / d s[i,c] = 1/n_d, d var[d,c] / d s[i,c] = 2 (s[i,c] -
        # mean[d,c]) / n_d. That is affine in the score, with coefficients looked up by class; void pixels
        # read zeros.
        share = count.clamp(min=1).reciprocal()[:, None]
        slope = 2 * share * grad_var
        table = torch.cat((share * grad_mean - slope * mean, slope), dim=1)
        table = torch.nn.functional.pad(table, (0, 0, 0, 1)).to(scores.dtype).t().contiguous()
        k = scores.shape[1]
        grad = torch.empty_like(scores)
        for image, rows, out in zip(scores, labels, grad, strict=True):
            for part in _chunks(image):
                coefficients = table.index_select(1, rows[part])
                torch.addcmul(coefficients[:k], coefficients[k:], image[:, part] - offset, out=out[:, part])
        return grad, None


def _image_moments(
    scores: Tensor, labels: Tensor, offset: Tensor, acc: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Count (K,), mean less ``offset`` (K, K) and centred square sum (K, K) of one (K, P) image."""
    k = scores.shape[0]
    if scores.device.type != "cpu":
        return _merge(*_chunk_moments(scores, labels, offset, k, acc))
    # An image holds few of 150 classes: tables of those alone. On an accelerator the list would cost a wait.
    present = torch.bincount(labels, minlength=k + 1)[:k].nonzero().flatten()
    renumber = torch.full((k + 1,), len(present))
    renumber[present] = torch.arange(len(present))
    parts = _merge(*_chunk_moments(scores, renumber[labels], offset, len(present), acc))
    full = (parts[0].new_zeros(k), parts[1].new_zeros(k, k), parts[2].new_zeros(k, k))
    for table, part in zip(full, parts, strict=True):
        table[present] = part
    return full


def _chunk_moments(
    scores: Tensor, labels: Tensor, offset: Tensor, classes: int, acc: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Count (S, C), mean (S, C, K) and centred square sum (S, C, K) of the S chunks; label C is void."""
    counts, means, squares = [], [], []
    for part in _chunks(scores):
        rows = labels[part]
        values = (scores[:, part] - offset).t().contiguous()
        count = _count(rows, classes + 1)
        mean = _sum_by_class(values, rows, classes + 1).div_(count.clamp(min=1)[:, None])
        centred = values.sub_(mean.index_select(0, rows))
        counts.append(count[:classes])
        means.append(mean[:classes])
        squares.append(_sum_by_class(centred.square_(), rows, classes + 1)[:classes])
    return torch.stack(counts).to(acc), torch.stack(means).to(acc), torch.stack(squares).to(acc)


def _merge(count: Tensor, mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Moments of the union of S disjoint samples: (S, K), (S, K, K), (S, K, K) to (K,), (K, K), (K, K).

    Chan, Golub and LeVeque: the square sum of a union is the sum of the square sums plus, for each part,
    its count times the squared distance of its mean from the mean of the union.
    """
    weight = count[..., None]
    total = count.sum(0)
    joint = (weight * mean).sum(0) / total.clamp(min=1)[:, None]
    return total, joint, (square + weight * (mean - joint).square()).sum(0)


def _count(rows: Tensor, size: int) -> Tensor:
    # bincount waits for the device to learn its own output size, so an accelerator counts by comparison
    if rows.device.type == "cpu":
        return torch.bincount(rows, minlength=size)
    return (torch.arange(size, dtype=rows.dtype, device=rows.device)[:, None] == rows).sum(1)


def _sum_by_class(values: Tensor, rows: Tensor, size: int) -> Tensor:
    """Sum of the rows of ``values`` (P, K) that share a class: (size, K)."""
    if values.device.type == "cpu":
        return values.new_zeros(size, values.shape[1]).index_add_(0, rows, values)
    return _onehot_sum(values, rows, size)


def _onehot_sum(values: Tensor, rows: Tensor, size: int) -> Tensor:
    """The same sum as a product with the one-hot: repeatable where ``index_add_`` adds in no fixed order."""
    onehot = (torch.arange(size, dtype=rows.dtype, device=rows.device)[:, None] == rows).to(values.dtype)
    if values.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        # TF32 would cut the scores to 11 bits, bfloat16 to 8; three parts of 8 bits pass through unchanged
        high = values.bfloat16().float()
        middle = (values - high).bfloat16().float()
        return onehot @ high + (onehot @ middle + onehot @ (values - high - middle))
    return onehot @ values


def _offset(scores: Tensor) -> Tensor:
    """One score of each channel (K, 1), taken off before float32 sums; zero where there is no pixel."""
    if scores.numel() == 0:
        return scores.new_zeros(scores.shape[1], 1)
    first = scores[0, :, :1]
    return torch.where(first.isfinite(), first, 0)


def _accumulator_dtype(scores: Tensor) -> torch.dtype:
    return torch.float32 if scores.device.type == "mps" else torch.float64


def _chunks(image: Tensor) -> list[slice]:
    k, pixels = image.shape
    size = max(_CHUNK_MIN_PIXELS, (_CHUNK_CPU if image.device.type == "cpu" else _CHUNK_DEVICE) // k)
    # an image without a pixel still has one, empty, chunk: its moments are zeros of the right shape
    return [slice(start, start + size) for start in range(0, max(pixels, 1), size)]
