"""Pieces of a network put together to blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from aucseg.models.structure.flow import flows, reachable
from aucseg.models.structure.tracing import Trace

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


class Part(NamedTuple):
    """A piece of a block: a module, and in the encoder one of the resolutions that it works at."""

    path: str
    stride: int | None = None


#: What no module makes.
IMAGE, LOGITS = Part("image"), Part("logits")


class Groups:
    """Parts, and which of them are one block by now.

    Args:
        parts: all, in the order of the call.
        calls: of the network, with the part of each operation.
    """

    def __init__(self, parts: Sequence[Part], calls: Sequence[tuple[Trace, Sequence[Part | None]]]) -> None:
        self._leader = {part: part for part in parts}
        self._order = {part: i for i, part in enumerate(parts)}
        every = (flow for trace, found in calls for flow in flows(trace.operations, found))
        # sets have another order in each process
        self._flows = sorted(
            {(flow.source, flow.target) for flow in every},
            key=lambda flow: (self._order[flow[0]], self._order[flow[1]]),
        )

    def of(self, part: Part) -> Part:
        """The first part of the block that a part is in, which stands for the block."""
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
            for other in sorted(others, key=self._order.__getitem__):
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
        for part in [part for part in self._leader if part.stride is None and part not in (IMAGE, LOGITS)]:
            sources, _ = self._neighbours()
            if isinstance(network.get_submodule(part.path), _NORMS) and len(sources[part]) == 1:
                self._merge(part, *sources[part])
