"""What a memory bank did: counters for each class, and the last batches one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

COUNTERS = ("stored", "pasted", "missing", "empty", "replaced", "too_small", "crowded", "pasted_age")
WINDOW = 100
_ROW = (*COUNTERS, "images", "asked", "complete_before", "complete_after")


class Diary:
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
    ) -> Diary:
        """The diary that was packed.

        Args:
            classes: labels of the tail classes.
            counters: for each counter a number for each class; a counter that is not there is 0.
            steps: number of batches.
            rows: of the last batches.

        Raises:
            ValueError: if a list is of another length.
        """
        diary = cls(classes)
        for name, counts in counters.items():
            diary.counters[name] = dict(zip(diary.classes, counts, strict=True))
        diary.steps = steps
        diary.recent.extend(dict(zip(_ROW, row, strict=True)) for row in rows)
        return diary

    def _complete(self, held: Collection[int]) -> int:
        return int(len(held) == len(self.classes))
