"""From the operations of a network to the blocks that a picture of it has room for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from aucseg.models.structure.tracing import Operation, Trace

# Operations that move, join and gate what modules made, and make nothing new of it.
ROUTING = frozenset(
    "add add_ adaptive_avg_pool2d _adaptive_avg_pool2d alias avg_pool2d bernoulli_ cat clone constant_pad_nd "
    "contiguous detach div_ empty empty_like expand max_pool2d_with_indices mean mul mul_ native_dropout "
    "permute relu relu_ select sigmoid slice split split_with_sizes squeeze stack sum t _to_copy transpose "
    "unbind _unsafe_view unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_nearest2d view".split()
)
# A decoder of so few modules is looked into; what branches in it too, up to so many blocks.
_FEW, _MANY = 3, 12

Key = TypeVar("Key", bound=Hashable)


class Part(NamedTuple):
    """A piece of a block: a module, and in the encoder one of the resolutions that it works at."""

    path: str
    stride: int | None = None


#: What no module makes.
IMAGE, LOGITS = Part("image"), Part("logits")


@dataclass(frozen=True)
class Partition:
    """Which block each operation belongs to.

    Attributes:
        members: parts of each block, in the order of the call; blocks have the name of their first part.
        blocks: for each trace, the block of each operation. None is an operation that only passes on what
            blocks made.
    """

    members: dict[Part, list[Part]]
    blocks: list[list[Part | None]]


def partition(network: nn.Module, traces: Sequence[Trace], size: tuple[int, int]) -> Partition:
    """Cut a network into blocks.

    The encoder is cut where the resolution changes and where it returns a feature; modules of it that feed
    each other at several resolutions stay together. The rest is cut into the modules that the decoder calls,
    and the heads. A module of the decoder is looked into if it branches inside, or the decoder has few of
    them, and if all it does itself is pass on: add, concatenate, multiply, resize. A norm alone belongs to
    what it normalises.

    Args:
        network: the network.
        traces: of it, in training and in evaluation mode.
        size: of the images of the traces.
    """
    calls = _Calls(network, traces)
    opened = _opened(calls)
    parts = [_parts(calls, opened, trace, size) for trace in traces]
    kept = {part: part for found in parts for part in found if part is not None}
    groups = _Groups(kept, list(zip(traces, parts, strict=True)))
    groups.merge_cycles()
    features = {
        part for t, found in zip(traces, parts, strict=True) for i in t.features if (part := found[i])
    }
    groups.merge_chains(features)
    groups.merge_norms(network)
    return Partition(
        groups.members(), [[None if p is None else groups.of(p) for p in found] for found in parts]
    )


def stride_of(shape: Sequence[int], size: tuple[int, int]) -> int | None:
    """How many pixels of the image a value stands for on each side; None where it is no map of the image.

    Args:
        shape: of a tensor, (B,C,H/s,W/s), or (B,H/s,W/s,C) as transformers have it.
        size: height and width of the image, which must differ.
    """
    if len(shape) != 4:
        return None
    for height, width in (shape[2:], shape[1:3]):
        if size[0] % height == size[1] % width == 0 and size[0] // height == size[1] // width:
            return size[0] // height
    return None


class Flow(NamedTuple, Generic[Key]):
    """What one gives another.

    Attributes:
        source: key of the operation that made it.
        target: key of the one that it goes to.
        shape: of the tensor, as the source hands it over.
    """

    source: Key
    target: Key
    shape: tuple[int, ...]


def flows(operations: Sequence[Operation], keys: Sequence[Key | None]) -> set[Flow[Key]]:
    """How data flows between operations of different keys, through those without one.

    Args:
        operations: of one call.
        keys: of each, or None.
    """
    found = set()
    for target, sources in zip(keys, origins(operations, keys), strict=True):
        if target is not None:
            found |= {Flow(source, target, shape) for source, shape in sources if source != target}
    return found


def origins(
    operations: Sequence[Operation], keys: Sequence[Key | None]
) -> list[frozenset[tuple[Key, tuple[int, ...]]]]:
    """Where what each operation gets comes from: keys, and the shape of the tensor that they handed over.

    Args:
        operations: of one call.
        keys: of each; what comes from one without is what that one got.
    """
    found: list[frozenset[tuple[Key, tuple[int, ...]]]] = []
    for operation in operations:
        came: set[tuple[Key, tuple[int, ...]]] = set()
        for number, shape in operation.inputs:
            source = keys[number]
            came |= found[number] if source is None else {(source, shape)}
        found.append(frozenset(came))
    return found


def reachable(start: Key, targets: Mapping[Key, set[Key]]) -> set[Key]:
    """What can be reached from a key in one step or more."""
    found: set[Key] = set()
    ahead = [start]
    while ahead:
        new = targets.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found


class _Calls:
    """Which module calls which, what it does itself, and whether any of it has parameters."""

    def __init__(self, network: nn.Module, traces: Sequence[Trace]) -> None:
        self.network, self.traces = network, traces
        self.children: dict[str, dict[str, None]] = defaultdict(dict)
        self.own: dict[str, set[str]] = defaultdict(set)
        self.all: dict[str, set[str]] = defaultdict(set)
        self.reading: set[str] = set()
        for trace in traces:
            for operation in trace.operations:
                scope = ("", *operation.scope)
                self.own[scope[-1]].add(operation.name)
                for path in scope:
                    self.all[path].add(operation.name)
                if operation.parameters:
                    self.reading.update(scope)
                for outer, inner in pairwise(scope):
                    self.children[outer][inner] = None

    def passes_on(self, path: str) -> bool:
        """Whether a module has no parameters and only passes on."""
        return path not in self.reading and self.all[path] <= ROUTING

    def openable(self, path: str) -> bool:
        """Whether nothing of a module is lost in a picture of the modules that it calls."""
        module = self.network.get_submodule(path)
        return (
            sum(child in self.reading for child in self.children[path]) > 1
            and self.own[path] <= ROUTING
            and not any(True for _ in module.parameters(recurse=False))
            and not _in_a_row(module)
        )

    def branches(self, path: str) -> bool:
        """Whether a module is openable and two in it, or in one of its own, do not read from each other."""
        if not self.openable(path):
            return False
        later = {
            flow.target
            for t in self.traces
            for flow in flows(t.operations, [_below(path, operation.scope) for operation in t.operations])
        }
        first = [c for c in self.children[path] if c in self.reading and c not in later]
        return len(first) > 1 or any(self.branches(child) for child in self.children[path])


def _in_a_row(module: nn.Module) -> bool:
    """Whether a module is one of PyTorch's layers, or such layers one after the other."""
    if isinstance(module, nn.Sequential):
        return all(_in_a_row(child) for child in module)
    return type(module).__module__.startswith("torch.nn.")


