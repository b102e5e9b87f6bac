"""Batches and classes for the tests of objectives."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.data.spec import ClassSpec
from aucseg.longtail import Tally
from aucseg.training import ClassInfo


def four_classes(
    tail: tuple[int, ...] = (), pixels: tuple[int, ...] | None = None, void: int = 255
) -> ClassInfo:
    """Classes 0 to 3, of which some are the tail."""
    groups = tuple("tail" if label in tail else "head" for label in range(4))
    spec = ClassSpec("letters", tuple("abcd"), ((0, 0, 0),) * 4, groups, ignore_index=void)
    if pixels is None:
        return ClassInfo(spec)
    return ClassInfo(spec, Tally.of_images(spec, np.array([pixels])))


def small_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 4, (2, 6, 5), generator=generator)
    target[0, :2] = 255
    return logits, target


def large_batch() -> tuple[Tensor, Tensor]:
    """More pixels than hard ones and those that are kept in any case, most of them easy; some void."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (2, 90, 80), generator=generator)
    logits = 3 * F.one_hot(target, 4).movedim(-1, 1) + torch.randn(2, 4, 90, 80, generator=generator)
    target[0, :20] = 255
    return logits.requires_grad_(), target
