"""Pixels for tests of rankings: few levels of score, so that many tie."""

from __future__ import annotations

import torch
from torch import Tensor


def pixels(*, count: int, k: int, levels: int, seed: int, absent: bool = False) -> tuple[Tensor, Tensor]:
    """Scores (P, K), float32 in [-2, 2) on ``levels`` equal steps, and labels (P,), int64.

    Args:
        count: number of pixels P.
        k: number of classes K.
        levels: how many different scores there are.
        seed: of the random numbers.
        absent: leave out the classes of odd number.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, levels, (count, k), generator=generator) * (4 / levels) - 2
    labels = torch.randint(0, k, (count,), generator=generator)
    return scores, labels // 2 * 2 if absent else labels
