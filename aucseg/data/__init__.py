"""Class specifications, data sets, transforms, and the seeded stream of batches."""

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
