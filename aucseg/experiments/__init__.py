"""Which runs make which table, the store of their records, and the comparison with the published numbers."""

from aucseg.experiments.benchmarks import BenchmarkError, benchmark_table, measured_on
from aucseg.experiments.catalogue import EXPERIMENTS, Arm, Experiment, Run, get_experiment
from aucseg.experiments.compare import class_iou, effects, interval, side_by_side, summarise, tidy
from aucseg.experiments.profiles import PROFILES, base_config, default_seeds, make_config
from aucseg.experiments.published import (
    PublishedError,
    published_datasets,
    published_effects,
    published_table,
)
from aucseg.experiments.store import RecordStore

__all__ = [
    "EXPERIMENTS",
    "PROFILES",
    "Arm",
    "BenchmarkError",
    "Experiment",
    "PublishedError",
    "RecordStore",
    "Run",
    "base_config",
    "benchmark_table",
    "class_iou",
    "default_seeds",
    "effects",
    "get_experiment",
    "interval",
    "make_config",
    "measured_on",
    "published_datasets",
    "published_effects",
    "published_table",
    "side_by_side",
    "summarise",
    "tidy",
]
