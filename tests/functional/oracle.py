"""Slow and obvious versions of what aucseg.functional computes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

#: loss of a scaled score difference x with a margin, as issue and papers write them
SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "square": lambda x, margin: (margin - x).square(),
    "hinge": lambda x, margin: (margin - x).clamp(min=0),
    "squared_hinge": lambda x, margin: (margin - x).clamp(min=0).square(),
    "exp": lambda x, margin: (-x).exp(),
    "logistic": lambda x, margin: softplus(-x),
}
ACTIVATIONS = {"sigmoid": torch.sigmoid, "softmax": lambda x: x.softmax(1), "identity": lambda x: x}


def flat(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K, *spatial) and (B, *spatial) to one row per pixel: (P, K) and (P,)."""
    return scores.movedim(1, -1).reshape(-1, scores.shape[1]), target.reshape(-1)


def pair_table(
    scores: Tensor,
    target: Tensor,
    num_classes: int,
    margin: float = 1.0,
    *,
    surrogate: str | Callable[[Tensor], Tensor] = "square",
    scale: float = 1.0,
) -> Tensor:
    """Loss of every ordered pair of classes by going through all pairs of pixels; nan if absent."""
    rows, labels = flat(scores, target)
    table = scores.new_full((num_classes, num_classes), torch.nan)
    for c in range(num_classes):
        for d in range(num_classes):
            own, other = rows[labels == c, c], rows[labels == d, c]
            if c != d and len(own) and len(other):
                table[c, d] = _loss(surrogate, scale * (own[:, None] - other[None, :]), margin).mean()
    return table


def one_versus_all(
    scores: Tensor,
    target: Tensor,
    num_classes: int,
    margin: float = 1.0,
    *,
    surrogate: str | Callable[[Tensor], Tensor] = "square",
    scale: float = 1.0,
) -> Tensor:
    """(K,) loss of every class against all other pixels by going through all pairs; nan if absent."""
    rows, labels = flat(scores, target)
    values = scores.new_full((num_classes,), torch.nan)
    for c in range(num_classes):
        own, other = rows[labels == c, c], rows[(labels != c) & (labels < num_classes), c]
        if len(own) and len(other):
            values[c] = _loss(surrogate, scale * (own[:, None] - other[None, :]), margin).mean()
    return values


def present_mean(values: Tensor, scores: Tensor) -> Tensor:
    """Mean of what exists; zero, with a gradient, if nothing does."""
    present = ~values.isnan()
    return values[present].mean() if present.any() else scores.sum() * 0


def pair_mean(scores: Tensor, target: Tensor, num_classes: int, margin: float = 1.0) -> Tensor:
    """Mean of the square's ``pair_table`` over the pairs that exist; zero if there is none."""
    return present_mean(pair_table(scores, target, num_classes, margin), scores)


def _loss(surrogate: str | Callable[[Tensor], Tensor], x: Tensor, margin: float) -> Tensor:
    return SURROGATES[surrogate](x, margin) if isinstance(surrogate, str) else surrogate(x)


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
