"""Class specifications, data sets, transforms, and the seeded stream of batches.

A name is imported when it is first asked for: PyTorch and torchvision take seconds, and whoever lists, checks
or counts data sets needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aucseg.data.camvid import CamVid, find_root
    from aucseg.data.dataset import CachedDataset, ImageMaskDataset
    from aucseg.data.folder import FolderDataset
    from aucseg.data.layouts import list_datasets, open_dataset
    from aucseg.data.repeats import Repeats, count_repeats
    from aucseg.data.sampling import SeededDataset, StepBatchSampler, mix_seed
    from aucseg.data.spec import ClassSpec, groups_by_pixel_share, list_specs, load_spec
    from aucseg.data.stratified import CoveringBatchSampler, StratifiedBatchSampler
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
    "CachedDataset",
    "CamVid",
    "CappedRandomCrop",
    "ClassSpec",
    "CoveringBatchSampler",
    "FolderDataset",
    "ImageMaskDataset",
    "PhotometricDistortion",
    "RandomResize",
    "RandomScale",
    "Repeats",
    "SeededDataset",
    "StepBatchSampler",
    "StratifiedBatchSampler",
    "count_repeats",
    "eval_transform",
    "find_root",
    "groups_by_pixel_share",
    "list_datasets",
    "list_specs",
    "load_spec",
    "mix_seed",
    "normalize",
    "open_dataset",
    "train_transform",
    "transform_batch",
]

_HOMES = {
    "camvid": "CamVid find_root",
    "dataset": "CachedDataset ImageMaskDataset",
    "folder": "FolderDataset",
    "layouts": "list_datasets open_dataset",
    "repeats": "Repeats count_repeats",
    "sampling": "SeededDataset StepBatchSampler mix_seed",
    "spec": "ClassSpec groups_by_pixel_share list_specs load_spec",
    "stratified": "CoveringBatchSampler StratifiedBatchSampler",
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
