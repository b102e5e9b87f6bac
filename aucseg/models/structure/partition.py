"""From the operations of a network to the blocks that a picture of it has room for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from aucseg.models.structure.groups import IMAGE, LOGITS, Groups, Part
from aucseg.models.structure.opening import Calls, opened_modules
from aucseg.models.structure.tracing import Trace


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
    calls = Calls(network, traces)
    opened = opened_modules(calls)
    parts = [_parts(calls, opened, trace, size) for trace in traces]
    every = list(dict.fromkeys(part for found in parts for part in found if part is not None))
    groups = Groups(every, list(zip(traces, parts, strict=True)))
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


def _parts(calls: Calls, opened: set[str], trace: Trace, size: tuple[int, int]) -> list[Part | None]:
    """The part that each operation is in."""
    encoder = _encoder_parts(calls, trace, size)
    parts: list[Part | None] = [IMAGE]
    for number, operation in enumerate(trace.operations[1:-1], start=1):
        inner = next((path for path in operation.scope if path not in opened), None)
        known = inner is None or calls.passes_on(inner)
        parts.append(encoder.get(number, None if inner is None or known else Part(inner)))
    return [*parts, LOGITS]


def _encoder_parts(calls: Calls, trace: Trace, size: tuple[int, int]) -> dict[int, Part]:
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


def _unit(calls: Calls, scope: Sequence[str]) -> str | None:
    """The outermost module called in the encoder that is no mere wrapper or sequence of others."""
    wrappers = {"encoder"}
    for path in scope:
        if path in wrappers and len(calls.children[path]) == 1:
            wrappers |= set(calls.children[path])
        elif path not in wrappers and type(calls.network.get_submodule(path)) is not nn.Sequential:
            return path
    return None
