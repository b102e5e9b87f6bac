"""Where a paper and its data disagree: what is printed, what the counts say, and the difference.

Each finding is a function that recomputes both sides from the published tables and the counted training sets.

- `finding`: what a finding is, and helpers
- `remark2`: the batch that AUCSeg Remark 2 asks for
- `shares`: ids, pixel shares, groups (AUCSeg Tables 5 to 10, Figure 6)
- `ratios`: r_m, pixels of an image, imbalance factors (AUCSeg Tables 11 and 17, Region Rebalance Figure 5b)
- `blv`: BLV's class counts and stated gains
"""

from collections.abc import Callable

from aucseg.experiments.findings.blv import release_counts, stated_boosts
from aucseg.experiments.findings.finding import DATASET_LABELS, Finding, printed_shares
from aucseg.experiments.findings.ratios import (
    imbalance_factors,
    implied_image_size,
    mean_imbalance_ratio,
    pixels_per_image,
)
from aucseg.experiments.findings.remark2 import Remark2, remark_2, smallest_image_share
from aucseg.experiments.findings.shares import (
    cityscapes_shares,
    class_ids,
    group_thresholds,
    other_shares,
    rarest_classes,
)

# In the order of the papers.
FINDINGS: dict[str, Callable[[], Finding]] = {
    function.__name__: function
    for function in (
        smallest_image_share,
        class_ids,
        cityscapes_shares,
        other_shares,
        group_thresholds,
        rarest_classes,
        mean_imbalance_ratio,
        pixels_per_image,
        implied_image_size,
        imbalance_factors,
        release_counts,
        stated_boosts,
    )
}

__all__ = [
    "DATASET_LABELS",
    "FINDINGS",
    "Finding",
    "Remark2",
    "cityscapes_shares",
    "class_ids",
    "group_thresholds",
    "imbalance_factors",
    "implied_image_size",
    "mean_imbalance_ratio",
    "other_shares",
    "pixels_per_image",
    "printed_shares",
    "rarest_classes",
    "release_counts",
    "remark_2",
    "smallest_image_share",
    "stated_boosts",
]
