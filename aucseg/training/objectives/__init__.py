"""The objectives of a run by name: a new one is a file in this folder, its import and its line here."""

from __future__ import annotations

from aucseg.training.objectives.auc import AUCConfig
from aucseg.training.objectives.base import Objective, ObjectiveConfig
from aucseg.training.objectives.cross_entropy import CrossEntropyConfig
from aucseg.training.objectives.weighted_cross_entropy import WeightedCrossEntropyConfig

OBJECTIVES: dict[str, type[ObjectiveConfig]] = {
    "auc": AUCConfig,
    "cross_entropy": CrossEntropyConfig,
    "weighted_cross_entropy": WeightedCrossEntropyConfig,
}
"""Sections of the key ``loss`` by their ``name``."""

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig"]
