"""A table as a set of runs, and the pieces of configuration that tables share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aucseg.errors import did_you_mean
from aucseg.experiments.profiles import CHOSEN, Start, make_config, network_changes
from aucseg.training import ConfigError, RunConfig

# Parts of configurations that experiments share: two runs of equal parts are one run.
CE: dict[str, Any] = {"name": "cross_entropy"}
AUC: dict[str, Any] = {"name": "auc", "ce_weight": CHOSEN}
DICE_CE: dict[str, Any] = {"name": "dice", "ce_weight": 1.0}
BANK: dict[str, Any] = {"sample_ratio": CHOSEN, "resize_ratio": CHOSEN, "budget": CHOSEN}
VAL: dict[str, Any] = {"eval_split": "val"}  # choices are made here, claims are made on test


@dataclass(frozen=True)
class Arm:
    """One row of a table.

    Attributes:
        name: short name, a Python identifier.
        label: as a reader sees it.
        changes: keys of the configuration that make this arm.
        published: the model's name in the published table, if it is there; where one column does not tell,
            the values of several.
        versus: name of the arm that this one is compared with; the baseline of the experiment by default.
        network: ``name`` or ``name/encoder`` of another network than the profile's own.
        steps: optimiser steps, in parts of the profile's.
        batch: images in a step, in parts of the profile's.
        moments: keys that are steps, nested ones by a double underscore, in parts of the run.
        init_from: the arm of the experiment whose trained network this one starts from, at the same seed.
    """

    name: str
    label: str
    changes: dict[str, Any]
    published: str | Mapping[str, Any] | None = None
    versus: str | None = None
    network: str | None = None
    steps: float = 1.0
    batch: float = 1.0
    moments: Mapping[str, float] = field(default_factory=dict)
    init_from: str | None = None


@dataclass(frozen=True)
class Domain:
    """From where the labels come for a data set that is trained on without, and evaluated.

    Sizes, crops, augmentation and batches are those of the data set itself, so that images of both can be
    mixed; how many images there are, the profile of the other one says.

    Attributes:
        source: keys of the section ``data`` of the labelled images, ``name`` among them.
        target: keys of the section ``data`` of the run.
        published: more keys of the source in the profile ``paper``.
    """

    source: Mapping[str, Any]
    target: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One cell of an experiment: an arm with one seed."""

    arm: Arm
    config: RunConfig


