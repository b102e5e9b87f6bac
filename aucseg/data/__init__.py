"""Class specifications, data sets, transforms, and the seeded stream of batches.

A name is imported when it is first asked for: PyTorch and torchvision take seconds, and whoever lists, checks
or counts data sets needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aucseg.data.bank_size import BankSize, ClassStore, recommend_bank
    from aucseg.data.cache import CachedDataset
    from aucseg.data.camvid import CamVid, find_root
    from aucseg.data.counts import LabelCounts
    from aucseg.data.errors import DataError
    from aucseg.data.folder import FolderDataset
    from aucseg.data.layouts import list_datasets, open_dataset
    from aucseg.data.odds import BankModel, BatchOdds, Chance, batch_odds, stored_after
    from aucseg.data.pairs import PairDataset
    from aucseg.data.partitions import Partition, auto_partition, auto_thresholds, partition, threshold_ranges
    from aucseg.data.repeats import Repeats, count_repeats
    from aucseg.data.sampling import SeededDataset, StepBatchSampler, mix_seed
    from aucseg.data.spec import ClassSpec, groups_by_pixel_share, list_specs, load_spec
    from aucseg.data.statistics import ClassStatistics, count_dataset, list_statistics, load_statistics
    from aucseg.data.stratified import CoveringBatchSampler, StratifiedBatchSampler
    from aucseg.data.streets import SyntheticStreets
    from aucseg.data.tail_choice import choose_tail, list_tails
    from aucseg.data.transforms import (
        CappedRandomCrop,
        PhotometricDistortion,
        RandomResize,
        RandomScale,
        eval_transform,
        normalize,
        train_transform,
        transform_batch,
    )

__all__ = [
    "BankModel",
    "BankSize",
    "BatchOdds",
    "CachedDataset",
    "CamVid",
    "CappedRandomCrop",
    "Chance",
    "ClassSpec",
    "ClassStatistics",
    "ClassStore",
    "CoveringBatchSampler",
    "DataError",
    "FolderDataset",
    "LabelCounts",
    "PairDataset",
    "Partition",
    "PhotometricDistortion",
    "RandomResize",
    "RandomScale",
    "Repeats",
    "SeededDataset",
    "StepBatchSampler",
    "StratifiedBatchSampler",
    "SyntheticStreets",
    "auto_partition",
    "auto_thresholds",
    "batch_odds",
    "choose_tail",
    "count_dataset",
    "count_repeats",
    "eval_transform",
    "find_root",
    "groups_by_pixel_share",
    "list_datasets",
    "list_specs",
    "list_statistics",
    "list_tails",
    "load_spec",
    "load_statistics",
    "mix_seed",
    "normalize",
    "open_dataset",
    "partition",
    "recommend_bank",
    "stored_after",
    "threshold_ranges",
    "train_transform",
    "transform_batch",
]

_HOMES = {
    "bank_size": "BankSize ClassStore recommend_bank",
    "cache": "CachedDataset",
    "camvid": "CamVid find_root",
    "counts": "LabelCounts",
    "errors": "DataError",
    "folder": "FolderDataset",
    "layouts": "list_datasets open_dataset",
    "odds": "BankModel BatchOdds Chance batch_odds stored_after",
    "pairs": "PairDataset",
    "partitions": "Partition auto_partition auto_thresholds partition threshold_ranges",
    "repeats": "Repeats count_repeats",
    "sampling": "SeededDataset StepBatchSampler mix_seed",
    "spec": "ClassSpec groups_by_pixel_share list_specs load_spec",
    "statistics": "ClassStatistics count_dataset list_statistics load_statistics",
    "stratified": "CoveringBatchSampler StratifiedBatchSampler",
    "streets": "SyntheticStreets",
    "tail_choice": "choose_tail list_tails",
    "transforms": "CappedRandomCrop PhotometricDistortion RandomResize RandomScale eval_transform normalize "
    "train_transform transform_batch",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
