"""The papers' tables about data, recomputed from the statistics of any data set, as tidy frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aucseg.data.spec import GROUPS
from aucseg.longtail.counts import MaskCounts
from aucseg.longtail.measures import (
    gini,
    group_members,
    head_to_rest_ratio,
    imbalance_factor,
    pixels_where_present,
)
from aucseg.longtail.statistics import ClassStatistics


def class_table(statistics: ClassStatistics, counts: MaskCounts | None = None) -> pd.DataFrame:
    """One row for each class, most pixels first: the bars of AUCSeg Figure 1, and all that is known of it.

    Args:
        statistics: pixels and images of each class.
        counts: the scan that they came from, for the connected regions, if those were counted.

    Returns:
        Columns ``id`` (train id), ``class``, ``group``, ``pixels``, ``pixel_share`` and ``image_share`` (in
        [0, 1]), ``images``, ``pixels_where_present`` (mean over the images that hold the class) and, with
        regions, ``regions`` and ``mean_region_size`` (pixels).

    Raises:
        ValueError: if the scan has other classes.
    """
    columns = {
        "id": np.arange(statistics.num_classes),
        "class": statistics.names,
        "group": statistics.groups,
        "pixels": statistics.pixels,
        "pixel_share": statistics.pixel_share,
        "images": statistics.images,
        "image_share": statistics.image_share,
        "pixels_where_present": pixels_where_present(statistics.pixels, statistics.images),
    }
    if counts is not None and counts.entry_regions is not None:
        _check_classes(statistics, counts)
        columns |= {"regions": counts.regions, "mean_region_size": counts.mean_region_size}
    table = pd.DataFrame(columns)
    return table.sort_values("pixels", ascending=False, kind="stable").reset_index(drop=True)


def image_table(statistics: ClassStatistics, *, first_id: int = 0) -> pd.DataFrame:
    """Images that hold each class, most first: AUCSeg Tables 5, 6 and 7.

    Args:
        statistics: images of each class.
        first_id: id of the first class; Table 6 counts from 1, the other two from 0.

    Returns:
        Columns ``class_id``, ``class`` and ``num_images``.
    """
    table = pd.DataFrame(
        {
            "class_id": first_id + np.arange(statistics.num_classes),
            "class": statistics.names,
            "num_images": statistics.images,
        }
    )
    return table.sort_values("num_images", ascending=False, kind="stable").reset_index(drop=True)


def share_table(statistics: ClassStatistics) -> pd.DataFrame:
    """Pixel share of each class within its group, largest first: AUCSeg Tables 8, 9 and 10.

    Args:
        statistics: pixels and groups of each class.

    Returns:
        Columns ``partition`` (head, middle, tail in this order), ``class`` and ``pixel_ratio_percent``.
    """
    table = pd.DataFrame(
        {
            "partition": pd.Categorical(statistics.groups, GROUPS, ordered=True),
            "class": statistics.names,
            "pixel_ratio_percent": 100 * statistics.pixel_share,
        }
    )
    table = table.sort_values(["partition", "pixel_ratio_percent"], ascending=[True, False], kind="stable")
    return table.reset_index(drop=True)


def group_table(statistics: ClassStatistics, counts: MaskCounts | None = None) -> pd.DataFrame:
    """One row for each group that has classes: sizes, shares, and both readings of AUCSeg Table 17.

    Table 17 is captioned as the average number of pixels from head and tail classes per image. What it prints
    is ``pixels_per_class_image``: the mean, over the classes of the group, of a class's pixels in an image
    that holds it. Read literally it would be ``pixels_per_image``.

    Args:
        statistics: pixels, images and groups of each class.
        counts: the scan that they came from, for ``image_share``; the presence matrix of the statistics
            serves too.

    Returns:
        Columns ``group``, ``classes``, ``pixels``, ``pixel_share``, ``image_share`` (of images that hold any
        class of the group; nan if that is not known), ``pixels_per_image`` and ``pixels_per_class_image``.

    Raises:
        ValueError: if the scan has other classes.
    """
    presence = statistics.presence
    if counts is not None:
        _check_classes(statistics, counts)
        presence = counts.presence
    each = pixels_where_present(statistics.pixels, statistics.images)
    rows = []
    for group, member in group_members(statistics.groups, statistics.num_classes).items():
        if not member.any():
            continue
        pixels = int(statistics.pixels[member].sum())
        known = each[member & ~np.isnan(each)]
        rows.append(
            {
                "group": group,
                "classes": int(member.sum()),
                "pixels": pixels,
                "pixel_share": float(statistics.pixel_share[member].sum()),
                "image_share": np.nan if presence is None else float(presence[:, member].any(1).mean()),
                "pixels_per_image": pixels / statistics.num_images,
                "pixels_per_class_image": float(known.mean()) if len(known) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def imbalance_table(statistics: ClassStatistics, counts: MaskCounts | None = None) -> pd.DataFrame:
    """How unequal the classes are: Region Rebalance Figure 5b and AUCSeg Table 11, with the Gini index.

    Args:
        statistics: pixels, images and groups of each class.
        counts: the scan that they came from, for the connected regions, if those were counted.

    Returns:
        A row for ``"pixels"``, ``"images"`` (the regions of Region Rebalance, whose factors are PIF and RIF)
        and, if counted, ``"connected regions"``. Columns ``unit``, ``most`` and ``least`` (class names),
        ``imbalance_factor``, ``gini`` and ``head_to_rest`` (r_m of Eq. 43; nan if all or none are head).

    Raises:
        ValueError: if the scan has other classes.
    """
    units = {"pixels": statistics.pixels, "images": statistics.images}
    if counts is not None and counts.entry_regions is not None:
        _check_classes(statistics, counts)
        units["connected regions"] = counts.regions
    head = statistics.groups.count("head")
    rows = [
        {
            "unit": unit,
            "most": statistics.names[int(np.argmax(values))],
            "least": statistics.names[int(np.argmin(values))],
            "imbalance_factor": imbalance_factor(values),
            "gini": gini(values),
            "head_to_rest": head_to_rest_ratio(values, statistics.groups)
            if 0 < head < statistics.num_classes
            else np.nan,
        }
        for unit, values in units.items()
    ]
    return pd.DataFrame(rows)


def co_occurrence_table(counts: MaskCounts) -> pd.DataFrame:
    """How often a class (column) stands in an image that holds another one (row), in [0, 1].

    Args:
        counts: a scan.

    Returns:
        A square frame by class name; the diagonal is 1, rows of classes in no image are nan.
    """
    both = counts.co_occurrence.astype(float)
    held = both.diagonal()[:, None]
    share = np.divide(both, held, out=np.full(both.shape, np.nan), where=held > 0)
    return pd.DataFrame(share, index=list(counts.class_names), columns=list(counts.class_names))


def _check_classes(statistics: ClassStatistics, counts: MaskCounts) -> None:
    if statistics.names != counts.class_names:
        raise ValueError(
            f"the statistics of {statistics.name!r} and the scan have different classes; "
            f"make the former with counts.statistics(spec)"
        )
