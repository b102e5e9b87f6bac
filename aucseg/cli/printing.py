"""What the commands print about data sets: tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

if TYPE_CHECKING:
    from aucseg.data.prepare import PrepareReport
    from aucseg.data.verify import VerifyReport
    from aucseg.longtail import BankSize, BatchOdds, Partition, Tally
    from aucseg.theory import GapFit, GapRow, Slope

_SHOWN = 50
_TERMS = {
    "discretisation": "discretisation",
    "inner": "pairs inside an image",
    "inter": "pairs of two images",
    "confidence_inner": "confidence, inside",
    "confidence_inter": "confidence, two images",
    "total": "the bound",
    "limit": "its limit for many images",
}
_SIZES = {
    "necessary": "needed for the rarest class",
    "independent": "if classes were independent",
    "union": "enough however they occur",
    "sufficient": "Proposition 1",
}


def print_datasets(rows: Sequence[dict[str, Any]]) -> None:
    """Print data sets by name, where they lie, and their terms.

    Args:
        rows: ``name``, ``title``, ``classes``, ``automatic``, ``at`` and ``terms`` of each.
    """
    table = Table("data set", "what", "classes", "get", "found at")
    for row in rows:
        at = row["at"] or f"nowhere: aucseg data get {row['name']}"
        how = "automatic" if row["automatic"] else "by hand"
        table.add_row(row["name"], row["title"], str(row["classes"]), how, escape(at))
    console = Console()
    console.print(table)
    plain: dict[str, Any] = {"markup": False, "soft_wrap": True, "highlight": False}
    console.print(
        "Any other folder of images and masks: give its path, see `aucseg data prepare --help`.", **plain
    )
    for row in rows:
        console.print(f"\n{row['terms']}", **plain)


def print_prepared(report: PrepareReport) -> None:
    """Print what `prepare` did, problems on standard error."""
    plain: dict[str, Any] = {"markup": False, "soft_wrap": True, "highlight": False}
    console, errors = Console(), Console(stderr=True)
    for split, written in report.written.items():
        console.print(f"{split}: {written} items written, {report.kept[split]} were there", **plain)
    for problem in report.problems:
        errors.print(f"problem: {problem}", **plain)
    console.print(f"{report.target}: {len(report.problems) or 'no'} problems", **plain)


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


def print_stats(result: dict[str, Any]) -> None:
    """Print what `summary` made; "where present" is the mean over the images that hold a class."""
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


def print_odds(known: Tally, found: Sequence[tuple[str, BatchOdds]], absent: Sequence[str]) -> None:
    """Print the odds of some batch sizes, a row for each group of classes, with and without the bank."""
    title = f"{known.name}: {known.num_images} images, {known.num_classes} classes, {len(known.tail)} tail"
    columns = ("batch size", "classes", "bank", "missing on average", "none missing", "from", "to", "method")
    table = Table(*columns, title=escape(title))
    for group, each in found:
        bank = f"R_S {each.bank.sample_ratio:g}, {each.bank.scope}" if each.bank else "no"
        chance = each.all_present
        table.add_row(
            str(each.batch_size),
            f"{group} {len(each.classes)}",
            bank,
            f"{each.expected_missing:.3f}",
            *(_chance(p) for p in (chance.value, chance.low, chance.high)),
            chance.method,
        )
    console = Console()
    console.print(table)
    methods = {each.all_present.method for _, each in found}
    if "independent" in methods:
        console.print(
            "independent: classes taken as independent; from and to hold however they occur together"
        )
    if "monte carlo" in methods:
        console.print("monte carlo: from and to are the 95 % interval of the simulation")
    if any(each.bank for _, each in found):
        console.print("bank: a full one; pastes that hide each other are not looked at")
    for name in absent:
        console.print(f"left out, in no image: {name}", style="yellow", markup=False)


def print_tail(known: Tally, groups: Partition, size: BankSize) -> None:
    """Print a partition with its reasons, rarest last, and the size of the bank."""
    table = Table("class", "group", "% of images", "why", title=escape(f"{known.name} by {groups.source}"))
    for i in sorted(range(known.num_classes), key=lambda i: -known.pixel_share[i]):
        why = groups.reasons[i].removeprefix(f"{groups.names[i]}: ")
        share = f"{100 * known.image_share[i]:.1f}"
        table.add_row(escape(groups.names[i]), groups.groups[i], share, escape(why))
    console = Console()
    console.print(table)
    console.print(size.explanation, markup=False, soft_wrap=True)
    console.print(f"At worst, every object as large as its image: {size.worst_bytes / 2**20:.0f} MiB.")


def _chance(p: float) -> str:
    return f"{p:.2e}" if 0 < p < 0.001 else f"{p:.4f}"


def print_bound(content: dict[str, Any]) -> None:
    """Print what ``aucseg bound`` found."""
    console = Console()
    tau = content["tau"]
    title = (
        f"{content['name']}: {content['images']} images, {content['classes']} classes ({content['origin']})"
    )
    console.print(title, markup=False)
    span = f"{tau['low']:,.6g}" if tau["low"] == tau["high"] else f"{tau['low']:,.6g} to {tau['high']:,.6g}"
    console.print(f"tau {span}; the class that makes it: {tau['class']}", markup=False)

    sizes = content["batch_sizes"]
    columns = [("with_replacement", "with replacement"), ("without_replacement", "without")]
    if "crops" in sizes:
        height, width = sizes["crops"]["size"]
        columns.append(("crops", f"crops {height} x {width}"))
    heading = f"images in a batch, delta {content['delta']:g}"
    table = Table(heading, *(label for _, label in columns))
    for key, label in _SIZES.items():
        table.add_row(label, *(f"{sizes[column][key]:,}" for column, _ in columns))
    really = [_really(sizes, suffix) for suffix in ("_with_replacement", "")]
    if any(really):
        table.add_row("as classes really occur", *really, *([""] * (len(columns) - 2)))
    console.print(table)
    if "crops" in sizes:
        console.print(f"crops: {sizes['crops']['model']}", markup=False)

    rows = content["bound"]
    # 80 columns must do: the names of the terms stay whole, the headings of the numbers are broken
    table = Table(Column("bound, term by term", no_wrap=True))
    for row in rows:
        table.add_column(f"{row['variant']}\ntau {row['tau']:,.4g}")
    for key, label in _TERMS.items():
        table.add_row(label, *(f"{row[key]:,.4g}" for row in rows))
    useful = (row["below_one_from"] for row in rows)
    table.add_row("below 1 from images", *("never" if n is None else f"{n:.3g}" for n in useful))
    console.print(table)
    given = ", ".join(f"{key} {value:g}" for key, value in content["constants"].items())
    console.print(f"constants (the paper does not give A, B, C): {given}", markup=False)
    for name in content["absent"]:
        console.print(f"left out, in no image: {name}", style="yellow", markup=False)


def _really(sizes: dict[str, Any], suffix: str) -> str:
    """The size that the presence matrix gives, if there is one."""
    if f"exact{suffix}" in sizes:
        return f"{sizes[f'exact{suffix}']:,}"
    found = sizes.get(f"simulated{suffix}")
    return f"{found['value']:,} ({found['low']:,} to {found['high']:,}, simulated)" if found else ""


def print_fits(rows: Sequence[GapRow], fits: Sequence[GapFit]) -> None:
    """Print the means over seeds and the exponents of the measured gaps."""
    console = Console()
    sizes = sorted({row.images for row in rows})
    taus = sorted({row.tau for row in rows})
    for fit in fits:
        table = Table(fit.quantity, *(f"tau {tau:g}" for tau in taus))
        for n in sizes:
            groups = [[getattr(r, fit.quantity) for r in rows if (r.tau, r.images) == (t, n)] for t in taus]
            table.add_row(f"n = {n}", *(f"{np.mean(group):.4f}" for group in groups))
        table.add_section()
        table.add_row("exponent of n", *(f"{fit.by_tau[tau].value:.2f}" for tau in taus))
        table.add_row("  from", *(f"{fit.by_tau[tau].low:.2f}" for tau in taus))
        table.add_row("  to", *(f"{fit.by_tau[tau].high:.2f}" for tau in taus))
        console.print(table)
        console.print(f"together: n to the {_slope(fit.per_images)}")
        if fit.per_tau and fit.per_spread:
            console.print(f"  tau to the {_slope(fit.per_tau)}, or spread to the {_slope(fit.per_spread)}")
    console.print("Theorem 1 bounds the first by n to the -0.5 times tau to the 1, up to logarithms.")


def _slope(slope: Slope) -> str:
    return f"{slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"
