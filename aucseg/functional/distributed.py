"""Sums of the whole batch where it is spread over ranks or micro-batches."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.functional.sums import ChannelSums, ClassSums

Sums = TypeVar("Sums", ClassSums, ChannelSums)

GRADIENTS = ("averaged", "summed")
NO_SECOND_DERIVATIVE = (
    "a loss over several ranks or micro-batches has no second derivative here: those between the parts would "
    "be missing. Leave create_graph out; or give it the whole batch at once, with process_group=None and "
    "without whole="
)


def own_rank() -> int:
    """The rank of this process among all; 0 where it is alone."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def joined_ranks(
    process_group: dist.ProcessGroup | Literal["auto"] | None, gradients: str
) -> tuple[dist.ProcessGroup | None, float]:
    """The ranks whose pixels count together, and by what a loss over all of them scales its gradient.

    Args:
        process_group: a group, ``"auto"`` for all ranks where ``torch.distributed`` is initialised, or None.
        gradients: ``"averaged"`` where the ranks' gradients are averaged afterwards, as DDP and FSDP do: the
            factor is then their number. ``"summed"``: 1.

    Returns:
        The group, None where this process is alone in it; and the factor.
    """
    group: Any = process_group
    if group is None or not (dist.is_available() and dist.is_initialized()):
        return None, 1.0
    group = dist.group.WORLD if isinstance(group, str) else group
    ranks = dist.get_world_size(group)
    if ranks == 1:
        return None, 1.0
    return group, float(ranks) if gradients == "averaged" else 1.0


def of_whole_batch(sums: Sums, whole: Sums | None, group: dist.ProcessGroup | None) -> Sums:
    """Values of the whole batch, gradient of this part of it.

    Sums add up, so the derivative of a whole by the pixels of a part is that of the part alone. This is all
    that an exact loss over ranks or micro-batches needs.

    Args:
        sums: of the part that a gradient is wanted for.
        whole: of all micro-batches, this one included; None where there is one.
        group: ranks whose pixels belong to the batch, each of which has to call; None for no others. One
            message joins them.

    Returns:
        The sums to compute the loss from, equal on all ranks.
    """
    if whole is None and group is None:
        return sums
    parts = list(vars(sums).values())
    if whole is not None:
        parts = [attach(value, part) for value, part in zip(vars(whole).values(), parts, strict=True)]
    if group is not None:
        message = all_reduce(torch.cat([part.flatten() for part in parts]), group)
        pieces = message.split([part.numel() for part in parts])
        parts = [piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)]
    return type(sums)(*parts)


def all_reduce(values: Tensor, group: dist.ProcessGroup) -> Tensor:
    """The sum over the ranks of a group, with the gradient of this rank's own share.

    Args:
        values: of this rank.
        group: the ranks, each of which has to call.

    Returns:
        The sum, of the same shape.
    """
    summed = values.detach().clone()
    dist.all_reduce(summed, group=group)
    return attach(summed, values)


def gather(part: Tensor, group: dist.ProcessGroup) -> list[Tensor]:
    """A tensor of every rank of a group, all of one shape; without a gradient.

    Args:
        part: of this rank.
        group: the ranks, each of which has to call.

    Returns:
        Theirs, in the order of the ranks.
    """
    parts = [torch.empty_like(part) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, part.contiguous(), group=group)
    return parts


def gather_uneven(part: Tensor, group: dist.ProcessGroup, sizes: list[int]) -> list[Tensor]:
    """As :func:`gather`, of vectors that are not equally long.

    Args:
        part: (n,), of this rank.
        group: the ranks, each of which has to call.
        sizes: n of every rank.

    Returns:
        Theirs, in the order of the ranks.
    """
    # every rank must send as much as the largest one holds
    padded = part.new_zeros(max(1, *sizes))
    padded[: len(part)] = part
    return [other[:size] for other, size in zip(gather(padded, group), sizes, strict=True)]


def attach(value: Tensor, part: Tensor) -> Tensor:
    """The value of one tensor with the gradient of another.

    Args:
        value: what comes out.
        part: where the gradient goes, of the same shape.

    Returns:
        ``value``, attached to ``part``. Its gradient is an error where it is to be differentiated again: the
        second derivatives by what else ``value`` depends on are not known here.
    """
    return _Attach.apply(value, part)


class _Attach(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, part: Tensor) -> Tensor:
        return value.detach().clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        if torch.is_grad_enabled():
            raise RuntimeError(NO_SECOND_DERIVATIVE)
        return None, grad


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
