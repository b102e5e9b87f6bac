"""The anatomy of a long tail: one pass over the masks of a data set, and what the papers derive from it.

- `runs`: a label map as runs of equal labels; histogram and connected regions from them
- `source`: which masks, and how they are decoded
- `chunk`, `scan`: the pass itself, in tasks on a Dask cluster, going on where it was killed
- `counts`: what the pass leaves, pixels and regions of each class in each image
- `measures`: imbalance factors, r_m of AUCSeg Eq. 43, Lorenz curve and Gini index, correlation
- `tables`: AUCSeg Tables 5 to 11 and 17, Figure 5 of Region Rebalance, as tidy frames
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aucseg.longtail.bank_size import BankSize, ClassStore, recommend_bank
    from aucseg.longtail.counts import MaskCounts, join
    from aucseg.longtail.label_counts import LabelCounts
    from aucseg.longtail.measures import (
        gini,
        group_members,
        head_to_rest_ratio,
        imbalance_factor,
        lorenz_curve,
        pearson,
        pixels_where_present,
    )
    from aucseg.longtail.odds import BankModel, BatchOdds, Chance, batch_odds, stored_after
    from aucseg.longtail.partitions import (
        Partition,
        auto_partition,
        auto_thresholds,
        partition,
        threshold_ranges,
    )
    from aucseg.longtail.scan import ScanError, scan_masks
    from aucseg.longtail.source import (
        MaskSource,
        dataset_masks,
        file_state,
        folder_masks,
        layout_masks,
        train_id_lookup,
    )
    from aucseg.longtail.statistics import ClassStatistics, count_dataset, list_statistics, load_statistics
    from aucseg.longtail.tables import (
        class_table,
        co_occurrence_table,
        group_table,
        image_table,
        imbalance_table,
        share_table,
    )
    from aucseg.longtail.tail_choice import choose_tail, list_tails

__all__ = [
    "BankModel",
    "BankSize",
    "BatchOdds",
    "Chance",
    "ClassStatistics",
    "ClassStore",
    "LabelCounts",
    "MaskCounts",
    "MaskSource",
    "Partition",
    "ScanError",
    "auto_partition",
    "auto_thresholds",
    "batch_odds",
    "choose_tail",
    "class_table",
    "co_occurrence_table",
    "count_dataset",
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
    "list_statistics",
    "list_tails",
    "load_statistics",
    "lorenz_curve",
    "partition",
    "pearson",
    "pixels_where_present",
    "recommend_bank",
    "scan_masks",
    "share_table",
    "stored_after",
    "threshold_ranges",
    "train_id_lookup",
]

_HOMES = {
    "bank_size": "BankSize ClassStore recommend_bank",
    "counts": "MaskCounts join",
    "label_counts": "LabelCounts",
    "measures": "gini group_members head_to_rest_ratio imbalance_factor lorenz_curve pearson "
    "pixels_where_present",
    "odds": "BankModel BatchOdds Chance batch_odds stored_after",
    "partitions": "Partition auto_partition auto_thresholds partition threshold_ranges",
    "scan": "ScanError scan_masks",
    "source": "MaskSource dataset_masks file_state folder_masks layout_masks train_id_lookup",
    "statistics": "ClassStatistics count_dataset list_statistics load_statistics",
    "tables": "class_table co_occurrence_table group_table image_table imbalance_table share_table",
    "tail_choice": "choose_tail list_tails",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
