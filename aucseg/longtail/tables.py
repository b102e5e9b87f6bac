"""The papers' tables about data, recomputed from the tally of any data set, as tidy frames."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from aucseg.data.spec import GROUPS
from aucseg.longtail.measures import (
    gini,
    group_members,
    head_to_rest_ratio,
    imbalance_factor,
    pixels_where_present,
)
from aucseg.longtail.tally import Tally


def class_table(tally: Tally) -> pd.DataFrame:
    """One row for each class, most pixels first: the bars of AUCSeg Figure 1, and all that is known of it.

    Args:
        tally: pixels and images of each class, and the connected regions if those were counted.

    Returns:
        Columns ``id`` (train id), ``class``, ``group``, ``pixels``, ``pixel_share`` and ``image_share`` (in
        [0, 1]), ``images``, ``pixels_where_present`` (mean over the images that hold the class) and, with
        regions, ``regions`` and ``mean_region_size`` (pixels).
    """
    columns = {
        "id": np.arange(tally.num_classes),
        "class": tally.names,
        "group": tally.groups,
        "pixels": tally.pixels,
        "pixel_share": tally.pixel_share,
        "images": tally.images,
        "image_share": tally.image_share,
        "pixels_where_present": pixels_where_present(tally.pixels, tally.images),
    }
    if tally.has_regions:
        columns |= {"regions": tally.regions, "mean_region_size": tally.mean_region_size}
    table = pd.DataFrame(columns)
    return table.sort_values("pixels", ascending=False, kind="stable").reset_index(drop=True)


def image_table(tally: Tally, *, first_id: int = 0) -> pd.DataFrame:
    """Images that hold each class, most first: AUCSeg Tables 5, 6 and 7.

    Args:
        tally: images of each class.
        first_id: id of the first class; Table 6 counts from 1, the other two from 0.

    Returns:
        Columns ``class_id``, ``class`` and ``num_images``.
    """
    table = pd.DataFrame(
        {
            "class_id": first_id + np.arange(tally.num_classes),
            "class": tally.names,
            "num_images": tally.images,
        }
    )
    return table.sort_values("num_images", ascending=False, kind="stable").reset_index(drop=True)


def share_table(tally: Tally) -> pd.DataFrame:
    """Pixel share of each class within its group, largest first: AUCSeg Tables 8, 9 and 10.

    Args:
        tally: pixels and groups of each class.

    Returns:
        Columns ``partition`` (head, middle, tail in this order), ``class`` and ``pixel_ratio_percent``.
    """
    table = pd.DataFrame(
        {
            "partition": pd.Categorical(tally.groups, GROUPS, ordered=True),
            "class": tally.names,
            "pixel_ratio_percent": 100 * tally.pixel_share,
        }
    )
    table = table.sort_values(["partition", "pixel_ratio_percent"], ascending=[True, False], kind="stable")
    return table.reset_index(drop=True)


def group_table(tally: Tally) -> pd.DataFrame:
    """One row for each group that has classes: sizes, shares, and both readings of AUCSeg Table 17.

    Table 17 is captioned as the average number of pixels from head and tail classes per image. What it prints
    is ``pixels_per_class_image``: the mean, over the classes of the group, of a class's pixels in an image
    that holds it. Read literally it would be ``pixels_per_image``.

    Args:
        tally: pixels, images and groups of each class.

    Returns:
        Columns ``group``, ``classes``, ``pixels``, ``pixel_share``, ``image_share`` (of images that hold any
        class of the group; nan if that is not known), ``pixels_per_image`` and ``pixels_per_class_image``.
    """
    presence = tally.presence
    each = pixels_where_present(tally.pixels, tally.images)
    rows = []
    for group, member in group_members(tally.groups, tally.num_classes).items():
        if not member.any():
            continue
        pixels = int(tally.pixels[member].sum())
        known = each[member & ~np.isnan(each)]
        rows.append(
            {
                "group": group,
                "classes": int(member.sum()),
                "pixels": pixels,
                "pixel_share": float(tally.pixel_share[member].sum()),
                "image_share": np.nan if presence is None else float(presence[:, member].any(1).mean()),
                "pixels_per_image": pixels / tally.num_images,
                "pixels_per_class_image": float(known.mean()) if len(known) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def imbalance_table(tally: Tally) -> pd.DataFrame:
    """How unequal the classes are: Region Rebalance Figure 5b and AUCSeg Table 11, with the Gini index.

    Args:
        tally: pixels, images and groups of each class, and the connected regions if those were counted.

    Returns:
        A row for ``"pixels"``, ``"images"`` (the regions of Region Rebalance, whose factors are PIF and RIF)
        and, if counted, ``"connected regions"``. Columns ``unit``, ``most`` and ``least`` (class names),
        ``imbalance_factor``, ``gini`` and ``head_to_rest`` (r_m of Eq. 43; nan if all or none are head).
    """
    units = {"pixels": tally.pixels, "images": tally.images}
    if tally.has_regions:
        units["connected regions"] = tally.regions
    head = tally.groups.count("head")
    rows = [
        {
            "unit": unit,
            "most": tally.names[int(np.argmax(values))],
            "least": tally.names[int(np.argmin(values))],
            "imbalance_factor": imbalance_factor(values),
            "gini": gini(values),
            "head_to_rest": head_to_rest_ratio(values, tally.groups)
            if 0 < head < tally.num_classes
            else np.nan,
        }
        for unit, values in units.items()
    ]
    return pd.DataFrame(rows)


def co_occurrence_table(tally: Tally) -> pd.DataFrame:
    """How often a class (column) stands in an image that holds another one (row), in [0, 1].

    Args:
        tally: counted image by image.

    Returns:
        A square frame by class name; the diagonal is 1, rows of classes in no image are nan.

    Raises:
        ValueError: if only the sums are known.
    """
    both = tally.co_occurrence.astype(float)
    held = both.diagonal()[:, None]
    share = np.divide(both, held, out=np.full(both.shape, np.nan), where=held > 0)
    return pd.DataFrame(share, index=list(tally.names), columns=list(tally.names))


def summary(tally: Tally) -> dict[str, Any]:
    """The long tail of a data set in plain values, for JSON; classes in the order of their train ids.

    Args:
        tally: what was counted.

    Returns:
        ``images``, ``void_pixels``, ``imbalance`` (the factor of the pixels), ``classes``, ``groups`` and
        ``imbalance_factors``: the rows of :func:`class_table`, :func:`group_table` and
        :func:`imbalance_table`, with None for what is not finite.
    """
    classes = class_table(tally).sort_values("id").drop(columns="id")
    imbalance = imbalance_table(tally)
    return {
        "images": tally.num_images,
        "void_pixels": tally.void,
        "imbalance": _cell(imbalance["imbalance_factor"][0]),
        "classes": _plain(classes.rename(columns={"class": "name"})),
        "groups": _plain(group_table(tally)),
        "imbalance_factors": _plain(imbalance),
    }


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows in plain types; what is not finite becomes None, which JSON has a word for."""
    rows = table.to_dict("records")
    return [{str(key): _cell(value) for key, value in row.items()} for row in rows]


def _cell(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
