"""What a memory bank has done, and its state as plain tensors, numbers and lists.

A state loads without running code (``weights_only=True``). Its keys are those of version 3; states of version
1, written before the bank knew ages and origins, and of version 2, before it had a budget, still load.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aucseg.errors import DataError, OptionError
from aucseg.memory.objects import Crop, ObjectStore, Origin, StoredObject

_COUNTERS_2 = ("stored", "pasted", "missing", "empty", "replaced", "too_small", "crowded", "pasted_age")
COUNTERS = (*_COUNTERS_2, "shrunk", "skipped")
WINDOW = 100
_ROW_2 = (*_COUNTERS_2, "images", "asked", "complete_before", "complete_after")
_ROW = (*_ROW_2, "shrunk", "skipped")  # what a row of version 2 lacks comes last

_VERSION = 3
_FIRST = {"version", "tail_classes", "crops", "counters", "generator"}  # keys of version 1
_SECOND = _FIRST | {"entries", "steps", "recent", "policy"}
_KEYS = {1: _FIRST, 2: _SECOND, 3: _SECOND | {"images", "covered", "recent_covered"}}
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
        self.images = 0
        # sum and maximum over images of the share that was covered, where the batch was; None for nothing
        self._covered: Tensor | None = None
        self._recent_covered: deque[Tensor | None] = deque(maxlen=WINDOW)

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
        """Count something of classes, in the batch whose row is open if there is one.

        Args:
            name: one of ``COUNTERS``.
            *labels: the classes.
            number: how often, for each of them.
        """
        counts = self.counters[name]
        for label in labels:
            counts[label] += number
        if self.recent:
            self.recent[-1][name] += number * len(labels)

    def end(self, held: Collection[int], covered: Tensor | None = None) -> None:
        """Close the row of a batch; the next batch is another step.

        Args:
            held: tail classes that the batch holds after pasting.
            covered: (B,), share of each image that was pasted over; ``None`` for nothing. It is read when
                somebody asks: until then no device is waited for.
        """
        self.recent[-1]["complete_after"] = self._complete(held)
        self.images += self.recent[-1]["images"]
        row = None if covered is None else torch.stack((covered.sum(), covered.max()))
        self._recent_covered.append(row)
        if row is not None:
            before = row.new_zeros(2) if self._covered is None else self._covered.to(row.device)
            self._covered = torch.stack((before[0] + row[0], torch.maximum(before[1], row[1])))
        self.steps += 1

    def covered(self) -> dict[str, float]:
        """Share of an image's labelled pixels that was pasted over since the start.

        Returns:
            Its mean over all images and its maximum.
        """
        total, most = [0.0, 0.0] if self._covered is None else self._covered.tolist()
        return {"mean": total / max(self.images, 1), "max": most}

    def metrics(self) -> dict[str, float]:
        """Means over the last batches; a mean over nothing is left out."""
        total = {name: sum(row[name] for row in self.recent) for name in _ROW}
        draws = total["pasted"] + total["empty"] + total["crowded"] + total["skipped"]
        parts = {
            "missing": ("missing", total["asked"]),
            "stored": ("stored", total["images"]),
            "replaced": ("replaced", total["images"]),
            "pasted": ("pasted", total["images"]),
            "lost": ("empty", draws),
            "crowded": ("crowded", draws),
            "shrunk": ("shrunk", draws),
            "skipped": ("skipped", draws),
            "pasted_age": ("pasted_age", total["pasted"]),
            "coverage_before": ("complete_before", len(self.recent)),
            "coverage_after": ("complete_after", len(self.recent)),
        }
        found = {name: total[what] / number for name, (what, number) in parts.items() if number}
        if total["images"]:
            rows = _numbers(self._recent_covered)
            found["covered"] = sum(row[0] for row in rows) / total["images"]
            found["covered_most"] = max(row[1] for row in rows)
        return found

    def pack(self) -> dict[str, Any]:
        """Everything as plain numbers and lists."""
        return {
            "counters": {name: list(counts.values()) for name, counts in self.counters.items()},
            "steps": self.steps,
            "recent": [[row[name] for name in _ROW] for row in self.recent],
            "images": self.images,
            "covered": _numbers([self._covered])[0],
            "recent_covered": _numbers(self._recent_covered),
        }

    @classmethod
    def unpack(cls, classes: Sequence[int], state: dict[str, Any]) -> BankStats:
        """The counts that were packed.

        Args:
            classes: labels of the tail classes.
            state: what :meth:`pack` returned, now or in an earlier version, whose bank did not count all of
                it: a counter that is not there is 0.

        Raises:
            ValueError: if a list is of another length.
        """
        stats = cls(classes)
        for name, counts in state["counters"].items():
            stats.counters[name] = dict(zip(stats.classes, counts, strict=True))
        stats.steps = state.get("steps", 0)
        known = _ROW if state["version"] == _VERSION else _ROW_2
        rows = [dict(zip(known, row, strict=True)) for row in state.get("recent", ())]
        stats.recent.extend(dict.fromkeys(_ROW, 0) | row for row in rows)
        stats.images = state.get("images", 0)
        stats._covered = torch.tensor(state["covered"], dtype=torch.float64) if "covered" in state else None
        covered = state.get("recent_covered", [[0.0, 0.0]] * len(rows))
        stats._recent_covered.extend(torch.tensor(row, dtype=torch.float64) for row in covered)
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


def _numbers(rows: Iterable[Tensor | None]) -> list[list[float]]:
    """Pairs that may lie on a device as plain numbers, zeros for None, in one transfer."""
    rows = list(rows)
    there = [row for row in rows if row is not None]
    if not there:
        return [[0.0, 0.0] for _ in rows]
    found = iter(torch.stack([row.to(there[-1].device) for row in there]).tolist())
    return [[0.0, 0.0] if row is None else next(found) for row in rows]


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
        -1 if not known. ``"counters"`` holds a number for each class, ``"recent"`` and ``"recent_covered"`` a
        row for each of the last batches, ``"covered"`` sum and maximum over ``"images"`` images, ``"policy"``
        its class, what it remembers, and how many objects were ever stored.
    """
    shelves = list(store.shelves.values())
    return {
        "version": _VERSION,
        "tail_classes": list(store.shelves),
        "crops": [[(stored.crop.image, stored.crop.mask) for stored in shelf] for shelf in shelves],
        "entries": [[_note(stored) for stored in shelf] for shelf in shelves],
        **stats.pack(),
        "policy": [type(store.policy).__name__, store.policy.state_dict(), store.count],
        "generator": generator,
    }


def unpack(state: Any, tail_classes: tuple[int, ...], memory_size: int) -> BankState:
    """Check a packed state and take it apart.

    A state of version 1 did not say when and where its objects were cut out: they are taken in the order in
    which they lay, as if the present step had stored them, and without an origin.

    Args:
        state: what ``pack`` returned, now or in an earlier version.
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
            f"not the state of a TailMemoryBank (version 1 to {_VERSION}): got {found}; load one that a bank "
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
    stats = BankStats.unpack(tail_classes, state)
    if version == 1:
        notes, count = _notes_of_version_1(state["crops"])
        policy = None
    else:
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
    place = None if origin == _NO_ORIGIN else Origin(*origin)
    return StoredObject(crop, int(crop.mask.sum()), place, born, order, uses)