def _below(path: str, scope: Iterable[str]) -> str | None:
    """The module that an operation is in, of those that a module calls; None outside and in itself."""
    return next((inner for outer, inner in pairwise(("", *scope)) if outer == path), None)


def _opened(calls: _Calls) -> set[str]:
    """Modules whose insides are shown, beside the network itself."""
    opened = (
        {"", "decoder"} if not any(calls.network.get_submodule("decoder").parameters(recurse=False)) else {""}
    )

    def shown() -> list[str]:
        return [
            child
            for path in calls.children
            if path in opened and path.startswith("decoder")
            for child in calls.children[path]
            if child not in opened and not calls.passes_on(child)
        ]

    if len(shown()) <= _FEW:
        opened |= {path for path in shown() if calls.openable(path)}
    while branching := {path for path in shown() if calls.branches(path)}:
        before = set(opened)
        opened |= branching
        if len(shown()) > _MANY:
            return before
    return opened


def _parts(calls: _Calls, opened: set[str], trace: Trace, size: tuple[int, int]) -> list[Part | None]:
    """The part that each operation is in."""
    encoder = _encoder_parts(calls, trace, size)
    parts: list[Part | None] = [IMAGE]
    for number, operation in enumerate(trace.operations[1:-1], start=1):
        inner = next((path for path in operation.scope if path not in opened), None)
        known = inner is None or calls.passes_on(inner)
        parts.append(encoder.get(number, None if inner is None or known else Part(inner)))
    return [*parts, LOGITS]


