"""Does it hold on real images, and from ImageNet weights? AUCSeg's parts, and other losses beside them.

The question is asked at each start of ``STARTS`` on each of ``EVIDENCE_DATASETS``; ``across`` lays the tables
under one another. A loss joins by one line, once it has its place in ``OBJECTIVES``.
"""

from __future__ import annotations

from dataclasses import replace

from aucseg.experiments.catalogue.components import ABLATION_COMPONENTS
from aucseg.experiments.catalogue.experiment import AUC, CE, VAL, Arm, Experiment
from aucseg.experiments.catalogue.longtail import LONG_TAIL_LOSSES

EVIDENCE_DATASETS = ("camvid", "ccp", "ecssd", "carla", "streets")
"""Photographs of streets, of clothes and of single objects; streets of a simulator, and drawn ones."""

# What others propose for a long tail, by their objectives at their own options; these weights alone are
# gentler than the objective's, whose inverse frequencies differ by thousands on CCP.
_LOSSES = {
    "weighted_cross_entropy": ("weighted cross entropy", {"weights": "sqrt_inverse"}),
    "logit_adjusted": ("logit adjustment", {}),
    "balanced_softmax": ("balanced softmax", {}),
    "vs": ("VS loss", {}),
    "focal": ("focal loss", {}),
    "seesaw": ("seesaw loss", {}),
    "pat": ("PAT", {}),
    "blv": ("BLV", {}),
    "region_rebalance": ("Region Rebalance", {}),
}

EVIDENCE = Experiment(
    name="evidence",
    title="Does it hold on real images, and from ImageNet weights? (AUCSeg, Table 3)",
    arms=(
        *ABLATION_COMPONENTS.arms,  # the same runs
        *(
            Arm(name, label, {"loss": {"name": name, **options}, "bank": None})
            for name, (label, options) in _LOSSES.items()
        ),
        # with heads of their own, and DisAlign a second stage on the network of cross entropy
        *(replace(arm, published=None) for arm in LONG_TAIL_LOSSES.arms if arm.name in ("ldam", "disalign")),
    ),
    baseline="baseline",
    paper="aucseg",
    table="table_03",
    metrics=("mIoU", "mIoU_head", "mIoU_middle", "mIoU_tail", "auc_softmax"),
)

# Rate and steps of the profile, the same budget for each data set, each start, and both losses.
# Steps are absolute, so that the runs stay the same when the profile takes up what they say. ECSSD has no
# validation images and follows CamVid.
EVIDENCE_TUNING = Experiment(
    name="evidence_tuning",
    title="Which rate, and how many steps? (on validation images, at each start)",
    arms=tuple(
        Arm(
            f"{name}_lr_{lr:g}_steps_{steps}",
            f"{label}, rate {lr:g}, {steps} steps",
            {
                "loss": loss,
                "bank": None,
                "data": VAL,
                "optim": {"lr": lr, "steps": steps, "warmup_steps": 50},
            },
            versus=f"{name}_lr_0.005_steps_800",
        )
        for name, label, loss in (("baseline", "cross entropy", CE), ("auc", "+ AUC", AUC))
        for steps in (400, 800)
        for lr in (2e-3, 5e-3, 1e-2)
    ),
    baseline="baseline_lr_0.005_steps_800",
)

TUNING_DATASETS = ("camvid", "ccp", "carla", "streets")
"""Those of the evidence that have validation images."""
