"""Where a formula needs more digits than autocast gives it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(values: Tensor) -> Tensor:
    """The same values in float32, or wider if they are.

    Args:
        values: floating point of any width.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


def without_autocast(values: Tensor) -> AbstractContextManager[object]:
    """A context in which products keep the width of their factors.

    Args:
        values: any tensor of the device meant. One without autocast, such as ``meta``, needs no context.
    """
    kind = values.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
