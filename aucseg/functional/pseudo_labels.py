"""What a network predicts for images without labels, as labels; and how far it is to be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from aucseg.errors import OptionError
from aucseg.functional.checks import check_option

SHARES_OF = ("image", "batch")

PSEUDO_LABEL_COUNTS = ("truth", "predicted", "counted", "right", "counted_right", "counted_truth")
"""Rows of :func:`pseudo_label_counts`, pixels of each class: those that are truly of it; those that are
predicted as it; of them, those that count; those that are predicted as it rightly; of them, those that count;
and those that are truly of it and count, as whatever they are predicted."""


def predicted(logits: Tensor) -> tuple[Tensor, Tensor]:
    r"""The class of the largest logit of each pixel, and its probability.

    .. math:: \hat y_m = \arg\max_k z_{m,k}, \qquad p_m = \max_k \mathrm{softmax}(z_m)_k

    Args:
        logits: (B, K, H, W), floating point; half precision is summed in float32.

    Returns:
        (B, H, W) int64, and (B, H, W), at least float32.
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    largest, labels = wide.max(1)
    return labels, (largest - wide.logsumexp(1)).exp_()


def confident_share(probability: Tensor, threshold: float, *, share_of: str = "image") -> Tensor:
    r"""The share of pixels that are surer than a threshold: the weight of an image's pseudo-labels.

    .. math:: q_i = \frac{1}{HW} \sum_m \mathbb{1}[p_{i,m} > \tau]

    (DACS, Eq. 3; DAFormer, Eq. 4, whose release counts :math:`p \ge \tau` and over the batch).

    Args:
        probability: p, (B, H, W).
        threshold: :math:`\tau`; 0.968 in both. From 0 on, where every pixel counts.
        share_of: ``"image"``, or ``"batch"`` for one share that all images have.

    Returns:
        (B,) in [0, 1].

    Raises:
        ValueError: for another ``share_of``.
    """
    check_option("share_of", share_of, SHARES_OF)
    share = (probability >= threshold).to(probability.dtype).flatten(1).mean(1)
    return share.mean().expand_as(share) if share_of == "batch" else share


def entropy(logits: Tensor) -> Tensor:
    r"""Entropy of the softmax of each pixel, :math:`-\sum_k p_k \log p_k`, in nats.

    Args:
        logits: (B, K, H, W), floating point.

    Returns:
        (B, H, W), at least float32, from 0 to :math:`\log K`.
    """
    log_p = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)


def drop_uncertain(labels: Tensor, uncertainty: Tensor, share: float, *, ignore_index: int = 255) -> Tensor:
    """Pseudo-labels of which the most uncertain share of a batch has become void (U2PL, Eq. 2).

    Pixels as uncertain as the last one that is kept are kept too.

    Args:
        labels: (B, H, W) int64.
        uncertainty: (B, H, W), for example :func:`entropy`.
        share: of the pixels that have a label, in [0, 1]; 0 drops none.
        ignore_index: the void label; void stays void and does not count.

    Raises:
        ValueError: for a share out of its range.
    """
    if not 0 <= share <= 1:
        raise OptionError(f"share of dropped pixels is in [0, 1], got {share!r}")
    if share == 0:
        return labels
    labelled = labels != ignore_index
    number = labelled.sum()
    kept = number - (share * number).floor().long()
    ordered = uncertainty.masked_fill(~labelled, float("inf")).flatten().sort().values
    limit = ordered[(kept - 1).clamp(min=0)]
    drop = (uncertainty > limit) | (kept == 0)
    return labels.masked_fill(drop, ignore_index)


def without_margins(labels: Tensor, margins: Sequence[int], *, ignore_index: int = 255) -> Tensor:
    """Labels whose outermost rows and columns are void: what a camera always sees there teaches little.

    DAFormer leaves out the 15 top and 120 bottom rows of crops of 512 x 512, the sky and the bonnet.

    Args:
        labels: (B, H, W).
        margins: rows above, rows below, columns left, columns right.
        ignore_index: the void label.

    Raises:
        ValueError: for other than four numbers, or negative ones.
    """
    if len(margins) != 4 or min(margins) < 0:
        raise OptionError(f"margins are rows above and below, columns left and right, got {list(margins)}")
    if not any(margins):
        return labels
    top, bottom, left, right = margins
    height, width = labels.shape[-2:]
    inner = torch.zeros_like(labels, dtype=torch.bool)
    inner[..., top : max(top, height - bottom), left : max(left, width - right)] = True
    return labels.where(inner, ignore_index)


