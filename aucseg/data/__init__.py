"""Class specifications, data sets, transforms, and the seeded stream of batches."""

from aucseg.data.cache import CachedDataset
from aucseg.data.camvid import CamVid, find_root
from aucseg.data.errors import DataError
from aucseg.data.folder import FolderDataset
from aucseg.data.sampling import SeededDataset, StepBatchSampler, mix_seed
from aucseg.data.spec import ClassSpec, groups_by_pixel_share, list_specs, load_spec
from aucseg.data.streets import SyntheticStreets
from aucseg.data.transforms import eval_transform, normalize, train_transform

__all__ = [
    "CachedDataset",
    "CamVid",
    "ClassSpec",
    "DataError",
    "FolderDataset",
    "SeededDataset",
    "StepBatchSampler",
    "SyntheticStreets",
    "eval_transform",
    "find_root",
    "groups_by_pixel_share",
    "list_specs",
    "load_spec",
    "mix_seed",
    "normalize",
    "train_transform",
]
