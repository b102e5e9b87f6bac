"""What kernels are launched with: sizes of the tiles they work on, and the device they run on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

# Numbers of a tile in one thread, with few sums for each and with many: more would leave a multiprocessor too
# few threads to hide the delay of the memory, or send sums there.
_NUMBERS, _NUMBERS_MANY, _MANY = 16, 8, 8


def tile_shape(num_classes: int, degree: int, whole: bool, split: bool = False) -> tuple[int, int, int, int]:
    """How a kernel cuts up the logits.

    Args:
        num_classes: number of channels K.
        degree: pairs of sums that are kept for each channel.
        whole: all channels in one tile.
        split: such a tile may have a second part, so that less of it is padding.

    Returns:
        Channels of a tile, channels of its second part (or 0), pixels, all powers of two, and warps.
    """
    more = 0
    if whole:
        block_k = power_of_two(num_classes)
        half = power_of_two(num_classes - block_k // 2)
        if split and half < block_k // 2:
            block_k, more = block_k // 2, half
        numbers = 2048 if block_k < 64 else 4096
        block_p = min(512, max(8, numbers // block_k))
    else:
        # few channels of many pixels: the sum over pixels stays within threads longer, and little is padded
        largest = min(8, power_of_two(num_classes), max(1, 16 // max(1, degree)))
        sizes = [size for size in (8, 4) if size < largest] + [largest]
        block_k = min(sizes, key=lambda size: (-(-num_classes // size) * size, -size))
        block_p = min(1024, 2048 // block_k)
    numbers = _NUMBERS_MANY if degree > _MANY else _NUMBERS
    return block_k, more, block_p, max(1, block_k * block_p // (32 * numbers))


def power_of_two(number: int) -> int:
    """The smallest power of two that is not smaller.

    Args:
        number: positive.

    Returns:
        The power.
    """
    return 1 << (number - 1).bit_length()


def processors(device: torch.device) -> int:
    """Number of multiprocessors of a device.

    Args:
        device: CUDA or CPU.

    Returns:
        The number; 2 on a CPU, where kernels run in Triton's interpreter.
    """
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 2


def on_device(device: torch.device) -> AbstractContextManager[Any]:
    """Make a device the current one, on which kernels are launched.

    Args:
        device: that of the tensors.

    Returns:
        A context; it does nothing on a CPU.
    """
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
