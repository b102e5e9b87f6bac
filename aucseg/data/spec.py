"""Class specifications: the names, colours and long-tail groups of a label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aucseg.data.files import read_rows
from aucseg.errors import OptionError, did_you_mean

GROUPS = ("head", "middle", "tail")
_SPEC_DIR = Path(__file__).parent / "specs"


@dataclass(frozen=True)
class ClassSpec:
    """What the integers of a mask mean.

    Train ids run from 0 to ``num_classes - 1`` in the order of ``names``; ``ignore_index`` marks void
    pixels, which no loss and no metric counts.

    Args:
        name: name of the label set, for example ``"cityscapes"``.
        names: class names, one for each train id.
        colors: RGB colours, 0 to 255, one for each train id.
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each train id (AUCSeg, Tables 8 to 10).
        image_share: fraction of training images that hold the class, in [0, 1]; empty if not known.
        pixel_share: fraction of labelled training pixels, in [0, 1]; empty if not known.
        ignore_index: the void label.

    Raises:
        ValueError: if the fields disagree in length or a group has another name.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    groups: tuple[str, ...]
    image_share: tuple[float, ...] = ()
    pixel_share: tuple[float, ...] = ()
    ignore_index: int = 255

    def __post_init__(self) -> None:
        k = len(self.names)
        if k < 2:
            raise OptionError(f"a label set needs at least 2 classes, {self.name!r} has {k}")
        for field in ("colors", "groups"):
            if len(getattr(self, field)) != k:
                raise ValueError(f"{self.name!r}: {k} names but {len(getattr(self, field))} {field}")
        for field in ("image_share", "pixel_share"):
            if len(getattr(self, field)) not in (0, k):
                raise ValueError(f"{self.name!r}: {k} names but {len(getattr(self, field))} {field} values")
        unknown = sorted(set(self.groups) - set(GROUPS))
        if unknown:
            raise ValueError(f"{self.name!r}: unknown group {unknown[0]!r}; use one of {', '.join(GROUPS)}")

    @property
    def num_classes(self) -> int:
        """Number of classes K, void not counted."""
        return len(self.names)

    def group(self, group: str) -> tuple[int, ...]:
        """Train ids of the ``"head"``, ``"middle"`` or ``"tail"`` classes, ascending."""
        return classes_of_group(self.groups, group)

    @property
    def tail(self) -> tuple[int, ...]:
        """Train ids of the tail classes."""
        return self.group("tail")

    def index(self, name: str) -> int:
        """Train id of a class by its name.

        Raises:
            ValueError: for an unknown name, with the nearest known one.
        """
        if name in self.names:
            return self.names.index(name)
        raise OptionError(f"{self.name!r} has no class {name!r}; {did_you_mean(name, self.names)}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON and for checkpoints that are read without running code."""
        return {
            "name": self.name,
            "names": list(self.names),
            "colors": [list(color) for color in self.colors],
            "groups": list(self.groups),
            "image_share": list(self.image_share),
            "pixel_share": list(self.pixel_share),
            "ignore_index": self.ignore_index,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ClassSpec:
        """The label set that :meth:`to_dict` wrote."""
        return cls(
            name=content["name"],
            names=tuple(content["names"]),
            colors=tuple((r, g, b) for r, g, b in content["colors"]),
            groups=tuple(content["groups"]),
            image_share=tuple(content["image_share"]),
            pixel_share=tuple(content["pixel_share"]),
            ignore_index=content["ignore_index"],
        )

    @property
    def palette(self) -> np.ndarray:
        """Colour table (256, 3) uint8; labels without a class, void included, are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: self.num_classes] = self.colors
        return table


def list_specs() -> tuple[str, ...]:
    """Names of the label sets that come with the package."""
    return tuple(sorted(p.stem for p in _SPEC_DIR.glob("*.csv") if not p.stem.endswith("_checksums")))


def load_spec(name: str) -> ClassSpec:
    """A label set that comes with the package, by name.

    Names and groups of ``"cityscapes"``, ``"ade20k"`` and ``"coco_stuff"`` are those of AUCSeg's Tables 8 to
    10, shares those of `load_statistics`; ``"coco_stuff_10k"`` has the groups of the 164K set and shares of
    its own 9000 training images. ``"camvid"`` is grouped by its shares, ``"ccp"`` by `auto_partition`.
    ``"voc"`` and ``"salient"`` come without shares, and nobody has published groups for them: the first has
    background as head and the rest as middle. Colours are the official ones of Cityscapes, CamVid, ADE20K
    (where road and skyscraper share one) and VOC. COCO-Stuff publishes no fixed table, and Clothing
    Co-Parsing none at all: both take VOC's colours, at COCO's id and at the place in the list of names.

    Args:
        name: name of the label set.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    path = _SPEC_DIR / f"{name}.csv"
    if not path.is_file():
        raise OptionError(f"unknown label set {name!r}; {did_you_mean(name, list_specs())}")
    rows = read_rows(path, ("name", "r", "g", "b", "group", "image_share", "pixel_share"))
    return ClassSpec(
        name=name,
        names=tuple(r["name"] for r in rows),
        colors=tuple((r, g, b) for r, g, b in (row.whole("r", "g", "b") for row in rows)),
        groups=tuple(r["group"] for r in rows),
        image_share=tuple(float(r["image_share"]) for r in rows if r["image_share"]),
        pixel_share=tuple(float(r["pixel_share"]) for r in rows if r["pixel_share"]),
    )


def classes_of_group(groups: Sequence[str], group: str) -> tuple[int, ...]:
    """Train ids of the classes of one group, ascending.

    Args:
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each train id.
        group: one of the three.

    Raises:
        ValueError: for another group.
    """
    if group not in GROUPS:
        raise ValueError(f"unknown group {group!r}; use one of {', '.join(GROUPS)}")
    return tuple(i for i, g in enumerate(groups) if g == group)


def groups_by_pixel_share(
    pixel_share: Sequence[float], *, head: float = 0.10, tail: float = 0.02
) -> tuple[str, ...]:
    """Head, middle or tail for each class, by its share of the labelled pixels.

    Args:
        pixel_share: fraction of labelled pixels of each class, in [0, 1].
        head: classes with at least this share are head classes.
        tail: classes below this share are tail classes.

    Raises:
        ValueError: if the thresholds are not 0 < tail <= head < 1.
    """
    if not 0 < tail <= head < 1:
        raise OptionError(f"need 0 < tail <= head < 1, got tail={tail}, head={head}")
    return tuple("head" if s >= head else "tail" if s < tail else "middle" for s in pixel_share)
