"""The state of a memory bank as plain tensors, numbers and lists that load without running code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aucseg.memory.paste import Crop

COUNTERS = ("stored", "pasted", "missing", "empty")
_VERSION = 1
_KEYS = {"version", "tail_classes", "crops", "counters", "generator"}


def pack(
    tail_classes: tuple[int, ...],
    crops: dict[int, list[Crop]],
    counters: dict[str, dict[int, int]],
    generator: Tensor,
) -> dict[str, Any]:
    """Collect the state of a bank.

    Args:
        tail_classes: labels of the tail classes.
        crops: stored objects of each class.
        counters: for each name in ``COUNTERS`` a number for each class.
        generator: state of the random generator.

    Returns:
        A dictionary that ``torch.load(..., weights_only=True)`` accepts. Crops are shared, not copied: a
        bank replaces them but never writes to them.
    """
    return {
        "version": _VERSION,
        "tail_classes": list(tail_classes),
        "crops": [[(crop.image, crop.mask) for crop in crops[label]] for label in tail_classes],
        "counters": {name: [counters[name][label] for label in tail_classes] for name in COUNTERS},
        "generator": generator,
    }


def unpack(
    state: Any, tail_classes: tuple[int, ...], memory_size: int
) -> tuple[dict[int, list[Crop]], dict[str, dict[int, int]], Tensor]:
    """Check a packed state and take it apart.

    Args:
        state: what ``pack`` returned.
        tail_classes: labels of the tail classes of the bank that loads it.
        memory_size: memory size S_M of the bank that loads it.

    Returns:
        Crops, counters and generator state, as ``pack`` takes them.

    Raises:
        ValueError: if it is no state of a memory bank, or one of a bank with other tail classes or more
            stored objects than ``memory_size``.
    """
    if not isinstance(state, dict) or set(state) != _KEYS or state["version"] != _VERSION:
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"not the state of a TailMemoryBank (version {_VERSION}): got {found}")
    if tuple(state["tail_classes"]) != tail_classes:
        raise ValueError(
            f"the state is of a bank with tail classes {state['tail_classes']}, this bank has "
            f"{list(tail_classes)}; build it with the same tail classes, or start with an empty bank"
        )
    crops = {
        label: [Crop(image, mask) for image, mask in stored]
        for label, stored in zip(tail_classes, state["crops"], strict=True)
    }
    for label, stored in crops.items():
        if len(stored) > memory_size:
            raise ValueError(
                f"the state holds {len(stored)} objects of class {label}, this bank has "
                f"memory_size={memory_size}; build it with memory_size={len(stored)} or more"
            )
        for image, mask in stored:
            if mask.dtype != torch.bool or image.ndim != 3 or image.shape[1:] != mask.shape:
                raise ValueError(
                    f"damaged state: an object of class {label} has an image of shape {tuple(image.shape)} "
                    f"and a {mask.dtype} mask of shape {tuple(mask.shape)}"
                )
    counters = {name: dict(zip(tail_classes, state["counters"][name], strict=True)) for name in COUNTERS}
    return crops, counters, state["generator"]
