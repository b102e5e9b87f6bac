"""Which runs make which table of the papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aucseg.experiments.profiles import make_config
from aucseg.hints import did_you_mean
from aucseg.training import ConfigError, RunConfig


@dataclass(frozen=True)
class Arm:
    """One row of a table.

    Attributes:
        name: short name, a Python identifier.
        label: as a reader sees it.
        changes: keys of the configuration that make this arm.
        published: the model's name in the published table, if it is there.
    """

    name: str
    label: str
    changes: dict[str, Any]
    published: str | None = None


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
        baseline: name of the arm that the others are compared with.
        paper, table: the published table, a file in ``data/published``; ``None`` if there is none.
        metrics: what a reader of the table wants to see.
    """

    name: str
    title: str
    arms: tuple[Arm, ...]
    baseline: str
    paper: str | None = None
    table: str | None = None
    metrics: tuple[str, ...] = ("mIoU", "mIoU_head", "mIoU_middle", "mIoU_tail")

    def runs(
        self, dataset: str, profile: str, seeds: Sequence[int], *, root: str | None = None
    ) -> tuple[Run, ...]:
        """Every arm with every seed, seeds outermost: an interrupted sweep has whole seeds."""
        return tuple(
            Run(
                arm,
                make_config(
                    dataset,
                    profile,
                    seed=seed,
                    name=f"{self.name}/{arm.name}",
                    root=root,
                    **arm.changes,
                ),
            )
            for seed in seeds
            for arm in self.arms
        )


_CE: dict[str, Any] = {"name": "cross_entropy"}
_AUC: dict[str, Any] = {"name": "auc", "ce_weight": 1.0}
# What the released code uses on Cityscapes (the paper names ratios for ADE20K only), and the best of the
# three that SENSITIVITY tries on validation streets.
_BANK: dict[str, Any] = {"sample_ratio": 1.0, "resize_ratio": 1.0}

ABLATION_COMPONENTS = Experiment(
    name="ablation_components",
    title="What do the AUC loss and the memory bank add, alone and together? (AUCSeg, Table 3)",
    arms=(
        Arm("baseline", "cross entropy", {"loss": _CE, "bank": None}, "SegNeXt"),
        Arm("auc", "+ AUC", {"loss": _AUC, "bank": None}, "SegNeXt+AUC"),
        Arm("bank", "+ bank", {"loss": _CE, "bank": _BANK}, "SegNeXt+TMB"),
        Arm("both", "AUCSeg (both)", {"loss": _AUC, "bank": _BANK}, "AUCSeg"),
    ),
    baseline="baseline",
    paper="aucseg",
    table="table_03",
)

_VAL: dict[str, Any] = {"eval_split": "val"}  # choices are made here, claims are made on test

SENSITIVITY = Experiment(
    name="sensitivity",
    title="How much do the weight of the cross entropy, the bank's ratios and the learning rate matter?",
    arms=(
        *(
            Arm(
                f"{name}_lr_{lr:g}",
                f"{label}, rate {lr:g}",
                {"loss": loss, "bank": None, "data": _VAL, "optim": {"lr": lr}},
            )
            for name, label, loss in (("baseline", "cross entropy", _CE), ("auc", "+ AUC, λ = 1", _AUC))
            for lr in (2e-3, 5e-3, 1e-2, 2e-2)
        ),
        *(
            Arm(
                f"auc_lambda_{weight:g}",
                f"+ AUC, λ = {weight:g}",
                {"loss": _AUC | {"ce_weight": weight}, "bank": None, "data": _VAL},
            )
            for weight in (0.25, 4.0)
        ),
        *(
            Arm(
                f"both_bank_{sample:g}_{resize:g}",
                f"AUCSeg, λ = 1, R_S = {sample:g}, R_R = {resize:g}",
                {
                    "loss": _AUC,
                    "bank": {"sample_ratio": sample, "resize_ratio": resize},
                    "data": _VAL,
                },
            )
            for sample, resize in ((0.05, 0.4), (0.5, 0.7), (1.0, 1.0))
        ),
    ),
    baseline="baseline_lr_0.01",
)

SURROGATES = Experiment(
    name="surrogates",
    title="Which surrogate of the AUC? (AUCSeg, Table 15)",
    arms=(
        Arm("none", "cross entropy", {"loss": _CE, "bank": None}, "none"),
        Arm("hinge", "AUCSeg, hinge", {"loss": _AUC | {"surrogate": "hinge"}, "bank": _BANK}, "hinge"),
        Arm("exp", "AUCSeg, exponential", {"loss": _AUC | {"surrogate": "exp"}, "bank": _BANK}, "exp"),
        Arm("square", "AUCSeg, square", {"loss": _AUC, "bank": _BANK}, "square"),
        Arm("logistic", "AUCSeg, logistic", {"loss": _AUC | {"surrogate": "logistic"}, "bank": _BANK}),
    ),
    baseline="none",
    paper="aucseg",
    table="table_15",
)

MULTICLASS = Experiment(
    name="multiclass",
    title="One-vs-one or one-vs-all? (AUCSeg, Table 16)",
    arms=(
        Arm("ovo", "one-vs-one, mean", {"loss": _AUC, "bank": _BANK}, "ovo"),
        Arm("ova", "one-vs-all, mean", {"loss": _AUC | {"multiclass": "ova"}, "bank": _BANK}, "ova"),
        # the released code averages over pairs for one and sums over classes for the other
        Arm(
            "ova_sum",
            "one-vs-all, sum",
            {"loss": _AUC | {"multiclass": "ova", "reduction": "sum"}, "bank": _BANK},
        ),
    ),
    baseline="ovo",
    paper="aucseg",
    table="table_16",
)

QUEUE = Experiment(
    name="queue",
    title="Do K x K numbers of recent batches do what the memory bank does?",
    arms=(
        Arm("auc", "+ AUC", {"loss": _AUC, "bank": None}),
        Arm("both", "+ AUC and bank", {"loss": _AUC, "bank": _BANK}),
        Arm(
            "momentum",
            "+ AUC and queue, momentum",
            {"loss": _AUC | {"queue": {"momentum": 0.9}}, "bank": None},
        ),
        Arm("recent", "+ AUC and queue, 8 batches", {"loss": _AUC | {"queue": {"batches": 8}}, "bank": None}),
        Arm(
            "tail_pairs",
            "+ AUC of tail-versus-rest pairs",
            {"loss": _AUC | {"pairs": "tail_versus_rest"}, "bank": None},
        ),
    ),
    baseline="auc",
)

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (ABLATION_COMPONENTS, SURROGATES, MULTICLASS, QUEUE, SENSITIVITY)
}


def get_experiment(name: str) -> Experiment:
    """An experiment of the catalogue by name.

    Raises:
        ConfigError: for an unknown name, with the nearest or all known ones.
    """
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    raise ConfigError(f"unknown experiment {name!r}; {did_you_mean(name, EXPERIMENTS)}")
