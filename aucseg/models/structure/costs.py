"""Parameters and multiply-adds of the blocks of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from aucseg.models.structure.tracing import Operation, Trace
from aucseg.models.structure.wiring import Names


def count_parameters(calls: Sequence[Trace], keys: Sequence[Names], sizes: Mapping[str, int]) -> Counter[str]:
    """Number of parameters of each block, each parameter where it is read first.

    Args:
        calls: of a network.
        keys: names of the blocks of their operations.
        sizes: of all parameters by name.
    """
    owner: dict[str, str] = {}
    for call, names in zip(calls, keys, strict=True):
        for operation, name in zip(call.operations, readers(call.operations, names), strict=True):
            for parameter in operation.parameters:
                if name is not None:
                    owner.setdefault(parameter, name)
    counts: Counter[str] = Counter()
    for parameter, name in owner.items():
        counts[name] += sizes[parameter]
    return counts


def readers(operations: Sequence[Operation], names: Names) -> list[str | None]:
    """The block of each operation; of one between blocks, the first that reads its result.

    Args:
        operations: of one call.
        names: of the block of each, None between blocks.
    """
    found = list(names)
    for number, operation in reversed(list(enumerate(operations))):
        for i, _ in operation.inputs:
            if names[i] is None:
                found[i] = found[number]
    return found


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
    for operation, name in zip(operations, readers(operations, names), strict=True):
        if name is not None:
            work[name] += operation.multiply_adds
    return work
