"""Data flow between operations, through those that nobody asks about."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from aucseg.models.structure.tracing import Operation

Key = TypeVar("Key", bound=Hashable)


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
