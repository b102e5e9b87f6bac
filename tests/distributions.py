"""Distributions that are installed, and what they need."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(needs: Iterable[Requirement]) -> set[str]:
    """Names of the distributions that satisfy some requirements here, and of all that those need in turn.

    Raises:
        PackageNotFoundError: if one of them is not installed.
    """
    todo, seen = list(needs), set()
    while todo:
        need = todo.pop()
        known = canonicalize_name(need.name), frozenset(need.extras)
        asked = [{"extra": extra} for extra in (*need.extras, "")]
        if known not in seen:
            seen.add(known)
            further = map(Requirement, metadata.requires(need.name) or [])
            todo += [f for f in further if f.marker is None or any(map(f.marker.evaluate, asked))]
    return {name for name, _ in seen}
