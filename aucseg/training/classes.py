"""What an objective, a bank and a sampler may know of the classes they are trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from aucseg import paths
from aucseg.data.spec import ClassSpec
from aucseg.longtail import Tally, count
from aucseg.losses import class_counts

KEPT_FROM = 1_000  # images: the counts of fewer are made again sooner than they are worth a file
TALLIES: dict[str, Tally] = {}


def count_split(dataset: Any) -> Tally:
    """Pixels and presence of the classes in the masks of a split, at the size it is trained at.

    Counted once: in this process for each content and size, and for large splits in a file under ``runs``.
    No image is opened.

    Args:
        dataset: any data set of this package.

    Raises:
        DataError: for masks that are missing or wrong.
    """
    key = hashlib.sha256(f"{dataset.fingerprint()}-{dataset.size}".encode()).hexdigest()
    if key not in TALLIES:
        file = paths.runs() / "counts" / f"{key[:16]}.npz" if len(dataset) >= KEPT_FROM else None
        TALLIES[key] = count(dataset, file=file)
    return TALLIES[key]


class ClassInfo:
    """The classes of a run: their label set, its tail, and how often each occurs in the training split.

    The masks are counted when a number is first asked for, and not before: a run of which no part reads one
    pays nothing for them.

    Args:
        spec: the label set, in the groups that the run chooses.
        tally: the counts of the training split at the size it is trained at, or a function that makes them;
            ``None`` where nobody will ask for them.
    """

    def __init__(self, spec: ClassSpec, tally: Tally | Callable[[], Tally] | None = None) -> None:
        self.spec = spec
        self._tally = tally

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return self.spec.num_classes

    @property
    def ignore_index(self) -> int:
        """The void label."""
        return self.spec.ignore_index

    @property
    def tail(self) -> tuple[int, ...]:
        """Train ids of the tail classes."""
        return self.spec.tail

    @property
    def pixels(self) -> np.ndarray:
        """Labelled training pixels of each train id, (K,) int64."""
        return self.tally.pixels

    @property
    def images(self) -> np.ndarray:
        """Training images that hold each train id, (K,) int64."""
        return self.tally.images

    def counts(self, unit: str = "pixels") -> np.ndarray:
        """How often each train id occurs in the training split, (K,) int64.

        Args:
            unit: ``"pixels"``, or ``"images"`` that hold the class.

        Raises:
            ValueError: if what was counted are other classes than those of the run.
        """
        class_counts(self.tally, unit=unit, num_classes=self.num_classes, names=self.spec.names)
        counted: np.ndarray = getattr(self.tally, unit)
        return counted

    @property
    def num_images(self) -> int:
        """Training images N."""
        return self.tally.num_images

    @cached_property
    def tally(self) -> Tally:
        """All that was counted.

        Raises:
            ValueError: if there is nothing to count.
            DataError: for a mask that is missing or wrong.
        """
        if self._tally is None:
            raise ValueError(f"the classes of {self.spec.name!r} were not counted; give ClassInfo a tally")
        return self._tally if isinstance(self._tally, Tally) else self._tally()

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint: the label set, and the counts if anything asked for them."""
        counts = None
        if "tally" in vars(self):
            counts = {
                "pixels": self.pixels.tolist(),
                "images": self.images.tolist(),
                "num_images": self.num_images,
            }
        return {"spec": self.spec.to_dict(), "counts": counts}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ClassInfo:
        """The classes that :meth:`state` wrote; checkpoints of earlier versions have no counts.

        Args:
            state: the plain values.
        """
        spec, kept = ClassSpec.from_dict(state["spec"]), state.get("counts")
        if kept is None:
            return cls(spec)
        pixels, images = (np.array(kept[key], np.int64) for key in ("pixels", "images"))
        return cls(spec, Tally(spec, pixels, images, kept["num_images"]))
