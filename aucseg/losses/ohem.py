"""Cross entropy over hard pixels (online hard example mining)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def ohem_cross_entropy(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = 255,
    *,
    threshold: float = 0.7,
    min_kept: int = 10_000,
) -> Tensor:
    r"""Softmax cross entropy averaged over the hard pixels of the batch only.

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
        logits: (B,K,H,W).
        target: (B,H,W) int64, void = ``ignore_index``.
        ignore_index: the void label; void pixels are never kept.
        threshold: probability in (0, 1] below which a pixel is hard.
        min_kept: least number of pixels to keep, at least 0. With 0 a batch without hard pixels gives 0.

    Returns:
        Scalar loss, at least float32 under autocast; zero where every pixel is void.

    Raises:
        ValueError: for a threshold or a number out of its range.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is a probability in (0, 1], got {threshold!r}")
    if min_kept < 0:
        raise ValueError(f"min_kept is a number of pixels of at least 0, got {min_kept!r}")
    losses = F.cross_entropy(logits, target, ignore_index=ignore_index, reduction="none").flatten()
    with torch.no_grad():
        labelled = (target != ignore_index).flatten()
        kept = losses > -math.log(threshold)
        # no count is compared on the host: the device need not be waited for
        hardest = losses.masked_fill(~labelled, -1.0).topk(min(min_kept, losses.numel()), sorted=False)
        kept = kept.index_fill(0, hardest.indices, True) & labelled
    return losses.where(kept, 0.0).sum() / kept.sum().clamp(min=1)