def _encoder_parts(calls: _Calls, trace: Trace, size: tuple[int, int]) -> dict[int, Part]:
    """The part that each operation of the encoder is in."""
    strides, units, taken = [1], {0: ""}, defaultdict(set)
    for number, operation in enumerate(trace.operations[1:], start=1):
        latest = max(i for i, _ in operation.inputs)
        # tokens, means and attention are at the resolution of what they are made of
        strides.append(stride_of(operation.shape, size) or strides[latest])
        if operation.scope[:1] == ("encoder",):
            # what the encoder does between its modules belongs to the last of them
            units[number] = _unit(calls, operation.scope) or units.get(latest) or "encoder"
        for source, _ in operation.inputs:
            if units.get(source) != units.get(number):
                taken[units.get(source)].add(strides[source])
    for number in trace.features:
        taken[units.get(number)].add(strides[number])
    # a module that gives one resolution has it, whatever it works at before it gets there
    return {
        number: Part(unit, next(iter(taken[unit])) if len(taken[unit]) == 1 else strides[number])
        for number, unit in units.items()
        if number
    }


def _unit(calls: _Calls, scope: Sequence[str]) -> str | None:
    """The outermost module called in the encoder that is no mere wrapper or sequence of others."""
    wrappers = {"encoder"}
    for path in scope:
        if path in wrappers and len(calls.children[path]) == 1:
            wrappers |= set(calls.children[path])
        elif path not in wrappers and type(calls.network.get_submodule(path)) is not nn.Sequential:
            return path
    return None


class _Groups:
    """Parts, and which of them are one block by now."""

    def __init__(
        self, parts: Mapping[Part, Part], calls: Sequence[tuple[Trace, Sequence[Part | None]]]
    ) -> None:
        self._leader = dict(parts)
        self._order = {part: i for i, part in enumerate(parts)}
        self._flows = {
            (flow.source, flow.target) for trace, found in calls for flow in flows(trace.operations, found)
        }

    def of(self, part: Part) -> Part:
        """The first part of the block that a part is in."""
        while self._leader[part] != part:
            part = self._leader[part]
        return part

    def members(self) -> dict[Part, list[Part]]:
        """Parts of each block."""
        found: dict[Part, list[Part]] = defaultdict(list)
        for part in self._leader:
            found[self.of(part)].append(part)
        return dict(found)

    def _merge(self, one: Part, other: Part) -> None:
        first, second = sorted((self.of(one), self.of(other)), key=self._order.__getitem__)
        self._leader[second] = first

    def _neighbours(self) -> tuple[dict[Part, set[Part]], dict[Part, set[Part]]]:
        """Sources and targets of each block."""
        sources: dict[Part, set[Part]] = defaultdict(set)
        targets: dict[Part, set[Part]] = defaultdict(set)
        for source, target in ((self.of(a), self.of(b)) for a, b in self._flows):
            if source != target:
                sources[target].add(source)
                targets[source].add(target)
        return sources, targets

    def merge_cycles(self) -> None:
        """Make one block of those that feed each other."""
        _, targets = self._neighbours()
        ahead = {part: reachable(part, targets) for part in list(targets)}
        for one in ahead:
            for other in ahead[one]:
                if one in ahead.get(other, ()):
                    self._merge(one, other)

    def merge_chains(self, features: set[Part]) -> None:
        """Make one block of the encoder's modules at one resolution, up to where it returns a feature."""
        while pair := self._chained(features):
            self._merge(*pair)

    def _chained(self, features: set[Part]) -> tuple[Part, Part] | None:
        sources, targets = self._neighbours()
        members = self.members()
        strides = {block: {part.stride for part in parts} for block, parts in members.items()}
        ends = {self.of(part) for part in features}
        for one, others in targets.items():
            if one in ends or strides[one] == {None} or one == IMAGE:
                continue
            for other in others:
                if strides[other] == {None}:
                    continue
                same = strides[one] == strides[other]
                # a way into the other beside the one that leads there directly
                beside = strides[one] <= strides[other] and sources[one] <= sources[other]
                if (same and sources[other] == {one}) or ((same or beside) and others == {other}):
                    return one, other
        return None

    def merge_norms(self, network: nn.Module) -> None:
        """Make what is nothing but a norm part of the block that it normalises."""
        norms = (_NormBase, nn.LayerNorm, nn.GroupNorm)
        for part in [part for part in self._leader if part.stride is None and part not in (IMAGE, LOGITS)]:
            sources, _ = self._neighbours()
            if isinstance(network.get_submodule(part.path), norms) and len(sources[part]) == 1:
                self._merge(part, *sources[part])
