"""Does it hold on real images, and from ImageNet weights? AUCSeg's parts, and other losses beside them.

The question is asked at each start of ``STARTS`` on each of ``EVIDENCE_DATASETS``; ``across`` lays the tables
under one another. A loss joins by one line, once it has its place in ``OBJECTIVES``.
"""

from __future__ import annotations

from aucseg.experiments.catalogue.components import ABLATION_COMPONENTS
from aucseg.experiments.catalogue.experiment import Arm, Experiment

EVIDENCE_DATASETS = ("camvid", "ccp", "ecssd", "carla", "streets")
"""Photographs of streets, of clothes and of single objects; streets of a simulator, and drawn ones."""

EVIDENCE = Experiment(
    name="evidence",
    title="Does it hold on real images, and from ImageNet weights? (AUCSeg, Table 3)",
    arms=(
        *ABLATION_COMPONENTS.arms,  # the same runs
        Arm(
            "weighted",
            "weighted cross entropy",
            {"loss": {"name": "weighted_cross_entropy", "weights": "sqrt_inverse"}, "bank": None},
        ),
    ),
    baseline="baseline",
    paper="aucseg",
    table="table_03",
    metrics=("mIoU", "mIoU_head", "mIoU_middle", "mIoU_tail", "auc_softmax"),
)
