"""The tables that ``aucseg data`` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aucseg.data.counts import LabelCounts
from aucseg.data.report import VerifyReport
from aucseg.data.spec import GROUPS, ClassSpec

_SHOWN = 50


def print_report(report: VerifyReport) -> None:
    """Print what a verification found."""
    console = Console()
    table = Table(
        "split",
        "items",
        "problems",
        "labelled pixels",
        "void pixels",
        title=escape(f"{report.root} ({report.layout})"),
    )
    for split, items in report.splits.items():
        count = report.counts.get(split)
        pixels = (f"{int(count.pixels.sum()):,}", f"{count.void:,}") if count else ("", "")
        problems = sum(p.split == split for p in report.problems)
        table.add_row(split, str(items), str(problems), *pixels)
    console.print(table)
    for (height, width), number in list(report.sizes.items())[:5]:
        console.print(f"{number} images of {width}x{height} (width x height)")
    if len(report.sizes) > 5:
        console.print(f"and {len(report.sizes) - 5} other sizes")
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    for group in report.duplicates[:_SHOWN]:
        console.print(f"warning: the same image in {', '.join(group)}", style="yellow", markup=False)
    if len(report.duplicates) > _SHOWN:
        console.print(f"and {len(report.duplicates) - _SHOWN} more images in several splits")
    for problem in report.problems:
        console.print(f"problem: {problem.file}: {problem.what}", style="red", markup=False, soft_wrap=True)
        if problem.remedy:
            console.print(f"  remedy: {problem.remedy}", markup=False, soft_wrap=True)
    found = f"{len(report.problems)} problems" if report.problems else "no problems"
    console.print(f"{sum(report.splits.values())} items: {found}")


def summarize(root: Path, split: str, spec: ClassSpec, count: LabelCounts) -> dict[str, Any]:
    """Shares of pixels and images for each class and group of a split, in plain types.

    Args:
        root: the folder.
        split: the split counted.
        spec: names and groups.
        count: the counts, in the order of ``spec``.
    """
    classes = [
        {
            "name": name,
            "group": group,
            "pixels": int(count.pixels[k]),
            "pixel_share": float(count.pixel_share[k]),
            "image_share": float(count.image_share[k]),
        }
        for k, (name, group) in enumerate(zip(spec.names, spec.groups, strict=True))
    ]
    groups = []
    for group in GROUPS:
        ids = spec.group(group)
        pixel_share, image_share = count.group_shares(ids)
        groups.append(
            {
                "group": group,
                "classes": len(ids),
                "pixels": int(count.pixels[list(ids)].sum()),
                "pixel_share": pixel_share,
                "image_share": image_share,
            }
        )
    least = int(count.pixels.min())
    return {
        "root": str(root),
        "split": split,
        "images": count.num_images,
        "void_pixels": count.void,
        "imbalance": int(count.pixels.max()) / least if least else None,
        "classes": classes,
        "groups": groups,
    }


def print_stats(result: dict[str, Any]) -> None:
    """Print what `summarize` made."""
    title = f"{escape(result['root'])}, {result['split']}: {result['images']} images"
    columns = ("class", "group", "pixels", "% of pixels", "% of images")
    shown = Table(*columns, title=title)
    for row in sorted(result["classes"], key=lambda r: -r["pixel_share"]):
        shares = (f"{100 * row['pixel_share']:.3f}", f"{100 * row['image_share']:.1f}")
        shown.add_row(escape(row["name"]), row["group"], f"{row['pixels']:,}", *shares)
    shown.add_section()
    for row in result["groups"]:
        shares = (f"{100 * row['pixel_share']:.3f}", f"{100 * row['image_share']:.1f}")
        shown.add_row(f"{row['classes']} classes", row["group"], f"{row['pixels']:,}", *shares)
    Console().print(shown)
    ratio = result["imbalance"]
    Console().print(
        f"most to least frequent class: {ratio:.1f}"
        if ratio
        else "a class has no pixel: the ratio of the most to the least frequent class is infinite"
    )
