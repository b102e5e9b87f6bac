"""Which block gives which what."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from aucseg.models.structure.blocks import JOINS
from aucseg.models.structure.flow import Flow, flows, origins, reachable
from aucseg.models.structure.tracing import Operation, Trace

Names = Sequence[str | None]


def join_names(operations: Sequence[Operation], names: Names) -> dict[int, str]:
    """Names for the operations between blocks that join what several made for several to read.

    Args:
        operations: of one call.
        names: of the block of each, None between blocks.
    """
    sources = [{name for name, _ in found} for found in origins(operations, names)]
    readers: list[set[int | str]] = [set() for _ in operations]
    joins: dict[int, str] = {}
    for number, operation in reversed(list(enumerate(operations))):
        name, inputs = names[number], [i for i, _ in operation.inputs]
        ready = [{names[i]} if names[i] else sources[i] for i in inputs]
        joining = name is None and operation.name in JOINS and sources[number] not in ready
        if joining and len(readers[number]) > 1:
            joins[number] = f"{operation.scope[-1]} " if operation.scope else ""
        for i in inputs:
            readers[i] |= {name or number} if name or number in joins else readers[number]
    named: dict[int, str] = {}
    counts: Counter[str] = Counter()
    for number in sorted(joins):
        name = joins[number] + JOINS[operations[number].name]
        counts[name] += 1
        named[number] = f"{name} ({counts[name]})" if counts[name] > 1 else name
    return named


def all_wires(calls: Sequence[Trace], keys: Sequence[Names]) -> set[Flow[str]]:
    """Flows of training, and those of evaluation that lead where training's do not.

    Args:
        calls: in training and in evaluation mode.
        keys: names of the blocks of their operations.
    """
    wires = flows(calls[0].operations, keys[0])
    before = targets_of(wires)
    for wire in flows(calls[1].operations, keys[1]):
        if wire.target not in reachable(wire.source, before):
            wires.add(wire)
    return wires


def targets_of(wires: Iterable[Flow[str]]) -> dict[str, set[str]]:
    """Names of the blocks that get data from each."""
    targets: dict[str, set[str]] = defaultdict(set)
    for wire in wires:
        targets[wire.source].add(wire.target)
    return targets


def in_order(names: Iterable[str], targets: Mapping[str, set[str]]) -> list[str]:
    """Names in the order that they came in, but none before what it gets data from.

    Args:
        names: all.
        targets: of each name.
    """
    rank = {name: number for number, name in enumerate(names)}
    waits = Counter(target for found in targets.values() for target in found)
    ready = [(rank[name], name) for name in rank if not waits[name]]
    order = []
    while ready:
        _, name = heapq.heappop(ready)
        order.append(name)
        for target in targets.get(name, ()):
            waits[target] -= 1
            if not waits[target]:
                heapq.heappush(ready, (rank[target], target))
    return order
