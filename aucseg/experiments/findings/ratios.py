"""Ratios and means over classes: AUCSeg Tables 11 and 17, Region Rebalance Figure 5b."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aucseg import paths
from aucseg.experiments.findings.finding import DATASET_LABELS, ROUNDING, Finding, printed_shares
from aucseg.experiments.published import published_table
from aucseg.longtail import group_table, head_to_rest_ratio, imbalance_factor
from aucseg.longtail.statistics import load_statistics


def mean_imbalance_ratio() -> Finding:
    """AUCSeg Table 11 follows from Eq. 43, for Cityscapes from the shares of Table 8."""
    published = published_table("aucseg", "table_11")
    published = published[published["quantity"] == "r_m"].set_index("dataset")["value"]
    rows = []
    for name, label in DATASET_LABELS.items():
        known, shares = load_statistics(name), printed_shares(name)
        head = np.array(known.groups) == "head"
        low = head_to_rest_ratio(np.where(head, shares - ROUNDING, shares + ROUNDING), known.groups)
        high = head_to_rest_ratio(np.where(head, shares + ROUNDING, shares - ROUNDING), known.groups)
        counted = head_to_rest_ratio(known.pixels, known.groups)
        rows.append(
            {
                "dataset": label,
                "printed": published[label],
                "recomputed": counted,
                "difference": counted - published[label],
                "from_printed_shares": head_to_rest_ratio(shares, known.groups),
                "from_printed_shares_least": low,
                "from_printed_shares_most": high,
            }
        )
    table = pd.DataFrame(rows)
    city = table.set_index("dataset").loc["Cityscapes"]
    return Finding(
        "mean_imbalance_ratio",
        "AUCSeg, Eq. 43 and Table 11",
        "r_m, the mean ratio of a head class to a class that is not head: "
        + ", ".join(f"{row['printed']:.2f} on {row['dataset']}" for row in table.to_dict("records"))
        + ".",
        "Eq. 43 on the counts gives ADE20K and COCO-Stuff to the last digit, but "
        f"{city['recomputed']:.2f} for "
        f"Cityscapes. The shares of Table 8 give {city['from_printed_shares']:.2f} there, and anything from "
        f"{city['from_printed_shares_least']:.2f} to {city['from_printed_shares_most']:.2f} within their "
        "rounding, which holds the printed one: one formula made all three, for Cityscapes from "
        "whatever made "
        f"Table 8.",
        table,
    )


def pixels_per_image() -> Finding:
    """AUCSeg Table 17 is not the number of head and tail pixels in an image."""
    published = published_table("aucseg", "table_17").set_index(["dataset", "split"])["avg_pixels_per_image"]
    known = {label: load_statistics(name) for name, label in DATASET_LABELS.items()}
    city = known["Cityscapes"]
    second = pd.read_csv(paths.class_stats() / "cityscapes_train.csv")["pixels_source2"].to_numpy(np.int64)
    known["Cityscapes, second count"] = replace(city, pixels=second)
    rows = []
    for label, statistics in known.items():
        groups = group_table(statistics).set_index("group")
        for group in ("head", "tail"):
            value = float(groups.loc[group, "pixels_per_class_image"])
            printed = float(published[label.partition(",")[0], group])
            literal = float(groups.loc[group, "pixels_per_image"])
            rows.append((label, group, printed, value, value - printed, literal))
    columns = ["dataset", "group", "printed", "recomputed", "difference", "pixels_per_image"]
    table = pd.DataFrame(rows, columns=columns)
    wide = table.pivot_table(index="dataset", columns="group", values=["printed", "pixels_per_image"])
    ratio = wide.xs("head", axis=1, level=1) / wide.xs("tail", axis=1, level=1)
    off = table[table["dataset"] != "Cityscapes"]["difference"].abs().max()
    return Finding(
        "pixels_per_image",
        "AUCSeg, Table 17 and Sec. G.8",
        "The average number of pixels from head and tail classes per image; an image is said to hold "
        f"{ratio['printed'].min():.2f} to {ratio['printed'].max():.2f} times as many head as tail pixels.",
        "The numbers are means over the classes of a group, each class averaged over the images that "
        "hold it. "
        f"That gives all six to within {off:.2f} pixels, Cityscapes from the second of its two public "
        "counts. "
        f"Head pixels of an image are really {ratio['pixels_per_image'].min():.1f} to "
        f"{ratio['pixels_per_image'].max():.1f} times its tail pixels.",
        table,
    )


def implied_image_size() -> Finding:
    """AUCSeg Tables 5, 8 and 17 imply different numbers of labelled pixels."""
    known, shares = load_statistics("cityscapes"), printed_shares("cityscapes") / 100
    published = published_table("aucseg", "table_17").query("dataset == 'Cityscapes'").set_index("split")
    counted = float(known.pixels.sum()) / known.num_images
    rows = []
    for group in ("head", "tail"):
        member = np.array(known.groups) == group
        for cell, part in (("printed", 0.0), ("least", ROUNDING / 100), ("most", -ROUNDING / 100)):
            each = (shares[member] + part) / known.images[member]
            implied = float(published.loc[group, "avg_pixels_per_image"]) / each.mean() / known.num_images
            rows.append((group, cell, implied, counted, counted - implied))
    columns = ["group", "shares_within_rounding", "printed", "recomputed", "difference"]
    table = pd.DataFrame(rows, columns=columns)
    of = table.set_index(["group", "shares_within_rounding"])["printed"] / 1e6
    return Finding(
        "implied_image_size",
        "AUCSeg, Tables 5, 8 and 17",
        "Images with each class, pixel shares, and mean pixels of a class where it occurs, of one "
        "training set.",
        f"Together they say how many pixels an image has labelled: {of['head', 'least']:.2f} to "
        f"{of['head', 'most']:.2f} million by the head classes, {of['tail', 'least']:.2f} to "
        f"{of['tail', 'most']:.2f} million by the tail classes; counted are {counted / 1e6:.2f} "
        "million. Tables "
        f"5 and 17 fit the counts, so it is Table 8 that stands apart.",
        table,
    )


def imbalance_factors() -> Finding:
    """Region Rebalance Figure 5b follows from the counts, its COCO-Stuff factor not from AUCSeg Table 10."""
    published = published_table("rr", "figure_5b").set_index(["dataset", "quantity"])["value"]
    rows = []
    for name in ("ade20k", "coco_stuff"):
        known, shares, label = load_statistics(name), printed_shares(name), DATASET_LABELS[name]
        most = (shares.max() + ROUNDING) / (shares.min() - ROUNDING)
        for quantity, counts, bound in (("PIF", known.pixels, most), ("RIF", known.images, np.nan)):
            printed, value = float(published[label, quantity]), imbalance_factor(counts)
            rows.append((label, quantity, printed, value, value - printed, bound))
    columns = ["dataset", "quantity", "printed", "recomputed", "difference", "most_by_aucseg_shares"]
    table = pd.DataFrame(rows, columns=columns)
    coco = table[table["dataset"] == DATASET_LABELS["coco_stuff"]].set_index("quantity").loc["PIF"]
    return Finding(
        "imbalance_factors",
        "Region Rebalance, Figure 5b",
        "The most over the least frequent class, in pixels (PIF) and in regions (RIF).",
        "All four come out, cut to whole numbers; a region is all of a class in one image (Eq. 7), "
        "so RIF is a "
        f"ratio of image counts. AUCSeg's Table 10 would allow COCO-Stuff a PIF of at most "
        f"{coco['most_by_aucseg_shares']:.0f}: its smallest share is the cell that is off.",
        table,
    )
