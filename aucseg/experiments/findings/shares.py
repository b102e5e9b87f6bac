"""Classes, shares and groups: AUCSeg Tables 5 to 10, Figure 6 and Section F.1 beside the counts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aucseg.data.spec import GROUPS
from aucseg.experiments.findings.finding import DATASET_LABELS, ROUNDING, Finding, compare, printed_shares
from aucseg.experiments.published import published_table
from aucseg.longtail.partitions import threshold_ranges
from aucseg.longtail.statistics import load_statistics


def class_ids() -> Finding:
    """The ids of AUCSeg Tables 5 and 7 are train ids."""
    rows = []
    for number, name in enumerate(DATASET_LABELS, start=5):
        known = load_statistics(name)
        printed = published_table("aucseg", f"table_{number:02d}").sort_values("class_id")
        first, last = int(printed["class_id"].min()), int(printed["class_id"].max())
        same = int((printed["num_images"].to_numpy() == known.images).sum())
        rows.append((number, DATASET_LABELS[name], first, last, known.num_classes, same))
    columns = ["table", "dataset", "first_id", "last_id", "classes", "counts_equal_by_train_id"]
    table = pd.DataFrame(rows, columns=columns)
    return Finding(
        "class_ids",
        "AUCSeg, Tables 5 to 7",
        "The class id is the number of the class in the original data set.",
        "In all three the id counts the classes in the order of the train ids, from 0 in Tables 5 "
        "and 7 and from 1 "
        f"in Table 6: every one of the {table['classes'].sum()} image counts is that of its train id. "
        "Only ADE20K numbers "
        "its classes so; Cityscapes and COCO-Stuff have ids with gaps.",
        table,
    )


def cityscapes_shares() -> Finding:
    """AUCSeg Table 8 is not the pixel shares of the Cityscapes training set."""
    known = load_statistics("cityscapes")
    table = compare({"class": known.names}, printed_shares("cityscapes"), 100 * known.pixel_share)
    road = table.set_index("class").loc["road"]
    most = float(table["difference"].abs().max())
    return Finding(
        "cityscapes_shares",
        "AUCSeg, Table 8",
        "The pixel share of each class in the Cityscapes training set.",
        f"The fine training labels have {road['recomputed']:.2f} % road, not {road['printed']:.2f} %; shares "
        f"differ by up to {most:.1f} points. Two public counts, which agree with each other and with "
        "the images "
        f"of Table 5, give ours, so Table 8 must come from other annotations. Which classes are head, middle "
        f"and tail is the same.",
        table,
    )


def other_shares() -> Finding:
    """AUCSeg Tables 9 and 10 are the counted shares, but for one cell."""
    parts = []
    for name in ("ade20k", "coco_stuff"):
        known = load_statistics(name)
        keys = {"dataset": DATASET_LABELS[name], "class": known.names}
        parts.append(compare(keys, printed_shares(name), 100 * known.pixel_share))
    table = pd.concat(parts, ignore_index=True)
    off = table[table["difference"].abs() > ROUNDING].reset_index(drop=True)
    cells = ", ".join(
        f"{row['class']} ({row['recomputed']:.4f} %, printed {row['printed']:.2f} %)"
        for row in off.to_dict("records")
    )
    return Finding(
        "other_shares",
        "AUCSeg, Tables 9 and 10",
        "The pixel share of each class in the training sets of ADE20K and COCO-Stuff.",
        f"{len(table) - len(off)} of {len(table)} cells are the counted shares, rounded; off is {cells}.",
        off,
    )


def group_thresholds() -> Finding:
    """No thresholds on the pixel share give the three partitions of AUCSeg."""
    rows = []
    for name, label in DATASET_LABELS.items():
        known = load_statistics(name)
        bounds = threshold_ranges(known)
        sizes = "/".join(str(known.groups.count(group)) for group in GROUPS)
        rows.append((label, sizes, *(100 * edge for group in ("head", "tail") for edge in bounds[group])))
    columns = ["dataset", "sizes", "head_above", "head_up_to", "tail_above", "tail_up_to"]
    table = pd.DataFrame(rows, columns=columns)
    gaps = [
        f"{group} would need more than {table[f'{group}_above'].max():.3f} % and at most "
        f"{table[f'{group}_up_to'].min():.3f} %"
        for group in ("head", "tail")
    ]
    return Finding(
        "group_thresholds",
        "AUCSeg, Sec. F.1 and Tables 8 to 10",
        "Head, middle and tail are split by the share of pixels; no thresholds are given.",
        f"Each partition follows the pixel share, but no threshold serves all three: {' and '.join(gaps)}.",
        table,
    )


def rarest_classes() -> Finding:
    """The tail of AUCSeg Figure 6 is ordered by pixels, not by training samples."""
    known = load_statistics("cityscapes")
    number = len(known.tail)
    by_pixels, by_images = np.argsort(known.pixels)[:number], np.argsort(known.images)[:number]
    table = pd.DataFrame(
        {
            "rank": range(1, number + 1),
            "fewest_pixels": [known.names[i] for i in by_pixels],
            "pixels": known.pixels[by_pixels],
            "fewest_images": [known.names[i] for i in by_images],
            "images": known.images[by_images],
        }
    )
    other = [known.names[i] for i in by_images if i not in known.tail]
    return Finding(
        "rarest_classes",
        "AUCSeg, Sec. G.1 and Figure 6",
        "The tail classes in ascending number of training samples, of which motorcycle has the fewest.",
        f"{table['fewest_pixels'][0].capitalize()} has the fewest pixels, and the order is "
        "descending. In the "
        f"fewest images is {table['fewest_images'][0]} ({table['images'][0]}); the {number} classes in the "
        f"fewest images would include {' and '.join(other)}.",
        table,
    )
