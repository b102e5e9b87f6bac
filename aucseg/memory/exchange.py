"""Objects that several ranks cut out of their batches, gathered on all of them."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.memory.objects import Crop, NewObject, Origin

_FIELDS = 8  # of an object: label, pixels, rows and columns of the crop, the four numbers of its origin


def ranks_of(group: dist.ProcessGroup | None) -> int:
    """Number of ranks of a group, or of all; 1 without ``torch.distributed``.

    Args:
        group: the ranks, ``None`` for all.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return 1
    return dist.get_world_size(group)


def gather_new_objects(
    objects: list[NewObject], images: Tensor, group: dist.ProcessGroup | None
) -> list[NewObject]:
    """The new objects of all ranks, in the order of the ranks, equal on each.

    Two messages: what each rank has, then one buffer of bytes from each, padded to the longest. The second
    is left out where no rank has anything.

    Args:
        objects: of this rank.
        images: (B, C, H, W), the batch they are from; it says dtype, channels and device.
        group: the ranks, ``None`` for all.

    Returns:
        New tensors on the device of ``images``, this rank's own among them.

    Raises:
        ValueError: on all ranks, if their images differ in dtype or channels.
    """
    device = images.device if dist.get_backend(group) == "nccl" else torch.device("cpu")
    channels, width = images.shape[1], images.dtype.itemsize
    message = _pack(objects, device)
    kind = 10 * width + int(images.is_floating_point()) + 2 * int(images.dtype == torch.bfloat16)
    head = torch.tensor([len(objects), message.numel(), channels, kind], device=device)
    heads = torch.stack(_gather(head, group)).tolist()
    if any(other[2:] != heads[0][2:] for other in heads):
        raise ValueError(
            f"the ranks' images differ in channels or dtype (channels {[other[2] for other in heads]}, this "
            f"rank's are {images.dtype}); keep one format on all ranks, or set share='none'"
        )
    longest = max(other[1] for other in heads)
    if longest == 0:
        return []
    padded = torch.zeros(longest, dtype=torch.uint8, device=device)
    padded[: message.numel()] = message
    found = []
    for (number, _, _, _), part in zip(heads, _gather(padded, group), strict=True):
        found += _unpack(part, number, channels, images)
    return found


def gather_rows(rows: Tensor, device: torch.device, group: dist.ProcessGroup | None) -> tuple[Tensor, int]:
    """The rows of all ranks, which need not have equally many, in the order of the ranks.

    Args:
        rows: (n, m), of this rank; m and dtype are equal on all.
        device: of the batch: where messages between GPUs go through.
        group: the ranks, ``None`` for all.

    Returns:
        (N, m) on the CPU, and the number of this rank's first row.
    """
    device = device if dist.get_backend(group) == "nccl" else torch.device("cpu")
    sizes = [int(size) for size in _gather(torch.tensor([len(rows)], device=device), group)]
    padded = torch.zeros(max(sizes), rows.shape[1], dtype=rows.dtype, device=device)
    padded[: len(rows)] = rows.to(device)
    parts = [part[:size] for part, size in zip(_gather(padded, group), sizes, strict=True)]
    return torch.cat(parts).cpu(), sum(sizes[: dist.get_rank(group)])


def _gather(part: Tensor, group: dist.ProcessGroup | None) -> list[Tensor]:
    parts = [torch.empty_like(part) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, part, group=group)
    return parts


def _pack(objects: list[NewObject], device: torch.device) -> Tensor:
    """Numbers, pictures and masks of all objects as bytes."""
    if not objects:
        return torch.empty(0, dtype=torch.uint8, device=device)
    notes = [(new.label, new.area, *new.crop.mask.shape, *new.origin) for new in objects]
    numbers = torch.tensor(notes)
    parts = [numbers.view(torch.uint8).flatten().to(device)]
    for part in (part for new in objects for part in (new.crop.image, new.crop.mask)):
        parts.append(part.contiguous().view(torch.uint8).flatten().to(device))
    return torch.cat(parts)


def _unpack(message: Tensor, number: int, channels: int, images: Tensor) -> list[NewObject]:
    """The objects of one rank, in memory of their own."""
    start = number * _FIELDS * torch.int64.itemsize
    objects = []
    notes = message[:start].clone().view(torch.int64).view(-1, _FIELDS).tolist()
    for label, area, rows, columns, *origin in notes:
        parts = []
        for dtype, shape in (
            (images.dtype, (channels, rows, columns)),
            (torch.bool, (rows, columns)),
        ):
            end = start + torch.Size(shape).numel() * dtype.itemsize
            # copied: an object must not keep the whole message alive, nor start at an odd byte of it
            part = message[start:end].clone().view(dtype).view(shape)
            parts.append(part.to(images.device))
            start = end
        objects.append(NewObject(label, Crop(*parts), area, Origin(*origin)))
    return objects
