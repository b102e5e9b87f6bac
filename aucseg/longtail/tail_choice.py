"""What a user may write for ``tail_classes``, and the partition it stands for."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from aucseg.data.files import read_rows
from aucseg.data.spec import ClassSpec
from aucseg.errors import OptionError, did_you_mean
from aucseg.longtail.partitions import Partition, auto_partition, partition
from aucseg.longtail.statistics import list_statistics

_TAILS = Path(__file__).parent / "presets" / "tails.csv"


def choose_tail(choice: str | Sequence[int | str], spec: ClassSpec) -> Partition:
    """Resolve ``tail_classes`` as a user may write it.

    Args:
        choice: ``"auto"`` for :func:`auto_partition` of the label set's pixel shares; ``"spec"`` for its own
            groups; ``"cityscapes"``, ``"ade20k"`` or ``"coco_stuff"`` for the paper's; one of
            :func:`list_tails`, as ``"cityscapes_blv"``; or the tail classes themselves, by train id or name.
            In the last two cases all others keep their group or become middle.
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
        if choice not in list_statistics():
            known = ("auto", "spec", *list_statistics(), *list_tails())
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
