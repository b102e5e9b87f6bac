"""Class counts and gains of BLV beside Cityscapes and beside its own tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aucseg import paths
from aucseg.experiments.class_changes import published_change
from aucseg.experiments.findings.finding import Finding, compare
from aucseg.experiments.published import published_table
from aucseg.longtail.statistics import load_statistics

_PIXELS = 1024 * 2048  # of a Cityscapes image, AUCSeg Sec. F.1


def release_counts() -> Finding:
    """The class counts in BLV's released Cityscapes configurations are not those of Cityscapes."""
    known = load_statistics("cityscapes")
    listed = pd.read_csv(paths.class_stats() / "blv_release_cls_num_list.csv")
    counts = listed["blv_cls_num_list"].to_numpy(np.int64)
    table = compare({"class": known.names}, counts, known.pixels)
    order = [pd.Series(values, known.names).rank(ascending=False) for values in (counts, known.pixels)]
    moved = (order[0] - order[1]).abs()
    held = known.num_images * _PIXELS
    return Finding(
        "release_counts",
        "BLV, released configurations for Cityscapes",
        "Pixels of each class, from which Eq. 3 takes the size of the variation.",
        f"They add up to {counts.sum() / 1e9:.1f} billion pixels; the {known.num_images} training "
        "images have "
        f"{held / 1e9:.1f} billion in all, void included. Ranks move by up to {moved.max():.0f} places "
        f"({moved.idxmax()}).",
        table,
    )


def stated_boosts() -> Finding:
    """The gains on tail classes in BLV Sec. 4.3 are in no pair of rows of its Table 3."""
    facts = published_table(".", "prose_facts").query("paper == 'blv' and section == '4.3'")
    stated = {
        # the text has a class "trailer", which Cityscapes calls train
        str(row.quantity).removeprefix("stated boost on ").split(" (")[0].replace("trailer", "train"): float(
            row.value
        )
        for row in facts.itertuples()
        if str(row.quantity).startswith("stated boost on ")
    }
    pairs = published_change("table_3")
    wide = pairs[pairs["class"].isin(stated)].pivot_table(
        index="class", columns=["method", "architecture"], values="change", sort=False
    )
    wide = wide.loc[list(stated)]
    printed = pd.Series(stated)
    nearest = wide.sub(printed, axis=0).abs().sum().idxmin()
    table = compare({"class": list(stated)}, printed.to_numpy(), wide[nearest].to_numpy())
    equal = int(np.isclose(wide.to_numpy(), printed.to_numpy()[:, None], atol=0.05).any(1).sum())
    return Finding(
        "stated_boosts",
        "BLV, Sec. 4.3 and Table 3",
        "Gains of " + ", ".join(f"{value:+.1f} on {name}" for name, value in stated.items()) + ".",
        f"Nearest of the {len(wide.columns)} pairs of rows in Table 3 is {nearest[0]} with a "
        f"{nearest[1].split(' ')[0]}: "
        + ", ".join(f"{value:+.1f} on {name}" for name, value in wide[nearest].items())
        + f". {equal} of the {len(stated)} stated gains stand in any pair.",
        table,
    )
