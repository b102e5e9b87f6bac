"""The anatomy of a long tail: one pass over the masks of a data set, and what the papers derive from it.

- `runs`: a label map as runs of equal labels; histogram and connected regions from them
- `source`: which masks, and how they are decoded
- `chunk`, `scan`: the pass itself, in tasks on a Dask cluster, going on where it was killed
- `counts`: what the pass leaves, pixels and regions of each class in each image
- `measures`: imbalance factors, r_m of AUCSeg Eq. 43, Lorenz curve and Gini index, correlation
- `tables`: AUCSeg Tables 5 to 11 and 17, Figure 5 of Region Rebalance, as tidy frames
"""

from aucseg.data.longtail.counts import MaskCounts, join
from aucseg.data.longtail.measures import (
    gini,
    group_members,
    head_to_rest_ratio,
    imbalance_factor,
    lorenz_curve,
    pearson,
    pixels_where_present,
)
from aucseg.data.longtail.scan import ScanError, scan_masks
from aucseg.data.longtail.source import (
    MaskSource,
    dataset_masks,
    file_state,
    folder_masks,
    layout_masks,
    train_id_lookup,
)
from aucseg.data.longtail.tables import (
    class_table,
    co_occurrence_table,
    group_table,
    image_table,
    imbalance_table,
    share_table,
)

__all__ = [
    "MaskCounts",
    "MaskSource",
    "ScanError",
    "class_table",
    "co_occurrence_table",
    "dataset_masks",
    "file_state",
    "folder_masks",
    "gini",
    "group_members",
    "group_table",
    "head_to_rest_ratio",
    "image_table",
    "imbalance_factor",
    "imbalance_table",
    "join",
    "layout_masks",
    "lorenz_curve",
    "pearson",
    "pixels_where_present",
    "scan_masks",
    "share_table",
    "train_id_lookup",
]
