"""Parameters and multiply-adds of the blocks of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import nn

from aucseg.models.structure.tracing import Operation, Trace
from aucseg.models.structure.wiring import Names


def count_parameters(network: nn.Module, calls: Sequence[Trace], keys: Sequence[Names]) -> Counter[str]:
    """Number of parameters of each block, each counted where it is read first.

    Args:
        network: the network.
        calls: of it.
        keys: names of the blocks of their operations.

    Raises:
        ValueError: if a parameter is read in no block.
    """
    owner: dict[str, str] = {}
    for call, names in zip(calls, keys, strict=True):
        for operation, name in zip(call.operations, names, strict=True):
            for parameter in operation.parameters:
                if name is not None:
                    owner.setdefault(parameter, name)
    counts: Counter[str] = Counter()
    for parameter, tensor in network.named_parameters():
        if parameter not in owner:
            raise ValueError(
                f"parameter {parameter!r} of {type(network).__name__} is read by no module of its encoder, "
                "decoder or heads; a picture without it would not be one of the network"
            )
        counts[owner[parameter]] += tensor.numel()
    return counts


def multiply_adds(calls: Sequence[Trace], keys: Sequence[Names]) -> Counter[str]:
    """Multiply-adds of each block in evaluation, and of those that only training has.

    Args:
        calls: in training and in evaluation mode.
        keys: names of the blocks of their operations.
    """
    training, evaluation = (_work(call.operations, names) for call, names in zip(calls, keys, strict=True))
    there = {name for name in keys[1] if name}
    return evaluation + Counter({name: work for name, work in training.items() if name not in there})


def _work(operations: Sequence[Operation], names: Names) -> Counter[str]:
    work: Counter[str] = Counter()
    reader: list[str | None] = [None] * len(operations)
    for number, operation in reversed(list(enumerate(operations))):
        # what happens between blocks is the work of the first that reads it
        name = names[number] or reader[number]
        if name is not None:
            work[name] += operation.multiply_adds
            for i, _ in operation.inputs:
                reader[i] = name
    return work
