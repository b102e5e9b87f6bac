"""The structure of a network from the operations of its calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from aucseg.models.structure.blocks import JOINS, Block, Edge, Output, Role, Structure
from aucseg.models.structure.costs import count_parameters, multiply_adds
from aucseg.models.structure.flow import Flow, origins, reachable
from aucseg.models.structure.groups import Part
from aucseg.models.structure.kinds import describe_all
from aucseg.models.structure.partition import partition, stride_of
from aucseg.models.structure.tracing import Trace, trace
from aucseg.models.structure.wiring import Names, all_wires, in_order, join_names, targets_of


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
        ValueError: if height and width are equal.
    """
    if size[0] == size[1]:
        raise ValueError(f"height and width must differ, got {size}; take (96, 160) for example")
    calls = [trace(network, size, training=mode) for mode in (True, False)]
    found = partition(network, calls, size)
    names = _names(network, found.members)
    keys: list[list[str | None]] = [[part and names[part] for part in blocks] for blocks in found.blocks]
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    parameters = count_parameters(calls, keys, sizes)
    work = multiply_adds(calls, keys)
    kinds = {names[part]: _kind(network, members) for part, members in found.members.items()}
    for number, name in join_names(calls[0].operations, keys[0]).items():
        keys[0][number] = name
        kinds[name] = JOINS[calls[0].operations[number].name]
    wires = all_wires(calls, keys)
    targets = targets_of(wires)
    shapes = _handed_over(calls, keys, wires)
    losses = _losses(calls[0], keys[0])
    order = in_order(dict.fromkeys(name for blocks in keys for name in blocks if name), targets)
    rank = {name: number for number, name in enumerate(order)}
    return Structure(
        type(network).__name__,
        size,
        tuple(
            Block(
                name,
                kinds[name],
                _role(name, targets),
                tuple(sorted((_output(shape, size) for shape in shapes[name]), key=_finest)),
                parameters[name],
                work[name],
                tuple(losses[name]),
            )
            for name in order
        ),
        tuple(
            Edge(wire.source, wire.target, _output(wire.shape, size))
            for wire in sorted(wires, key=lambda w: (rank[w.source], rank[w.target], w.shape))
        ),
        sum(sizes.values()) - sum(parameters.values()),
    )


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


def _finest(output: Output) -> tuple[bool, int, tuple[int, ...]]:
    return output.stride is None, output.stride or 0, output.shape


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
