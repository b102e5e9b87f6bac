"""The objectives of a run by name: a new one is a file in this folder, its import and its line here.

===============================  ======================================================================
``base.py``                      what an objective and its configuration are
``auc.py``                       the AUC loss and a cross entropy beside it
``cross_entropy.py``             cross entropy of all labelled pixels or of the hard ones
===============================  ======================================================================
"""

from __future__ import annotations

from aucseg.training.objectives.auc import AUCConfig, QueueConfig
from aucseg.training.objectives.base import Objective, ObjectiveConfig
from aucseg.training.objectives.cross_entropy import CrossEntropyConfig

OBJECTIVES: dict[str, type[ObjectiveConfig]] = {
    "auc": AUCConfig,
    "cross_entropy": CrossEntropyConfig,
}
"""Sections of the key ``loss`` by their ``name``."""

__all__ = [
    "OBJECTIVES",
    "AUCConfig",
    "CrossEntropyConfig",
    "Objective",
    "ObjectiveConfig",
    "QueueConfig",
]