@dataclass(frozen=True)
class Experiment:
    """A table as a set of runs.

    Attributes:
        name: how the command line and notebooks call it.
        title: what it asks.
        arms: its rows.
        baseline: name of the arm that the others are compared with, unless they say otherwise.
        paper, table: the published table, a file in ``data/published``; ``None`` if there is none.
        metrics: what a reader of the table wants to see.
        smaller: for some data sets and profiles the keys, mostly of ``data`` and ``optim``, that every run of
            the table has otherwise than the profile, as a rule to be smaller. Those of ``method`` are for the
            arms of the method that they name.
        domains: for tables of two domains, by data set, where the labels come from; no other data set has
            the table.
        settings: keys that are changed in all runs, as for :meth:`RunConfig.with_settings`; arms take their
            parts of steps and batch from what is set here.
    """

    name: str
    title: str
    arms: tuple[Arm, ...]
    baseline: str
    paper: str | None = None
    table: str | None = None
    metrics: tuple[str, ...] = ("mIoU", "mIoU_head", "mIoU_middle", "mIoU_tail")
    smaller: Mapping[tuple[str, str], Mapping[str, dict[str, Any]]] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    domains: Mapping[str, Domain] = field(default_factory=dict)

    @property
    def comparisons(self) -> dict[str, str]:
        """For each arm that is compared with another, that other."""
        pairs = {arm.name: arm.versus or self.baseline for arm in self.arms}
        return {arm: other for arm, other in pairs.items() if arm != other}

    def has(self, dataset: str) -> bool:
        """Whether there is such a table on a data set: one of two domains needs labels for it.

        Args:
            dataset: its name.
        """
        return not self.domains or dataset in self.domains

    def runs(
        self,
        dataset: str,
        profile: str,
        seeds: Sequence[int],
        *,
        root: str | None = None,
        start: Start | None = None,
        encoder_weights: str | None = None,
    ) -> tuple[Run, ...]:
        """Every arm with every seed, seeds outermost: an interrupted sweep has whole seeds.

        Args:
            dataset: as for :func:`aucseg.experiments.make_config`.
            profile: as for :func:`aucseg.experiments.make_config`.
            seeds: seeds of the runs.
            root: folder of the data set.
            start: what encoders start from, as for :func:`aucseg.experiments.make_config`.
            encoder_weights: first weights of every encoder, as for :func:`aucseg.models.create_model`, in
                the place of those of ``start``.
        """
        return tuple(
            Run(
                arm,
                self.config(
                    arm.name,
                    dataset,
                    profile,
                    seed=seed,
                    root=root,
                    start=start,
                    encoder_weights=encoder_weights,
                ),
            )
            for seed in seeds
            for arm in self.arms
        )

    def config(
        self,
        arm: str,
        dataset: str,
        profile: str,
        *,
        seed: int = 0,
        root: str | None = None,
        start: Start | None = None,
        encoder_weights: str | None = None,
    ) -> RunConfig:
        """The configuration of one cell.

        Args:
            arm: name of the arm.
            dataset: as for :func:`aucseg.experiments.make_config`.
            profile: as for :func:`aucseg.experiments.make_config`.
            seed: seed of the run.
            root: folder of the data set.
            start: as for :meth:`runs`.
            encoder_weights: as for :meth:`runs`.

        Raises:
            ConfigError: if the experiment has no such arm, or no labels for the data set, or the data set has
                no such profile.
        """
        arms = {known.name: known for known in self.arms}
        if arm not in arms:
            raise ConfigError(f"experiment {self.name!r} has no arm {arm!r}; {did_you_mean(arm, arms)}")
        wanted = arms[arm]
        changes = network_changes(profile, wanted.network) if wanted.network else {}
        changes |= wanted.changes
        for key, keys in self.smaller.get((dataset, profile), {}).items():
            given = changes.get(key, {})
            if key != "method" or keys["name"] == given.get("name"):
                changes[key] = keys | given
        if self.domains:
            changes |= self._of_two_domains(changes, dataset, profile, root, start)
        if wanted.init_from is not None:
            place: dict[str, Any] = {"seed": seed, "root": root, "start": start}
            first = self.config(wanted.init_from, dataset, profile, encoder_weights=encoder_weights, **place)
            changes["init_from"] = first.identity
        name = f"{self.name}/{arm}"
        config = make_config(dataset, profile, seed=seed, name=name, root=root, start=start, **changes)
        if encoder_weights is not None:
            config = config.with_(model__encoder_weights=encoder_weights)
        config = config.with_settings(self.settings)
        steps = max(config.optim.warmup_steps + 1, round(wanted.steps * config.optim.steps))
        batch_size = round(wanted.batch * config.data.batch_size)
        moments = {key: round(part * steps) for key, part in wanted.moments.items()}
        return config.with_(optim__steps=steps, data__batch_size=batch_size, **moments)

    def _of_two_domains(
        self, changes: dict[str, Any], dataset: str, profile: str, root: str | None, start: Start | None
    ) -> dict[str, Any]:
        """The sections ``data`` and ``method`` of an arm whose labels come from another domain."""
        if not self.has(dataset):
            raise ConfigError(
                f"experiment {self.name!r} has no labels for data set {dataset!r}; there are some for "
                f"{', '.join(self.domains)}"
            )
        domain = self.domains[dataset]
        data = dict(domain.target) | changes.get("data", {})
        own = make_config(dataset, profile, root=root, start=start, data=data).data
        source = dict(domain.source)
        there = make_config(source["name"], profile, start=start).data
        source |= dict(domain.published) if profile == "paper" else {}
        method = {"name": "supervised"} | changes.get("method", {})
        source = (
            {key: getattr(own, key) for key in _SHARED}
            | {
                "train_images": there.train_images,
                "train_split": there.train_split,
                "eval_images": there.eval_images,
                "eval_split": there.eval_split,
            }
            | source
        )
        return {"data": data, "method": method | {"source": source | method.get("source", {})}}


# What both domains of a run have in common.
_SHARED = (
    "size", "crop_size", "scale", "hflip", "photometric", "resize", "resize_rule", "max_class_share",
    "batch_size", "num_workers",
)  # fmt: skip
