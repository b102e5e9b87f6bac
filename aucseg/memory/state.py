"""The state of a memory bank as plain tensors, numbers and lists that load without running code."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import torch
from torch import Tensor

from aucseg.memory.diary import COUNTERS, Diary
from aucseg.memory.paste import Crop
from aucseg.memory.store import Entry, ObjectStore, Origin

_VERSION = 2
_FIRST = {"version", "tail_classes", "crops", "counters", "generator"}  # keys of version 1
_KEYS = {1: _FIRST, 2: _FIRST | {"entries", "steps", "recent", "policy"}}
_NO_ORIGIN = [-1, -1, -1, -1]


class Unpacked(NamedTuple):
    """What a state holds, checked."""

    entries: dict[int, list[Entry]]
    number: int  # of all objects that were ever put in
    diary: Diary
    generator: Tensor
    policy: tuple[str, dict[str, Any]] | None


def pack(store: ObjectStore, diary: Diary, generator: Tensor) -> dict[str, Any]:
    """Collect the state of a bank.

    Args:
        store: its objects.
        diary: its counters.
        generator: state of its random generator.

    Returns:
        A dictionary that ``torch.load(..., weights_only=True)`` accepts. Crops are shared, not copied: a
        bank replaces them but never writes to them.
    """
    counters, steps, recent = diary.pack()
    shelves = list(store.entries.values())
    return {
        "version": _VERSION,
        "tail_classes": list(store.entries),
        "crops": [[(entry.crop.image, entry.crop.mask) for entry in shelf] for shelf in shelves],
        "entries": [
            [[e.born, e.order, e.uses, *(_NO_ORIGIN if e.origin is None else e.origin)] for e in shelf]
            for shelf in shelves
        ],
        "counters": counters,
        "steps": steps,
        "recent": recent,
        "policy": [type(store.policy).__name__, store.policy.state_dict(), store.count],
        "generator": generator,
    }


def unpack(state: Any, tail_classes: tuple[int, ...], memory_size: int) -> Unpacked:
    """Check a packed state and take it apart.

    A state of version 1 did not say when and where its objects were cut out: they are taken in the order in
    which they lay, as if the present step had stored them, and without an origin.

    Args:
        state: what ``pack`` returned, now or in version 1.
        tail_classes: labels of the tail classes of the bank that loads it.
        memory_size: memory size S_M of the bank that loads it.

    Raises:
        ValueError: if it is no state of a memory bank, or one of a bank with other tail classes or more
            stored objects than ``memory_size``.
    """
    version = state.get("version") if isinstance(state, dict) else None
    if version not in _KEYS or set(state) != _KEYS[version]:
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise ValueError(
            f"not the state of a TailMemoryBank (version 1 or {_VERSION}): got {found}; load one that a bank "
            f"of this version saved, or start with an empty bank"
        )
    if tuple(state["tail_classes"]) != tail_classes:
        raise ValueError(
            f"the state is of a bank with tail classes {state['tail_classes']}, this bank has "
            f"{list(tail_classes)}; build it with the same tail classes, or start with an empty bank"
        )
    for label, stored in zip(tail_classes, state["crops"], strict=True):
        _check_crops(label, stored, memory_size)
    if set(state["counters"]) - set(COUNTERS):
        raise ValueError(f"damaged state: counters {sorted(state['counters'])}; start with an empty bank")
    if version == 1:
        diary = Diary.unpack(tail_classes, state["counters"], 0, [])
        notes, count = _notes_of_version_1(state["crops"])
        policy = None
    else:
        diary = Diary.unpack(tail_classes, state["counters"], state["steps"], state["recent"])
        notes, (*named, count) = state["entries"], state["policy"]
        policy = (named[0], named[1])
    entries = {
        label: [_entry(Crop(*crop), note) for crop, note in zip(stored, shelf, strict=True)]
        for label, stored, shelf in zip(tail_classes, state["crops"], notes, strict=True)
    }
    return Unpacked(entries, count, diary, state["generator"].cpu(), policy)


def saved_bytes(state: dict[str, Any]) -> int:
    """Size of the file that ``torch.save`` would write, without writing it.

    Args:
        state: what would be saved.
    """
    counter = _Counter()
    torch.save(state, counter)
    return counter.written


class _Counter(io.BytesIO):
    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.written += size
        return size


def _check_crops(label: int, stored: list[tuple[Tensor, Tensor]], memory_size: int) -> None:
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


def _notes_of_version_1(crops: list[list[Any]]) -> tuple[list[list[list[int]]], int]:
    notes: list[list[list[int]]] = []
    count = 0
    for stored in crops:
        notes.append([[0, count + position, 0, *_NO_ORIGIN] for position in range(len(stored))])
        count += len(stored)
    return notes, count


def _entry(crop: Crop, note: list[int]) -> Entry:
    born, order, uses, *origin = note
    return Entry(crop, None if origin == _NO_ORIGIN else Origin(*origin), born, order, uses)
