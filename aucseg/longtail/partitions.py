"""Which classes are the tail, and why: published partitions, a rule for other label sets, one's own."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aucseg.data.files import read_rows
from aucseg.data.spec import GROUPS, ClassSpec, classes_of_group, groups_by_pixel_share
from aucseg.errors import OptionError, did_you_mean
from aucseg.longtail.statistics import list_statistics, load_statistics
from aucseg.longtail.tally import Tally

_TAILS = Path(__file__).parent / "presets" / "tails.csv"


@dataclass(frozen=True)
class Partition:
    """Head, middle and tail of a label set, with the reason for each class.

    Args:
        source: where the groups come from, in a few words.
        names: class names, one for each train id.
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each train id.
        reasons: a plain sentence for each train id.
    """

    source: str
    names: tuple[str, ...]
    groups: tuple[str, ...]
    reasons: tuple[str, ...]

    def group(self, group: str) -> tuple[int, ...]:
        """Train ids of the ``"head"``, ``"middle"`` or ``"tail"`` classes, ascending."""
        return classes_of_group(self.groups, group)

    @property
    def tail(self) -> tuple[int, ...]:
        """Train ids of the tail classes."""
        return self.group("tail")


def auto_thresholds(num_classes: int) -> tuple[float, float]:
    """Pixel shares (head, tail) between which :func:`share_partition` puts the middle.

    Tail is below 0.5 %, head at least 2 %. With few classes those would leave no tail, with very many
    nothing else, so both are bounded by the even share 1/K: tail by 1/10 of it from below and by itself from
    above, head by 4/10 and 4 times of it. For 20 to 200 classes the bounds do nothing.

    No thresholds give the paper's three partitions. From counted shares the head of Cityscapes asks for a
    threshold in (1.23, 4.02] %, of ADE20K in (1.95, 2.15] %, of COCO-Stuff in (0.94, 1.02] %; the tail for
    (0.41, 0.55], (0.59, 0.65] and (0.494, 0.497] %. These here give Cityscapes exactly, 148 of ADE20K's 150
    classes and 164 of COCO-Stuff's 171.

    Args:
        num_classes: number of classes K, at least 2.

    Raises:
        ValueError: if there are fewer than 2 classes.
    """
    if num_classes < 2:
        raise OptionError(f"a partition needs at least 2 classes, got {num_classes}")
    even = 1 / num_classes
    return min(max(0.02, 0.4 * even), 4 * even), min(max(0.005, 0.1 * even), even)


def share_partition(
    pixel_share: Sequence[float],
    names: Sequence[str] | None = None,
    *,
    head: float | None = None,
    tail: float | None = None,
    of: str = "",
) -> Partition:
    """Partition classes by their share of the labelled pixels: the rule for all label sets without groups.

    A folder of one's own, its table in ``aucseg data stats``, its tail in ``aucseg data tail`` and a training
    on it all follow it, unless its ``classes.csv`` has a column ``group``.

    Args:
        pixel_share: fraction of the labelled training pixels of each class, in [0, 1].
        names: class names; numbers if None.
        head: least share of a head class; by :func:`auto_thresholds` if None, but at least ``tail``.
        tail: share below which a class is tail; by :func:`auto_thresholds` if None, but at most ``head``.
        of: what was counted, for the words of the source, such as ``"train"``.

    Returns:
        The partition; its tail may be empty, where no class is as rare as that.

    Raises:
        ValueError: if a share is not in [0, 1] or all are 0, names and shares differ in number, or the
            thresholds are out of order.
    """
    shares = [float(s) for s in pixel_share]
    labels = tuple(names) if names is not None else tuple(f"class {i}" for i in range(len(shares)))
    if len(labels) != len(shares):
        raise OptionError(f"{len(labels)} names but {len(shares)} pixel shares")
    for label, share in zip(labels, shares, strict=True):
        if not 0 <= share <= 1:
            raise OptionError(
                f"the pixel share of {label!r} is {share}; give fractions in [0, 1], not percent"
            )
    counted = f"pixel shares of {of}" if of else "pixel shares"
    if not any(shares):
        raise OptionError(f"the {counted} are all 0: no pixel is labelled, so there is neither head nor tail")
    default_head, default_tail = auto_thresholds(len(shares))
    # where only one threshold is given, the other one makes room for it
    high = max(default_head, tail or 0.0) if head is None else head
    low = min(default_tail, high) if tail is None else tail
    groups = groups_by_pixel_share(shares, head=high, tail=low)
    told = {
        "head": f"is at least {_percent(high)}, so it is head",
        "middle": f"lies from {_percent(low)} up to {_percent(high)}, so it is middle",
        "tail": f"is below {_percent(low)}, so it is tail",
    }
    reasons = tuple(
        f"{label}: {_percent(share)} of the pixels {told[group]}"
        for label, share, group in zip(labels, shares, groups, strict=True)
    )
    return Partition(f"{counted}, tail < {_percent(low)}, head >= {_percent(high)}", labels, groups, reasons)


def auto_partition(
    pixel_share: Sequence[float],
    names: Sequence[str] | None = None,
    *,
    head: float | None = None,
    tail: float | None = None,
) -> Partition:
    """The partition of :func:`share_partition`, for those who want a tail.

    Args:
        pixel_share: fraction of the labelled training pixels of each class, in [0, 1].
        names: class names; numbers if None.
        head: as for :func:`share_partition`.
        tail: as for :func:`share_partition`.

    Raises:
        ValueError: as :func:`share_partition`, and if no class falls into the tail.

    Example:
        >>> auto_partition([0.90, 0.09, 0.008, 0.002], tail=0.005).reasons[3]
        'class 3: 0.2 % of the pixels is below 0.5 %, so it is tail'
    """
    found = share_partition(pixel_share, names, head=head, tail=tail)
    if not found.tail:
        least = min(range(len(found.names)), key=lambda k: float(pixel_share[k]))
        raise OptionError(
            f"no class is tail by {found.source}: the rarest is {found.names[least]!r} with "
            f"{_percent(float(pixel_share[least]))} of the pixels, so there is no tail; give a higher "
            f"threshold or name the classes"
        )
    return found


def partition(name: str) -> Partition:
    """The paper's partition of a data set (AUCSeg, Tables 8 to 10).

    Args:
        name: ``"cityscapes"``, ``"ade20k"`` or ``"coco_stuff"``.

    Raises:
        ValueError: for another name.
    """
    if name not in list_statistics():
        raise OptionError(f"no published partition {name!r}; {did_you_mean(name, list_statistics())}")
    known = load_statistics(name)
    table = 8 + list_statistics().index(name)
    bounds = threshold_ranges(known)
    told = {
        "head": f"head, as all from {_percent(bounds['head'][1])}",
        "middle": f"middle, between {_percent(bounds['tail'][1])} and {_percent(bounds['head'][0])}",
        "tail": f"tail, as all up to {_percent(bounds['tail'][0])}",
    }
    reasons = tuple(
        f"{label}: {_percent(share)} of the pixels; Table {table} has it as {told[group]}"
        for label, share, group in zip(known.names, known.pixel_share, known.groups, strict=True)
    )
    return Partition(f"AUCSeg, Table {table}", known.names, known.groups, reasons)


def groups_by_images(groups: Sequence[str], images: Sequence[float]) -> tuple[str, ...]:
    """A second grouping, by how many images hold a class, beside one by pixels.

    There are as many head, middle and tail classes as in the first, so that the means of both are over
    equally many: head are those in most images, tail those in fewest. A class of few large regions, as a bus,
    and one of many small ones, as a pole, change places.

    Args:
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each class, by pixels.
        images: for each class the number or the share of the training images that hold it. Where two are
            equal the first grouping decides, then the order of the classes.

    Raises:
        OptionError: if there is not one number for each class, or one is negative or not finite.

    Example:
        >>> groups_by_images(("head", "tail", "middle"), (90, 100, 7))
        ('middle', 'head', 'tail')
    """
    if len(images) != len(groups):
        raise OptionError(f"{len(images)} numbers of images for {len(groups)} classes; give one for each")
    if not all(math.isfinite(n) and n >= 0 for n in images):
        raise OptionError(f"numbers of images are finite and not negative, got {[float(n) for n in images]}")
    places = [classes_of_group(groups, group) for group in GROUPS]
    order = sorted(range(len(groups)), key=lambda c: (-images[c], GROUPS.index(groups[c]), c))
    ranked = [group for group, members in zip(GROUPS, places, strict=True) for _ in members]
    return tuple(ranked[order.index(c)] for c in range(len(groups)))


def threshold_ranges(tally: Tally) -> dict[str, tuple[float, float]]:
    """Which thresholds on the pixel share reproduce the groups of a data set.

    Returns:
        For ``"head"`` and ``"tail"`` the range (above, up to] of thresholds; empty, that is
        above >= up to, if the groups do not follow the pixel share.
    """
    shares = {
        g: [float(s) for s, h in zip(tally.pixel_share, tally.groups, strict=True) if h == g] for g in GROUPS
    }
    below, above = shares["tail"], shares["head"]
    middle = shares["middle"]
    return {
        "head": (max(middle + below, default=0.0), min(above, default=1.0)),
        "tail": (max(below, default=0.0), min(middle + above, default=1.0)),
    }


def choose_tail(choice: str | Sequence[int | str], spec: ClassSpec) -> Partition:
    """Resolve ``tail_classes`` as a user may write it.

    Args:
        choice: ``"auto"`` for :func:`auto_partition` of the label set's pixel shares; ``"spec"`` for its own
            groups; ``"cityscapes"``, ``"ade20k"`` or ``"coco_stuff"`` for the paper's; one of
            :func:`list_tails`, as ``"cityscapes_blv"``; or the tail classes themselves, by train id or name,
            one alone also by its bare name. In the last two cases all others keep their group or become
            middle.
        spec: the label set.

    Returns:
        The partition; its ``tail`` goes into the bank, its ``reasons`` say why.

    Raises:
        ValueError: for an unknown choice, a label set without pixel shares, a preset of other classes, or
            tail classes that are empty, repeated or outside the classes.
    """
    if choice == "auto":
        if not spec.pixel_share:
            raise OptionError(
                f"tail_classes='auto' needs the pixel shares of {spec.name!r}; count them with "
                "`aucseg data stats FOLDER --write`, or name the tail classes"
            )
        return auto_partition(spec.pixel_share, spec.names)
    if choice == "spec":
        reasons = tuple(f"{n}: {g} in the label set" for n, g in zip(spec.names, spec.groups, strict=True))
        return Partition(f"label set {spec.name}", spec.names, spec.groups, reasons)
    if isinstance(choice, str):
        if choice in _tails():
            return _published(choice, spec)
        if choice in spec.names and choice not in list_statistics():
            return _named((choice,), spec)
        if choice not in list_statistics():
            known = ("auto", "spec", *list_statistics(), *list_tails(), *spec.names)
            raise OptionError(f"unknown tail_classes {choice!r}; {did_you_mean(choice, known)}")
        return _ordered(partition(choice), spec)
    return _named(choice, spec)


def list_tails() -> tuple[str, ...]:
    """Names of the tail lists that papers print without a head and a middle; `choose_tail` takes them.

    ``"cityscapes_blv"``: the nine classes over which Balancing Logit Variation averages (Section 4.1).
    """
    return tuple(_tails())


@lru_cache(maxsize=1)
def _tails() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Source and classes of each published tail list."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for row in read_rows(_TAILS, ("preset", "source", "class")):
        source, names = found.get(row["preset"], (row["source"], ()))
        found[row["preset"]] = (source, (*names, row["class"]))
    return found


def _published(choice: str, spec: ClassSpec) -> Partition:
    source, names = _tails()[choice]
    for name in names:
        if name not in spec.names:
            raise OptionError(
                f"{spec.name!r} has no class {name!r} of the tail in {source}; use 'auto', or name your own"
            )
    named = _named(names, spec)
    reasons = tuple(r.replace("named as tail", f"tail in {source}") for r in named.reasons)
    return Partition(source, named.names, named.groups, reasons)


def _ordered(preset: Partition, spec: ClassSpec) -> Partition:
    """A published partition in the order of a label set, joined by the names of the classes."""
    if set(preset.names) != set(spec.names):
        other = [n for n in spec.names if n not in preset.names] or [
            n for n in preset.names if n not in spec.names
        ]
        raise OptionError(
            f"{spec.name!r} does not have the classes of {preset.source}: {other[0]!r} is in one of them "
            "only; use 'auto', or name the tail classes"
        )
    order = [preset.names.index(name) for name in spec.names]
    groups, reasons = (tuple(field[i] for i in order) for field in (preset.groups, preset.reasons))
    return Partition(preset.source, spec.names, groups, reasons)


def _named(choice: Sequence[int | str], spec: ClassSpec) -> Partition:
    ids = [spec.index(c) if isinstance(c, str) else operator.index(c) for c in choice]
    if not ids:
        raise OptionError("tail_classes is empty; use 'auto', or leave the bank out")
    for i in ids:
        if not 0 <= i < spec.num_classes:
            raise OptionError(f"tail_classes holds {i}; the classes are 0 to {spec.num_classes - 1}")
        if ids.count(i) > 1:
            raise OptionError(f"tail_classes holds {i} ({spec.names[i]!r}) twice")
    groups = tuple("tail" if i in ids else "middle" if g == "tail" else g for i, g in enumerate(spec.groups))
    reasons = tuple(
        f"{n}: {'named as tail' if g == 'tail' else f'{g}, not named as tail'}"
        for n, g in zip(spec.names, groups, strict=True)
    )
    return Partition("named by the user", spec.names, groups, reasons)


def _percent(share: float) -> str:
    digits = max(2, 2 - math.floor(math.log10(100 * share))) if share > 0 else 2
    return f"{round(100 * share, min(digits, 6)):.6g} %"
