"""Methods beside each other on any data set: experiments that are put together and not looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aucseg.errors import OptionError, did_you_mean
from aucseg.experiments.catalogue import get_experiment
from aucseg.experiments.catalogue.experiment import AUC, BANK, CE, Arm, Experiment
from aucseg.training import OBJECTIVES, ConfigError

DEFAULT_METHODS = ("cross_entropy", "auc", "aucseg")
"""What is compared where its user names no methods."""
METRICS = ("mIoU", "mIoU_head", "mIoU_middle", "mIoU_tail")

# Combinations with a name of their own; every objective is a method too, alone.
_NAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "cross_entropy": ("cross entropy", {"loss": CE, "bank": None}),
    "auc": ("AUC loss", {"loss": AUC, "bank": None}),
    "bank": ("cross entropy and bank", {"loss": CE, "bank": BANK}),
    "aucseg": ("AUCSeg (AUC loss and bank)", {"loss": AUC, "bank": BANK}),
    "copy_paste": ("cross entropy and copy-paste", {"loss": CE, "bank": {"kind": "copy_paste", **BANK}}),
}


def list_methods() -> tuple[str, ...]:
    """Names for :func:`comparison`: the parts of AUCSeg, and every objective by itself."""
    return (*_NAMED, *(name for name in OBJECTIVES if name not in _NAMED))


def fitting_methods(methods: Sequence[str] | None, tail: Sequence[int], where: str) -> tuple[str, ...]:
    """The methods that can run on a data set: a bank has nothing to paste where no class is tail.

    Args:
        methods: those that a user named; `DEFAULT_METHODS` if None, less those that cannot run.
        tail: train ids of the tail classes.
        where: the data set, for the message.

    Raises:
        OptionError: for a method that was named and cannot run.

    Example:
        >>> fitting_methods(None, (), "mine")
        ('cross_entropy', 'auc')
    """
    wanted = tuple(methods or DEFAULT_METHODS)
    idle = [name for name in wanted if not tail and _changes(name)["bank"] is not None]
    if idle and methods:
        raise OptionError(
            f"{where} has no tail class, and {' and '.join(idle)} would have nothing to paste",
            remedy="leave them out of --methods, or choose classes with --set data.tail_classes=NAME,...",
        )
    return tuple(name for name in wanted if name not in idle)


def comparison(
    methods: Sequence[str], changes: Mapping[str, Any] | None = None, settings: Sequence[str] = ()
) -> Experiment:
    """An experiment with an arm for each method; the first is what the others are compared with.

    Args:
        methods: at least two of :func:`list_methods`, each once.
        changes: keys of every run, as for :func:`aucseg.experiments.make_config`; those of a method itself
            go before.
        settings: ``"key=value"`` for every run, which goes before all else; see
            :meth:`aucseg.training.RunConfig.with_settings`.

    Returns:
        The experiment, for :class:`aucseg.experiments.Results`.

    Raises:
        OptionError: for a method that does not exist or comes twice, or fewer than two.

    Example:
        >>> comparison(["cross_entropy", "auc"]).baseline
        'cross_entropy'
    """
    known = list_methods()
    for name in methods:
        if name not in known:
            raise OptionError(f"unknown method {name!r}; {did_you_mean(name, known)}")
    if len(methods) < 2 or len(set(methods)) < len(methods):
        raise OptionError(f"a comparison takes at least two methods, each once, got {', '.join(methods)}")
    return Experiment(
        name="comparison",
        title=f"{', '.join(map(_label, methods))}: which one for this data?",
        arms=tuple(Arm(name, _label(name), _merged(changes or {}, _changes(name))) for name in methods),
        baseline=methods[0],
        metrics=METRICS,
        settings=tuple(settings),
    )


def together(names: Sequence[str], than: str = "baseline") -> Experiment:
    """The arms of several experiments in one, all compared with one arm.

    An arm that makes the same runs as one before it, on a laptop's streets, is left out; one that has its
    name and makes others has the experiment before its name, ``<experiment>_<arm>``.

    Args:
        names: experiments of the catalogue, in order.
        than: arm of the first that all are compared with.

    Returns:
        The experiment, for :class:`aucseg.experiments.Results`.

    Raises:
        ConfigError: for an unknown experiment, or an arm that the first one does not have.

    Example:
        >>> len(together(["long_tail_losses", "region_rebalance"]).arms)
        15
    """
    arms: dict[str, Arm] = {}
    known: set[str] = set()
    for name in names:
        experiment = get_experiment(name)
        for arm in experiment.arms:
            identity = experiment.config(arm.name, "streets", "laptop").identity
            if identity not in known:
                own = arm.name if arm.name not in arms else f"{name}_{arm.name}"
                arms[own] = replace(arm, name=own, published=None, versus=None)
                known.add(identity)
    if than not in arms:
        raise ConfigError(f"experiment {names[0]!r} has no arm {than!r}; {did_you_mean(than, arms)}")
    return Experiment(
        name="+".join(names), title="Methods of several tables", arms=tuple(arms.values()), baseline=than
    )


def _label(method: str) -> str:
    return _NAMED[method][0] if method in _NAMED else method.replace("_", " ")


def _changes(method: str) -> dict[str, Any]:
    return _NAMED[method][1] if method in _NAMED else {"loss": {"name": method}, "bank": None}


def _merged(first: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in then.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = {**merged[key], **value} if both else value
    return merged
