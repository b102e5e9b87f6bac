"""The anatomy of a long tail: one counter of masks, and what the papers derive from its tally.

- `tally`: what is counted, pixels and regions of each class in each image, or the sums alone
- `counter`: the one counter of masks, in threads or on a Dask cluster, going on where it was killed
- `runs`: a label map as runs of equal labels; histogram and connected regions from them
- `statistics`: the published tallies of Cityscapes, ADE20K and COCO-Stuff
- `measures`: imbalance factors, r_m of AUCSeg Eq. 43, Lorenz curve and Gini index, correlation
- `tables`: AUCSeg Tables 5 to 11 and 17, Figure 5 of Region Rebalance, as tidy frames
- `partitions`: which classes are the tail, and why
- `odds`, `bank_size`: what a batch misses (Proposition 1), and what a bank takes
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aucseg.longtail.bank_size import BankSize, ClassStore, recommend_bank
    from aucseg.longtail.counter import CountError, HasMasks, MaskFiles, count
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
    from aucseg.longtail.statistics import list_statistics, load_statistics
    from aucseg.longtail.tables import (
        class_table,
        co_occurrence_table,
        group_table,
        image_table,
        imbalance_table,
        share_table,
    )
    from aucseg.longtail.tail_choice import choose_tail, list_tails
    from aucseg.longtail.tally import Tally, join

__all__ = [
    "BankModel",
    "BankSize",
    "BatchOdds",
    "Chance",
    "ClassStore",
    "CountError",
    "HasMasks",
    "MaskFiles",
    "Partition",
    "Tally",
    "auto_partition",
    "auto_thresholds",
    "batch_odds",
    "choose_tail",
    "class_table",
    "co_occurrence_table",
    "count",
    "gini",
    "group_members",
    "group_table",
    "head_to_rest_ratio",
    "image_table",
    "imbalance_factor",
    "imbalance_table",
    "join",
    "list_statistics",
    "list_tails",
    "load_statistics",
    "lorenz_curve",
    "partition",
    "pearson",
    "pixels_where_present",
    "recommend_bank",
    "share_table",
    "stored_after",
    "threshold_ranges",
]

_HOMES = {
    "bank_size": "BankSize ClassStore recommend_bank",
    "counter": "CountError HasMasks MaskFiles count",
    "measures": "gini group_members head_to_rest_ratio imbalance_factor lorenz_curve pearson "
    "pixels_where_present",
    "odds": "BankModel BatchOdds Chance batch_odds stored_after",
    "partitions": "Partition auto_partition auto_thresholds partition threshold_ranges",
    "statistics": "list_statistics load_statistics",
    "tables": "class_table co_occurrence_table group_table image_table imbalance_table share_table",
    "tail_choice": "choose_tail list_tails",
    "tally": "Tally join",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
