"""Class specifications: the names, colours and long-tail groups of a label set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
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
        flip_pairs: pairs of train ids of which a mirror makes one the other, such as left and right hand.
            None finds them by name, see `find_flip_pairs`; ``()`` says that there are none.

    Raises:
        ValueError: if the fields disagree in length, a group has another name, or a flip pair holds no class
            or one that another pair has.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    groups: tuple[str, ...]
    image_share: tuple[float, ...] = ()
    pixel_share: tuple[float, ...] = ()
    ignore_index: int = 255
    flip_pairs: tuple[tuple[int, int], ...] | None = None

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
        pairs = find_flip_pairs(self.names) if self.flip_pairs is None else self.flip_pairs
        object.__setattr__(self, "flip_pairs", check_flip_pairs(pairs, k))

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
            "flip_pairs": [list(pair) for pair in self.flip_pairs or ()],
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
            flip_pairs=content.get("flip_pairs"),  # which earlier versions did not write
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
    ``"voc"`` and ``"salient"`` come without shares, and nobody has published groups for them: in the first
    background is head and the rest middle until its masks are counted, in the second both are head. Colours
    are the official ones of Cityscapes, CamVid, ADE20K (where road and skyscraper share one) and VOC.
    COCO-Stuff publishes no fixed table, and Clothing Co-Parsing none at all: both take VOC's colours, at
    COCO's id and at the place in the list of names.

    Args:
        name: name of the label set.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    path = _SPEC_DIR / f"{name}.csv"
    if name not in list_specs():
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


def groups_by_pixel_share(pixel_share: Sequence[float], *, head: float, tail: float) -> tuple[str, ...]:
    """Head, middle or tail for each class, by its share of the labelled pixels.

    Which thresholds a label set asks for, :func:`aucseg.longtail.auto_thresholds` says.

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


# Words for a side, each with the one that a mirror makes of it. Letters count where they stand alone.
_SIDES = {"left": "right", "l": "r", "lh": "rh", "lt": "rt"}
_OTHER_SIDE = _SIDES | {right: left for left, right in _SIDES.items()}
_SIDE = re.compile(r"left|right|(?<![a-z0-9])(?:lh|rh|lt|rt|l|r)(?![a-z0-9])")


def find_flip_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The pairs of classes that differ in left and right, by their names.

    Two classes are a pair where each name becomes the other's when its sides are exchanged: ``left`` and
    ``right`` anywhere in it, ``l`` and ``r``, ``lh`` and ``rh``, ``lt`` and ``rt`` as words of their own.
    Neither capitals count nor whether words are divided by blanks, by signs or by capitals.

    Args:
        names: class names in train id order.

    Returns:
        Train ids of each pair, the lower first, ascending. Names that become one in this way are in none.

    Example:
        >>> find_flip_pairs(["hair", "Left-arm", "right arm", "l_eye", "r_eye", "upright piano"])
        ((1, 2), (3, 4))
    """
    plain = [_plain(name) for name in names]
    found = []
    for i, name in enumerate(plain):
        other = _SIDE.sub(lambda side: _OTHER_SIDE[side[0]], name)
        if other != name and plain.count(name) == plain.count(other) == 1 and i < plain.index(other):
            found.append((i, plain.index(other)))
    return tuple(found)


def _plain(name: str) -> str:
    """A name in lower case, its words divided by single blanks."""
    divided = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+", " ", name)
    return divided.lower().strip()


def choose_flip_pairs(
    choice: str | Iterable[Sequence[int | str]], names: Sequence[str]
) -> tuple[tuple[int, int], ...]:
    """The pairs of classes that a mirror swaps, as someone has chosen them.

    Args:
        choice: ``"auto"`` for those found by name, ``"none"``, or the pairs, by train id or name.
        names: class names in train id order.

    Raises:
        ValueError: for any other choice, with the nearest name of a class where one is unknown.
    """
    if isinstance(choice, str):
        if choice not in ("auto", "none"):
            raise OptionError(f"flip_pairs are 'auto', 'none' or pairs of classes, got {choice!r}")
        return find_flip_pairs(names) if choice == "auto" else ()
    pairs = []
    for pair in choice:
        for one in pair:
            if isinstance(one, str) and one not in names:
                raise OptionError(f"flip_pairs: no class {one!r}; {did_you_mean(one, names)}")
        pairs.append([names.index(one) if isinstance(one, str) else one for one in pair])
    return check_flip_pairs(pairs, len(names))


def check_flip_pairs(pairs: Iterable[Sequence[int]], num_classes: int) -> tuple[tuple[int, int], ...]:
    """Pairs of classes as plain tuples, once they are seen to be two different classes each and share none.

    Args:
        pairs: train ids.
        num_classes: number of classes K.

    Raises:
        ValueError: if they are not.
    """
    checked = tuple(tuple(int(one) for one in pair) for pair in pairs)
    for pair in checked:
        if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= one < num_classes for one in pair):
            raise OptionError(f"a flip pair is two different classes from 0 to {num_classes - 1}, got {pair}")
    held = [one for pair in checked for one in pair]
    if len(set(held)) < len(held):
        twice = next(one for one in held if held.count(one) > 1)
        raise OptionError(f"class {twice} is in two flip pairs; a mirror makes one class of it")
    return tuple((pair[0], pair[1]) for pair in checked)
