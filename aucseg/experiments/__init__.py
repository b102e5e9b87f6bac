"""Which runs make which table, the store of their records, and the comparison with the published numbers."""

from aucseg.experiments.catalogue import EXPERIMENTS, Arm, Experiment, Run, get_experiment
from aucseg.experiments.compare import (
    PublishedError,
    class_iou,
    effects,
    interval,
    published_effects,
    published_table,
    side_by_side,
    summarise,
    tidy,
)
from aucseg.experiments.profiles import PROFILES, base_config, default_seeds, make_config
from aucseg.experiments.store import RecordStore

__all__ = [
    "EXPERIMENTS",
    "PROFILES",
    "Arm",
    "Experiment",
    "PublishedError",
    "RecordStore",
    "Run",
    "base_config",
    "class_iou",
    "default_seeds",
    "effects",
    "get_experiment",
    "interval",
    "make_config",
    "published_effects",
    "published_table",
    "side_by_side",
    "summarise",
    "tidy",
]
