"""The tables that ``aucseg data`` prints."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aucseg.data.verify import VerifyReport

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
        pixels = ("", "")
        if split in report.pixels:
            pixels = (f"{int(report.pixels[split].sum()):,}", f"{report.void[split]:,}")
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
