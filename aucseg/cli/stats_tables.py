"""What ``aucseg data stats`` prints."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aucseg.longtail import Tally, class_table, group_table, imbalance_table


def summarize(root: str, split: str, tally: Tally) -> dict[str, Any]:
    """The long tail of a split in plain types, classes in the order of their train ids.

    Args:
        root: the folder.
        split: the split counted.
        tally: what was counted.
    """
    classes = class_table(tally).sort_values("id").drop(columns="id")
    imbalance = imbalance_table(tally)
    factor = float(imbalance["imbalance_factor"][0])
    return {
        "root": root,
        "split": split,
        "images": tally.num_images,
        "void_pixels": tally.void,
        "imbalance": factor if math.isfinite(factor) else None,
        "classes": _plain(classes.rename(columns={"class": "name"})),
        "groups": _plain(group_table(tally)),
        "imbalance_factors": _plain(imbalance),
    }


def print_stats(result: dict[str, Any]) -> None:
    """Print what `summarize` made; "where present" is the mean over the images that hold a class."""
    console = Console()
    regions = "regions" in result["classes"][0]
    shown = Table(
        title=f"{escape(result['root'])}, {result['split']}: {result['images']} images",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    shown.add_column("class", overflow="ellipsis")
    shown.add_column("group", no_wrap=True)
    numbers = ["pixels", "% pixels", "% images", "where present"]
    for name in [*numbers, "regions", "per region"] if regions else numbers:
        shown.add_column(name, justify="right", no_wrap=True)
    for row in sorted(result["classes"], key=lambda r: -r["pixel_share"]):
        cells = [f"{row['regions']:,}", _number(row["mean_region_size"])] if regions else []
        shown.add_row(
            escape(row["name"]), row["group"], *_shares(row), _number(row["pixels_where_present"]), *cells
        )
    shown.add_section()
    for row in result["groups"]:
        each = _number(row["pixels_per_class_image"])
        shown.add_row(f"{row['classes']} classes", row["group"], *_shares(row), each)
    console.print(shown)
    for row in result["imbalance_factors"]:
        if row["imbalance_factor"] is None:
            console.print(
                f"{row['unit']}: {row['least']} has none, so the ratio of the most to the least frequent "
                f"class is infinite; Gini index {row['gini']:.3f}",
                markup=False,
                soft_wrap=True,
            )
            continue
        rest = row["head_to_rest"]
        pairs = "" if rest is None else f", a head class to another on average {rest:.1f}"
        console.print(
            f"{row['unit']}: most to least frequent class {row['imbalance_factor']:.1f} ({row['most']} to "
            f"{row['least']}){pairs}; Gini index {row['gini']:.3f}",
            markup=False,
            soft_wrap=True,
        )


def _shares(row: dict[str, Any]) -> tuple[str, str, str]:
    return f"{row['pixels']:,}", f"{100 * row['pixel_share']:.3f}", f"{100 * row['image_share']:.1f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows in plain types; what is not finite becomes None, which JSON has a word for."""
    rows = table.to_dict("records")
    return [{str(key): _cell(value) for key, value in row.items()} for row in rows]


def _cell(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
