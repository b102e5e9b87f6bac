"""What both metrics have in common: several figures at once, and each of them as a metric of its own."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook
from torchmetrics import Metric
from torchmetrics.metric import CompositionalMetric
from torchmetrics.wrappers import ClasswiseWrapper

from aucseg.errors import OptionError, did_you_mean
from aucseg.functional.checks import where_float64_is

GROUPS = ("head", "middle", "tail")

# Shares are added up as whole numbers of this unit: the sum is the same in every order, on any ranks.
_UNIT = 2**40


class FigureMetric(Metric):
    """A metric whose ``compute`` returns a dictionary, and ``metric[name]`` a metric of one of its figures.

    What the wrappers of torchmetrics do with a metric of one number they do with ``metric["mIoU"]``: minimum
    and maximum, tracking, bootstrap, arithmetic, plots; and with one of a number for each class, as
    ``metric["iou"]`` is, class-wise names. It shares its counts with the metric that it comes from.
    ``ClasswiseWrapper`` wants one of these: of a whole metric it would number the names of the figures, and
    that is refused.

    Args:
        **options: those of ``torchmetrics.Metric``.

    Attributes:
        by_class: names of the figures that have a number for each class.
    """

    by_class: tuple[str, ...] = ()
    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the figures that ``compute`` returns."""
        raise NotImplementedError

    def __getitem__(self, name: str) -> Figure:  # type: ignore[override]
        """One of the figures, as a metric.

        Raises:
            OptionError: for an unknown name, with the nearest known one.
        """
        if name not in self.names:
            raise OptionError(
                f"no figure {name!r} in {type(self).__name__}; {did_you_mean(name, self.names)}"
            )
        return Figure(self, name)

    def set_dtype(self, dst_type: str | torch.dtype) -> FigureMetric:
        """Nothing: counts are whole numbers and scores float32, whatever dtype the predictions have.

        Args:
            dst_type: not used.
        """
        return self

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw the figures that are one number each; ``metric[name].plot()`` draws one of them.

        Args:
            val: what ``compute`` or ``forward`` returned, or a list of such; computed now if None.
            ax: Matplotlib axes; new ones if None.

        Returns:
            Matplotlib figure and axes.
        """
        values = self.compute() if val is None else val
        listed = values if isinstance(values, Sequence) else [values]
        scalars = [{name: value for name, value in each.items() if value.ndim == 0} for each in listed]
        return self._plot(scalars if isinstance(values, Sequence) else scalars[0], ax)


class Figure(CompositionalMetric):
    """One of the figures of a metric, as a metric.

    Args:
        metric: the whole.
        name: the figure.
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, metric: FigureMetric, name: str) -> None:
        super().__init__(itemgetter(name), metric, None)
        self.name = name

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw the figure.

        Args:
            val: what ``compute`` or ``forward`` returned, or a list of such; computed now if None.
            ax: Matplotlib axes; new ones if None.

        Returns:
            Matplotlib figure and axes.
        """
        return self._plot(val, ax)

    def __repr__(self) -> str:
        return f"{self.metric_a!r}[{self.name!r}]"


def _refuse_to_be_numbered(module: nn.Module, name: str, part: nn.Module) -> None:
    """``ClasswiseWrapper`` goes through what ``compute`` returns: in a dictionary these are the names."""
    if isinstance(part, FigureMetric) and isinstance(module, ClasswiseWrapper):
        kind = type(part).__name__
        one = f"ClasswiseWrapper(metric[{part.by_class[0]!r}])" if part.by_class else "metric[name]"
        raise OptionError(
            f"ClasswiseWrapper would give the names of the figures of {kind} for numbers of its classes",
            remedy=f"use {one}",
        )


# A wrapper asks nothing of what it wraps that tells it from a user; that a module becomes part of another
# is where PyTorch lets one look.
register_module_module_registration_hook(_refuse_to_be_numbered)


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


def group_names(groups: Sequence[str] | None, name: str) -> tuple[str, ...]:
    """What ``group_means`` calls its figures; none without groups.

    Args:
        groups: what ``check_groups`` returns.
        name: of the figure.
    """
    return () if groups is None else tuple(f"{name}_{group}" for group in GROUPS)


def group_means(values: Tensor, groups: Sequence[str] | None, name: str) -> dict[str, Tensor]:
    """Means over the head, middle and tail classes.

    Args:
        values: (K,), floating point.
        groups: what ``check_groups`` returns.
        name: of the figure.

    Returns:
        ``"<name>_head"``, ``"<name>_middle"`` and ``"<name>_tail"``, nan where nothing is left; empty without
        groups.
    """
    means = {}
    for group, key in zip(GROUPS, group_names(groups, name), strict=False):
        member = torch.tensor([own == group for own in groups or ()], device=values.device)
        means[key] = values[member].nanmean()
    return means


def units(share: Tensor) -> Tensor:
    """Shares in [0, 1] as whole numbers of a unit of 2^-40, int64, which add up exactly.

    Args:
        share: of any shape, float64 where the device has it.
    """
    return (share * _UNIT).round().long()


def share_of_units(total: Tensor) -> Tensor:
    """What sums of :func:`units` stand for, float64, on the CPU where the device knows none.

    Args:
        total: of any shape, int64.
    """
    return where_float64_is(total).double() / _UNIT
