"""Slow and obvious versions of what aucseg.functional computes."""

from __future__ import annotations

import torch
from torch import Tensor


def flat(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K, *spatial) and (B, *spatial) to one row per pixel: (P, K) and (P,)."""
    return scores.movedim(1, -1).reshape(-1, scores.shape[1]), target.reshape(-1)


def pair_table(scores: Tensor, target: Tensor, num_classes: int, margin: float = 1.0) -> Tensor:
    """Square loss of every ordered pair of classes by going through all pairs of pixels; nan if absent."""
    rows, labels = flat(scores, target)
    table = scores.new_full((num_classes, num_classes), torch.nan)
    for c in range(num_classes):
        for d in range(num_classes):
            own, other = rows[labels == c, c], rows[labels == d, c]
            if c != d and len(own) and len(other):
                table[c, d] = (margin - (own[:, None] - other[None, :])).square().mean()
    return table


def pair_mean(scores: Tensor, target: Tensor, num_classes: int, margin: float = 1.0) -> Tensor:
    """Mean of ``pair_table`` over the pairs that exist; zero if there is none."""
    table = pair_table(scores, target, num_classes, margin)
    present = ~table.isnan()
    return table[present].mean() if present.any() else scores.sum() * 0


def streets(
    batch: int, num_classes: int, height: int, width: int, *, seed: int, void: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Random float64 logits and a long-tailed random target with void pixels."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, num_classes, height, width, generator=generator, dtype=torch.float64)
    share = 0.6 ** torch.arange(num_classes)
    target = torch.multinomial(share, batch * height * width, replacement=True, generator=generator)
    target[torch.rand(len(target), generator=generator) < void] = 255
    return logits, target.view(batch, height, width)
