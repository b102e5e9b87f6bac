"""The objectives of a run by name: a new one is a file in this folder, its import and its line here."""

from __future__ import annotations

from aucseg.training.objectives.adjusted import (
    BalancedSoftmaxConfig,
    LDAMConfig,
    LogitAdjustedConfig,
    VSConfig,
)
from aucseg.training.objectives.auc import AUCConfig, AUCOptions
from aucseg.training.objectives.base import OBJECTIVES, Objective, ObjectiveConfig
from aucseg.training.objectives.blv import BLVConfig
from aucseg.training.objectives.cross_entropy import CrossEntropyConfig
from aucseg.training.objectives.focal import FocalConfig
from aucseg.training.objectives.gcl import GCLConfig
from aucseg.training.objectives.overlap import DiceConfig, JaccardConfig, LovaszConfig
from aucseg.training.objectives.pat import PATConfig
from aucseg.training.objectives.region_rebalance import RegionRebalanceConfig
from aucseg.training.objectives.seesaw import SeesawConfig
from aucseg.training.objectives.weighted_cross_entropy import WeightedCrossEntropyConfig

OBJECTIVES |= {
    "auc": AUCConfig,
    "cross_entropy": CrossEntropyConfig,
    "region_rebalance": RegionRebalanceConfig,
    "weighted_cross_entropy": WeightedCrossEntropyConfig,
    "logit_adjusted": LogitAdjustedConfig,
    "balanced_softmax": BalancedSoftmaxConfig,
    "vs": VSConfig,
    "ldam": LDAMConfig,
    "focal": FocalConfig,
    "blv": BLVConfig,
    "gcl": GCLConfig,
    "seesaw": SeesawConfig,
    "pat": PATConfig,
    "dice": DiceConfig,
    "jaccard": JaccardConfig,
    "lovasz": LovaszConfig,
}


def compositions() -> list[dict[str, str]]:
    """What goes with each objective, read from its section: a row for each, with plain words.

    The memory bank changes images and labels before the network sees them, so it goes with all of them, and
    so does any method of training; that is not in the table.

    Returns:
        Rows with ``objective``; ``auc``: how an AUC loss is added; ``class_weights``: by which key;
        ``counts``: what of the training split it is built of; ``region_branch``: how one is added.
    """
    rows = []
    for name, section in OBJECTIVES.items():
        fields = section.model_fields
        if "pixel" in fields:  # a branch beside another objective
            row = dict.fromkeys(("auc", "class_weights"), "that of its pixels") | {
                "region_branch": "it is one"
            }
        else:
            auc = "it is one" if issubclass(section, AUCOptions) else "objective auc"
            row = {
                "auc": "key auc" if "auc" in fields else auc,
                "class_weights": next((f"key {k}" for k in ("reweight", "weights") if k in fields), "none"),
                "region_branch": "key pixel of region_rebalance",
            }
        counts = "pixels or images" if "counts" in fields else "none"
        rows.append({"objective": name} | row | {"counts": counts})
    return rows


__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig", "compositions"]
