"""Head, middle and tail: which classes belong together, and the mean of a figure over each group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

GROUPS = ("head", "middle", "tail")


def check_groups(groups: Sequence[str] | None, num_classes: int) -> tuple[str, ...] | None:
    """The groups as a tuple, if there is a known one for each class.

    Args:
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each class, or None for no groups.
        num_classes: number of classes K.

    Returns:
        The same names, or None.

    Raises:
        ValueError: if the number of names is not K or one of them is unknown.
    """
    if groups is None:
        return None
    if len(groups) != num_classes:
        raise ValueError(f"{len(groups)} groups for num_classes={num_classes}; give one for each")
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise ValueError(f"unknown group {unknown[0]!r}; use one of {', '.join(GROUPS)}")
    return tuple(groups)


def group_means(values: Tensor, groups: Sequence[str] | None, name: str) -> dict[str, Tensor]:
    """Mean of a figure over the classes of each group; classes where it is nan are passed over.

    Args:
        values: (K,), floating point.
        groups: what ``check_groups`` returns.
        name: of the figure.

    Returns:
        ``"<name>_head"``, ``"<name>_middle"`` and ``"<name>_tail"``, nan where nothing is left; empty without
        groups.
    """
    if groups is None:
        return {}
    means = {}
    for group in GROUPS:
        member = torch.tensor([own == group for own in groups], device=values.device)
        means[f"{name}_{group}"] = values[member].nanmean()
    return means
