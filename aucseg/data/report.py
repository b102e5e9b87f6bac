"""What a verification of a data set found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Problem:
    """One defect: in which split and file, what it is, what to do about it."""

    split: str
    file: str
    what: str
    remedy: str


@dataclass
class VerifyReport:
    """What `verify` found.

    Args:
        root: the folder.
        layout: what it was taken for: ``"folder"`` is the package's own layout.
        class_names: in train id order; empty if the class table cannot be read.
        splits: items listed in each split.
        problems: defects that would stop a training, or falsify it.
        warnings: things to know that stop nothing.
        duplicates: images with the same pixels in more than one split, as ``"split/NAME"``.
        sizes: number of images for each (height, width).
        pixels: pixels of each class in each split's readable masks, (K,) int64.
        void: void pixels of each split's readable masks.
    """

    root: Path
    layout: str = "folder"
    class_names: tuple[str, ...] = ()
    splits: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    duplicates: list[tuple[str, ...]] = field(default_factory=list)
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    void: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is no problem; warnings and duplicates do not count."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report in plain types, for JSON."""
        return {
            "root": str(self.root),
            "layout": self.layout,
            "ok": self.ok,
            "splits": self.splits,
            "problems": [vars(p) for p in self.problems],
            "warnings": self.warnings,
            "duplicates": [list(d) for d in self.duplicates],
            "sizes": {f"{h}x{w}": n for (h, w), n in self.sizes.items()},
            "labels": {
                split: {
                    "pixels": dict(zip(self.class_names, pixels.tolist(), strict=True)),
                    "void": self.void[split],
                }
                for split, pixels in self.pixels.items()
            },
        }
