"""What a memory bank has done, and its state as plain tensors, numbers and lists.

A state loads without running code (``weights_only=True``). Its keys are those of version 2; a state of
version 1, written before the bank knew ages and origins, still loads.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aucseg.errors import DataError, OptionError
from aucseg.memory.objects import Crop, ObjectStore, Origin, StoredObject

COUNTERS = ("stored", "pasted", "missing", "empty", "replaced", "too_small", "crowded", "pasted_age")
WINDOW = 100
_ROW = (*COUNTERS, "images", "asked", "complete_before", "complete_after")

_VERSION = 2
_FIRST = {"version", "tail_classes", "crops", "counters", "generator"}  # keys of version 1
_KEYS = {1: _FIRST, 2: _FIRST | {"entries", "steps", "recent", "policy"}}
_NO_ORIGIN = [-1, -1, -1, -1]


class BankStats:
    """Counts since the start for each class, and sums over classes for each of the last 100 batches.

    Args:
        classes: labels of the tail classes.
    """

    def __init__(self, classes: Sequence[int]) -> None:
        self.classes = tuple(classes)
        self.steps = 0
        self.counters = {name: dict.fromkeys(self.classes, 0) for name in COUNTERS}
        self.recent: deque[dict[str, int]] = deque(maxlen=WINDOW)

    def begin(self, images: int, asked: int, held: Collection[int]) -> None:
        """Open the row of a batch.

        Args:
            images: number of images.
            asked: how often a class was looked for: classes times images, or classes if the batch is one.
            held: tail classes that the batch holds.
        """
        self.recent.append(dict.fromkeys(_ROW, 0))
        self.recent[-1].update(images=images, asked=asked, complete_before=self._complete(held))

    def count(self, name: str, *labels: int, number: int = 1) -> None:
        """Count something of classes in the batch whose row is open.

        Args:
            name: one of ``COUNTERS``.
            *labels: the classes.
            number: how often, for each of them.
        """
        counts = self.counters[name]
        for label in labels:
            counts[label] += number
        self.recent[-1][name] += number * len(labels)

    def end(self, held: Collection[int]) -> None:
        """Close the row of a batch; the next batch is another step.

        Args:
            held: tail classes that the batch holds after pasting.
        """
        self.recent[-1]["complete_after"] = self._complete(held)
        self.steps += 1

    def metrics(self) -> dict[str, float]:
        """Means over the last batches; a mean over nothing is left out."""
        total = {name: sum(row[name] for row in self.recent) for name in _ROW}
        draws = total["pasted"] + total["empty"] + total["crowded"]
        parts = {
            "missing": ("missing", total["asked"]),
            "stored": ("stored", total["images"]),
            "replaced": ("replaced", total["images"]),
            "pasted": ("pasted", total["images"]),
            "lost": ("empty", draws),
            "crowded": ("crowded", draws),
            "pasted_age": ("pasted_age", total["pasted"]),
            "coverage_before": ("complete_before", len(self.recent)),
            "coverage_after": ("complete_after", len(self.recent)),
        }
        return {name: total[what] / number for name, (what, number) in parts.items() if number}

    def pack(self) -> tuple[dict[str, list[int]], int, list[list[int]]]:
        """Counters, steps and rows as plain lists."""
        counters = {name: list(counts.values()) for name, counts in self.counters.items()}
        return counters, self.steps, [[row[name] for name in _ROW] for row in self.recent]

    @classmethod
    def unpack(
        cls, classes: Sequence[int], counters: dict[str, list[int]], steps: int, rows: list[list[int]]
    ) -> BankStats:
        """The counts that were packed.

        Args:
            classes: labels of the tail classes.
            counters: for each counter a number for each class; a counter that is not there is 0.
            steps: number of batches.
            rows: of the last batches.

        Raises:
            ValueError: if a list is of another length.
        """
        stats = cls(classes)
        for name, counts in counters.items():
            stats.counters[name] = dict(zip(stats.classes, counts, strict=True))
        stats.steps = steps
        stats.recent.extend(dict(zip(_ROW, row, strict=True)) for row in rows)
        return stats

    def _complete(self, held: Collection[int]) -> int:
        return int(len(held) == len(self.classes))


@dataclass(frozen=True)
class BankState:
    """What a state holds, checked."""

    shelves: dict[int, list[StoredObject]]
    count: int  # of all objects that were ever put in
    stats: BankStats
    generator: Tensor
    policy: tuple[str, dict[str, Any]] | None


def pack(store: ObjectStore, stats: BankStats, generator: Tensor) -> dict[str, Any]:
    """Collect the state of a bank.

    Args:
        store: its objects.
        stats: its counters.
        generator: state of its random generator.

    Returns:
        A dictionary that ``torch.load(..., weights_only=True)`` accepts. For each tail class ``"crops"``
        holds pairs of picture and mask, which are shared, not copied: a bank replaces them but never writes
        to them; ``"entries"`` holds ``[born, order, uses, top, left, height, width]`` of each, the last four
        -1 if not known. ``"counters"`` holds a number for each class, ``"recent"`` a row for each of the last
        batches, ``"policy"`` its class, what it remembers, and how many objects were ever stored.
    """
    counters, steps, recent = stats.pack()
    shelves = list(store.shelves.values())
    return {
        "version": _VERSION,
        "tail_classes": list(store.shelves),
        "crops": [[(stored.crop.image, stored.crop.mask) for stored in shelf] for shelf in shelves],
        "entries": [[_note(stored) for stored in shelf] for shelf in shelves],
        "counters": counters,
        "steps": steps,
        "recent": recent,
        "policy": [type(store.policy).__name__, store.policy.state_dict(), store.count],
        "generator": generator,
    }


def unpack(state: Any, tail_classes: tuple[int, ...], memory_size: int) -> BankState:
    """Check a packed state and take it apart.

    A state of version 1 did not say when and where its objects were cut out: they are taken in the order in
    which they lay, as if the present step had stored them, and without an origin.

    Args:
        state: what ``pack`` returned, now or in version 1.
        tail_classes: labels of the tail classes of the bank that loads it.
        memory_size: memory size S_M of the bank that loads it.

    Raises:
        DataError: if it is no state of a memory bank, or a damaged one.
        OptionError: if it is the state of a bank with other tail classes, or with more stored objects than
            ``memory_size``.
    """
    version = state.get("version") if isinstance(state, dict) else None
    if version not in _KEYS or set(state) != _KEYS[version]:
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise DataError(
            f"not the state of a TailMemoryBank (version 1 or {_VERSION}): got {found}; load one that a bank "
            f"of this version saved, or start with an empty bank"
        )
    if tuple(state["tail_classes"]) != tail_classes:
        raise OptionError(
            f"the state is of a bank with tail classes {state['tail_classes']}, this bank has "
            f"{list(tail_classes)}; build it with the same tail classes, or start with an empty bank"
        )
    for label, crops in zip(tail_classes, state["crops"], strict=True):
        _check_crops(label, crops, memory_size)
    if set(state["counters"]) - set(COUNTERS):
        raise DataError(f"damaged state: counters {sorted(state['counters'])}; start with an empty bank")
    if version == 1:
        stats = BankStats.unpack(tail_classes, state["counters"], 0, [])
        notes, count = _notes_of_version_1(state["crops"])
        policy = None
    else:
        stats = BankStats.unpack(tail_classes, state["counters"], state["steps"], state["recent"])
        notes, (*named, count) = state["entries"], state["policy"]
        policy = (named[0], named[1])
    shelves = {
        label: [_stored(Crop(*crop), note) for crop, note in zip(crops, shelf, strict=True)]
        for label, crops, shelf in zip(tail_classes, state["crops"], notes, strict=True)
    }
    return BankState(shelves, count, stats, state["generator"].cpu(), policy)


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


def _check_crops(label: int, crops: list[tuple[Tensor, Tensor]], memory_size: int) -> None:
    if len(crops) > memory_size:
        raise OptionError(
            f"the state holds {len(crops)} objects of class {label}, this bank has "
            f"memory_size={memory_size}; build it with memory_size={len(crops)} or more"
        )
    for image, mask in crops:
        if mask.dtype != torch.bool or image.ndim != 3 or image.shape[1:] != mask.shape:
            raise DataError(
                f"damaged state: an object of class {label} has an image of shape {tuple(image.shape)} "
                f"and a {mask.dtype} mask of shape {tuple(mask.shape)}"
            )


def _notes_of_version_1(crops: list[list[Any]]) -> tuple[list[list[list[int]]], int]:
    """What version 2 would have noted of each object, and how many there are."""
    notes: list[list[list[int]]] = []
    count = 0
    for shelf in crops:
        notes.append([[0, count + position, 0, *_NO_ORIGIN] for position in range(len(shelf))])
        count += len(shelf)
    return notes, count


def _note(stored: StoredObject) -> list[int]:
    return [stored.born, stored.order, stored.uses, *(stored.origin or _NO_ORIGIN)]


def _stored(crop: Crop, note: list[int]) -> StoredObject:
    born, order, uses, *origin = note
    return StoredObject(crop, None if origin == _NO_ORIGIN else Origin(*origin), born, order, uses)
