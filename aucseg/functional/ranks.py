"""Class sums of the whole batch where it is spread over ranks or micro-batches."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.functional.class_sums import ChannelSums, ClassSums

Sums = TypeVar("Sums", ClassSums, ChannelSums)


def all_reduce(sums: Sums, group: dist.ProcessGroup) -> Sums:
    """The sums over the pixels of all ranks of a group, in one message.

    Args:
        sums: of this rank's pixels, ``ClassSums`` or ``ChannelSums``.
        group: the ranks.

    Returns:
        Values of the whole batch, equal on all ranks; the gradient is that of this rank's own sums.
    """
    parts = [part.detach() for part in vars(sums).values()]
    message = torch.cat([part.flatten() for part in parts])
    dist.all_reduce(message, group=group)
    pieces = message.split([part.numel() for part in parts])
    whole = type(sums)(*(piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)))
    return as_part_of(sums, whole)


def as_part_of(sums: Sums, whole: Sums) -> Sums:
    """Values of ``whole``, gradient of ``sums``.

    Sums add up, so the derivative of a whole by the pixels of a part is that of the part alone. This is all
    that an exact loss over ranks or micro-batches needs.

    Args:
        sums: of the part that a gradient is wanted for.
        whole: of all pixels, the part included.

    Returns:
        The sums to compute the loss from.
    """
    pairs = zip(vars(whole).values(), vars(sums).values(), strict=True)
    return type(sums)(*(attach(value, part) for value, part in pairs))


def attach(value: Tensor, part: Tensor) -> Tensor:
    """The value of one tensor with the gradient of another.

    Args:
        value: what comes out.
        part: where the gradient goes, of the same shape.

    Returns:
        ``value``, attached to ``part``.
    """
    return value.detach() + (part - part.detach())


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.factor, None


def scale_gradient(value: Tensor, factor: float) -> Tensor:
    """The same value with a gradient ``factor`` times as large.

    Args:
        value: any tensor.
        factor: the factor.

    Returns:
        ``value``.
    """
    return value if factor == 1 else _ScaleGradient.apply(value, factor)
