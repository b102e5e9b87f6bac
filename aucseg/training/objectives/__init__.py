"""The objectives of a run by name: a new one is a file in this folder, its import and its line here."""

from __future__ import annotations

from aucseg.training.objectives.auc import AUCConfig
from aucseg.training.objectives.base import OBJECTIVES, Objective, ObjectiveConfig
from aucseg.training.objectives.cross_entropy import CrossEntropyConfig
from aucseg.training.objectives.region_rebalance import RegionRebalanceConfig
from aucseg.training.objectives.weighted_cross_entropy import WeightedCrossEntropyConfig

OBJECTIVES |= {
    "auc": AUCConfig,
    "cross_entropy": CrossEntropyConfig,
    "region_rebalance": RegionRebalanceConfig,
    "weighted_cross_entropy": WeightedCrossEntropyConfig,
}

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig"]
