"""The structure of a network from the operations of its calls."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from aucseg.models.structure.blocks import JOINS, Block, Edge, Output, Role, Structure
from aucseg.models.structure.kinds import describe_all
from aucseg.models.structure.partition import (
    Flow,
    Part,
    flows,
    origins,
    partition,
    reachable,
    stride_of,
)
from aucseg.models.structure.tracing import Operation, Trace, trace

Names = Sequence[str | None]


def network_structure(network: nn.Module, size: tuple[int, int] = (96, 160)) -> Structure:
    """What a network is made of: its blocks, and the data flow between them.

    The network is followed through a call in training mode and one in evaluation mode, without values, so
    that nothing is computed and nothing of it changes; it may be on the meta device. The encoder is cut into
    blocks where the resolution changes and where it returns a feature. The decoder is cut into the modules
    that it calls, and these into theirs where it has three or fewer or where they branch inside. Heads are
    blocks of their own. What happens between modules belongs to an edge, except a concatenation, sum or
    product that several blocks read.

    Args:
        network: a network of :func:`create_model`, or any with an ``encoder`` as smp's and a ``decoder``.
        size: height and width of the image. They differ, so that a mean over the image is not taken for a
            map of it, and are multiples of the network's stride.

    Raises:
        ValueError: if height and width are equal, or a parameter belongs to no block.
    """
    if size[0] == size[1]:
        raise ValueError(f"height and width must differ, got {size}; take (96, 160) for example")
    calls = [trace(network, size, training=mode) for mode in (True, False)]
    found = partition(network, calls, size)
    names = _names(network, found.members)
    keys: list[list[str | None]] = [[part and names[part] for part in blocks] for blocks in found.blocks]
    parameters = _parameters(network, calls, keys)
    work = _multiply_adds(calls, keys)
    joins = _joins(calls[0].operations, keys[0])
    for number, name in joins.items():
        keys[0][number] = name
    wires = _wires(calls, keys)
    kinds = {names[part]: _kind(network, members) for part, members in found.members.items()}
    kinds |= {name: JOINS[calls[0].operations[number].name] for number, name in joins.items()}
    targets = _targets(wires)
    shapes = _handed_over(calls, keys, wires)
    losses = _losses(calls[0], keys[0])
    order = _in_order(dict.fromkeys(name for blocks in keys for name in blocks if name), targets)
    return Structure(
        type(network).__name__,
        size,
        tuple(
            Block(
                name,
                kinds[name],
                _role(name, targets),
                tuple(sorted((_output(s, size) for s in shapes[name]), key=_finest)),
                parameters[name],
                work[name],
                tuple(losses[name]),
            )
            for name in order
        ),
        tuple(
            Edge(wire.source, wire.target, _output(wire.shape, size))
            for wire in sorted(wires, key=lambda wire: (order.index(wire.source), order.index(wire.target)))
        ),
    )


# Names and kinds


def _names(network: nn.Module, members: Mapping[Part, list[Part]]) -> dict[Part, str]:
    """A name for each block: where most of its parameters are, and in the encoder its resolutions."""
    names: dict[Part, str] = {}
    for block, parts in members.items():
        name = block.path
        if block.stride is not None:
            name = f"{_container(network, parts)} {_resolutions(parts)}"
        same = sum(other.partition(" (")[0] == name for other in names.values())
        names[block] = f"{name} ({same + 1})" if same else name
    return names


def _resolutions(parts: Iterable[Part]) -> str:
    strides = sorted({part.stride for part in parts if part.stride})
    return "–".join(f"1/{stride}" for stride in dict.fromkeys((strides[0], strides[-1])))


def _container(network: nn.Module, parts: Sequence[Part]) -> str:
    """The module, or the list of modules, with most of the parameters of a block of the encoder."""
    paths = list(dict.fromkeys(part.path for part in parts))
    inside: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        outer, _, last = path.rpartition(".")
        inside[outer if last.isdigit() else path].append(path)
    sizes = {
        outer: sum(_size(network.get_submodule(path)) for path in found) for outer, found in inside.items()
    }
    largest = max(sizes, key=sizes.__getitem__)
    return inside[largest][0] if len(inside[largest]) == 1 else largest


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _kind(network: nn.Module, parts: Sequence[Part]) -> str:
    paths = dict.fromkeys(part.path for part in parts)
    if paths.keys() & {"image", "logits"}:
        return parts[0].path
    return describe_all([network.get_submodule(path) for path in paths])


# Wires


def _joins(operations: Sequence[Operation], names: Names) -> dict[int, str]:
    """Operations between blocks that join what several made for several to read, and names for them."""
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


def _wires(calls: Sequence[Trace], keys: Sequence[Names]) -> set[Flow[str]]:
    """Flows of training, and those of evaluation that lead where training's do not."""
    wires = flows(calls[0].operations, keys[0])
    before = _targets(wires)
    for wire in flows(calls[1].operations, keys[1]):
        if wire.target not in reachable(wire.source, before):
            wires.add(wire)
    return wires


def _targets(wires: Iterable[Flow[str]]) -> dict[str, set[str]]:
    targets: dict[str, set[str]] = defaultdict(set)
    for wire in wires:
        targets[wire.source].add(wire.target)
    return targets


def _in_order(names: Iterable[str], targets: Mapping[str, set[str]]) -> list[str]:
    """Names in the order that they came in, but none before what it gets data from."""
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


# What a block is and has


def _role(name: str, targets: Mapping[str, set[str]]) -> Role:
    if name in ("image", "logits"):
        return "image" if name == "image" else "logits"
    if name.startswith("encoder"):
        return "encoder"
    if "logits" not in reachable(name, targets):
        return "auxiliary"
    return "decoder" if name.startswith("decoder") else "head"


def _output(shape: tuple[int, ...], size: tuple[int, int]) -> Output:
    """A tensor without its batch; a single value at each channel has no height and width."""
    own = tuple(shape[1:])
    return Output(own[:1] if set(own[1:]) == {1} else own, stride_of(shape, size))


def _finest(output: Output) -> tuple[bool, int]:
    return output.stride is None, output.stride or 0


def _handed_over(
    calls: Sequence[Trace], keys: Sequence[Names], wires: set[Flow[str]]
) -> dict[str, set[tuple[int, ...]]]:
    """Shapes of what blocks hand on; of what they end in, if nothing reads it."""
    shapes: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    for wire in wires:
        shapes[wire.source].add(wire.shape)
    for call, names in zip(calls, keys, strict=True):
        last = {name: operation.shape for operation, name in zip(call.operations, names, strict=True) if name}
        for name in last.keys() - shapes.keys():
            shapes[name] = {last[name]}
    return shapes


def _losses(call: Trace, names: Names) -> dict[str, list[str]]:
    """Auxiliary terms by the block that their logits come from."""
    before = origins(call.operations, names)
    losses: dict[str, list[str]] = defaultdict(list)
    for term, numbers in call.auxiliary.items():
        direct = {name for number in numbers if (name := names[number])}
        for name in direct or {name for number in numbers for name, _ in before[number]}:
            losses[name].append(term)
    return losses


def _parameters(network: nn.Module, calls: Sequence[Trace], keys: Sequence[Names]) -> Counter[str]:
    """Number of parameters of each block, each counted where it is read first."""
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


def _multiply_adds(calls: Sequence[Trace], keys: Sequence[Names]) -> Counter[str]:
    """Multiply-adds of each block in evaluation, and of those that only training has."""
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