def estimated_counts(rows: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    r"""Predicted pixels of each class, and images in which it is predicted: the sums of BLV's Eq. 4.

    .. math:: q_k \propto \sum_{n=1}^{N} \sum_{m=1}^{HW} \mathbb{1}[\hat y_{nm} = k]

    Args:
        rows: (B, H, W), predicted labels 0 to K - 1; others are not counted.
        num_classes: K.

    Returns:
        Pixels and images, (K,) int64 each. Those of several batches add up.
    """
    slots = torch.where((rows >= 0) & (rows < num_classes), rows, num_classes).long().flatten(1)
    table = torch.zeros(len(rows), num_classes + 1, dtype=torch.int64, device=rows.device)
    table.scatter_add_(1, slots, torch.ones_like(slots))
    table = table[:, :num_classes]
    return table.sum(0), (table > 0).sum(0)


def pseudo_label_counts(labels: Tensor, counted: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """What became of the pixels of each class in a batch of pseudo-labels, by ``PSEUDO_LABEL_COUNTS``.

    Args:
        labels: (B, H, W) int64, predicted, 0 to K - 1.
        counted: (B, H, W) bool, whose pseudo-label counts.
        truth: (B, H, W), labels 0 to K - 1; others are not known.
        num_classes: K.

    Returns:
        Pixels, (6, K) int64. Those of several batches add up.
    """
    rows = torch.where((truth >= 0) & (truth < num_classes), truth, num_classes).long()
    slots = ((rows * num_classes + labels) * 2 + counted).flatten()
    table = torch.zeros(2 * num_classes * (num_classes + 1), dtype=torch.int64, device=labels.device)
    table = table.scatter_add_(0, slots, torch.ones_like(slots)).view(num_classes + 1, num_classes, 2)
    every, sure = table.sum(2), table[..., 1]
    known, known_sure = every[:num_classes], sure[:num_classes]
    return torch.stack(
        (
            known.sum(1),
            every.sum(0),
            sure.sum(0),
            known.diagonal(),
            known_sure.diagonal(),
            known_sure.sum(1),
        )
    )


def weigh_gradient(values: Tensor, weights: Tensor) -> Tensor:
    r"""The same values, whose gradient is multiplied by a weight for each pixel.

    A loss that is a mean over pixels then has the gradient of the weighted mean,

    .. math:: \frac1M \sum_m w_m \ell_m,

    and a loss that is none, as the AUC, is pulled at each pixel by its weight: a weight goes with any loss.

    Args:
        values: (B, C, H, W), logits or features.
        weights: (B, H, W), a constant.

    Returns:
        ``values``.
    """
    weighed: Tensor = _WeighGradient.apply(values, weights)
    return weighed


class _WeighGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        return grad * weights[:, None].to(grad.dtype), None


def masked_distance(features: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    r"""Mean distance of the features of some cells from reference features (DAFormer, Eq. 6).

    .. math:: \frac{1}{|M|} \sum_{j \in M} \lVert f_j - g_j \rVert_2

    Args:
        features: f, (B, D, h, w); half precision is widened.
        reference: g, the same shape; a constant.
        mask: M, (B, h, w) bool.

    Returns:
        A scalar, 0 with a gradient of 0 where no cell is in the mask.
    """
    wide = torch.promote_types(features.dtype, torch.float32)
    squared = (features.to(wide) - reference.detach().to(wide)).square().sum(1)
    # a root of 0 has no slope, and cells outside must not bring one in
    distance = squared.where(mask & (squared > 0), 1.0).sqrt()
    total = distance.where(mask & (squared > 0), 0.0).sum()
    return total / mask.sum().clamp(min=1)
