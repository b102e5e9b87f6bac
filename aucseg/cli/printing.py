"""What the commands print: tables on standard output.

Names of classes, splits, files and folders are their user's: they are printed as they are and never read as
markup, and no table is too wide for 80 columns to show them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.cells import chop_cells
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from aucseg.errors import how_many

if TYPE_CHECKING:
    from aucseg.data.prepare import PrepareReport
    from aucseg.data.verify import VerifyReport
    from aucseg.longtail import BankSize, BatchOdds, Partition, Tally
    from aucseg.theory import GapFit, GapRow, Slope

_SHOWN = 50
_NAME_WIDTH = 28
_PLAIN: dict[str, Any] = {"markup": False, "soft_wrap": True, "highlight": False}
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


def name_cell(name: object) -> Text:
    """A name as a cell of a table: its letters and nothing else, a long one in several lines.

    Args:
        name: the name of a class, a split or a folder.
    """
    return Text("\n".join(chop_cells(str(name), _NAME_WIDTH)))


def name_column(heading: str) -> Column:
    """The column of names, which no other column may push out.

    Args:
        heading: its heading.
    """
    return Column(heading, no_wrap=True)


def print_wide(
    console: Console,
    title: str,
    names: tuple[str, Sequence[object]],
    columns: Sequence[tuple[str, Sequence[str]]],
    *,
    sections: Sequence[int] = (),
) -> None:
    """Print a table of numbers; in several parts, each with the names, where it is wider than the console.

    Args:
        console: where to.
        title: heading, as it is.
        names: heading of the first column, and its cells.
        columns: heading and cells of each column of numbers; a heading may have two lines.
        sections: rows before which a line is drawn.
    """

    def table(part: Sequence[tuple[str, Sequence[str]]]) -> Table:
        made = Table(name_column(names[0]), box=SIMPLE_HEAD, pad_edge=False)
        made.title = Text(title) if title else None
        for heading, cells in part:
            made.add_column(heading, justify="left" if cells[0].isalpha() else "right", no_wrap=True)
        for row, name in enumerate(names[1]):
            if row in sections:
                made.add_section()
            made.add_row(name_cell(name), *(cells[row] for _, cells in part))
        return made

    left = list(columns)
    while left:
        taken = 1
        while taken < len(left) and _fits(console, table(left[: taken + 1])):
            taken += 1
        console.print(table(left[:taken]))
        left = left[taken:]


def _fits(console: Console, table: Table) -> bool:
    # Measured without its title, which wraps, and without the limit of the console itself.
    table.title = None
    wide = console.options.update(max_width=10_000)
    return Measurement.get(console, wide, table).maximum <= console.width


def print_datasets(rows: Sequence[dict[str, Any]]) -> None:
    """Print data sets by name, where they lie, and their terms.

    Args:
        rows: ``name``, ``title``, ``classes``, ``automatic``, ``at`` and ``terms`` of each.
    """
    table = Table(name_column("data set"), "what", "classes", "get", "found at")
    for row in rows:
        at = row["at"] or f"nowhere: aucseg data get {row['name']}"
        how = "automatic" if row["automatic"] else "by hand"
        table.add_row(row["name"], row["title"], str(row["classes"]), how, Text(at, overflow="fold"))
    console = Console()
    console.print(table)
    console.print(
        "Any other folder of images and masks: give its path, see `aucseg data prepare --help`.", **_PLAIN
    )
    for row in rows:
        console.print(f"\n{row['terms']}", **_PLAIN)


def print_prepared(report: PrepareReport) -> None:
    """Print what `prepare` did, problems on standard error."""
    console, errors = Console(), Console(stderr=True)
    for split, written in report.written.items():
        console.print(f"{split}: {written} items written, {report.kept[split]} were there", **_PLAIN)
    for problem in report.problems:
        errors.print(f"problem: {problem}", **_PLAIN)
    console.print(f"{report.target}: {len(report.problems) or 'no'} problems", **_PLAIN)


def print_report(report: VerifyReport) -> None:
    """Print what a verification found; equal problems once, with how many there are and the first."""
    console = Console()
    splits = list(report.splits)
    found = [sum(p.split == split for p in report.problems) for split in splits]
    known = [split in report.pixels for split in splits]
    labelled = [f"{int(report.pixels[s].sum()):,}" if k else "" for s, k in zip(splits, known, strict=True)]
    void = [f"{report.void[s]:,}" if k else "" for s, k in zip(splits, known, strict=True)]
    columns = [
        ("items", [str(items) for items in report.splits.values()]),
        ("problems", [str(number) for number in found]),
        ("labelled pixels", labelled),
        ("void pixels", void),
    ]
    print_wide(console, f"{report.root} ({report.layout})", ("split", splits), columns)
    for (height, width), number in list(report.sizes.items())[:5]:
        console.print(f"{how_many(number, 'image')} of {width}x{height} (width x height)")
    if len(report.sizes) > 5:
        console.print(f"and {how_many(len(report.sizes) - 5, 'other size')}")
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", **_PLAIN)
    for group in report.duplicates[:_SHOWN]:
        console.print(f"warning: the same image in {', '.join(group)}", style="yellow", **_PLAIN)
    if len(report.duplicates) > _SHOWN:
        console.print(f"and {len(report.duplicates) - _SHOWN} more images in several splits")
    folded = report.folded()
    for problem, times in folded[:_SHOWN]:
        where = f"{problem.file}: " if problem.file else ""
        many = f" (and {times - 1} more such)" if times > 1 else ""
        console.print(f"problem: {where}{problem.what}{many}", style="red", **_PLAIN)
        if problem.remedy:
            console.print(f"  remedy: {problem.remedy}", **_PLAIN)
    if len(folded) > _SHOWN:
        console.print(f"and {len(folded) - _SHOWN} more kinds of problems; --json has all")
    number = len(report.problems)
    told = how_many(number, "problem") if number else "no problems"
    kinds = f" of {len(folded)} kinds" if 1 < len(folded) < number else ""
    console.print(f"{how_many(sum(report.splits.values()), 'item')}: {told}{kinds}", **_PLAIN)


def print_stats(result: dict[str, Any]) -> None:
    """Print what `summary` made; "where present" is the mean over the images that hold a class."""
    console = Console()
    classes = sorted(result["classes"], key=lambda r: -r["pixel_share"])
    groups = result["groups"]
    rows, none = [*classes, *groups], [""] * len(groups)
    columns = [
        ("group", [row["group"] for row in rows]),
        ("pixels", [f"{row['pixels']:,}" for row in rows]),
        ("%\npixels", [f"{100 * row['pixel_share']:.3f}" for row in rows]),
        ("%\nimages", [_percent(row["image_share"]) for row in rows]),
        (
            "where\npresent",
            [_number(row["pixels_where_present"]) for row in classes]
            + [_number(row["pixels_per_class_image"]) for row in groups],
        ),
    ]
    if "regions" in classes[0]:
        columns.append(("regions", [f"{row['regions']:,}" for row in classes] + none))
        columns.append(("per\nregion", [_number(row["mean_region_size"]) for row in classes] + none))
    names = [
        *(row["name"] for row in classes),
        *(how_many(row["classes"], "class", "classes") for row in groups),
    ]
    title = f"{result['root']}, {result['split']}: {how_many(result['images'], 'image')}"
    print_wide(console, title, ("class", names), columns, sections=(len(classes),))
    console.print(f"groups: {result['groups_by']}", **_PLAIN)
    for row in result["imbalance_factors"]:
        if row["imbalance_factor"] is None:
            console.print(
                f"{row['unit']}: {row['least']} has none, so the ratio of the most to the least frequent "
                f"class is infinite; Gini index {row['gini']:.3f}",
                **_PLAIN,
            )
            continue
        rest = row["head_to_rest"]
        pairs = "" if rest is None else f", a head class to another on average {rest:.1f}"
        console.print(
            f"{row['unit']}: most to least frequent class {row['imbalance_factor']:.1f} ({row['most']} to "
            f"{row['least']}){pairs}; Gini index {row['gini']:.3f}",
            **_PLAIN,
        )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def print_metrics(metrics: dict[str, Any], against: dict[str, Any] | None = None) -> None:
    """Print what an evaluation came to: means over the groups of classes, and each class.

    Args:
        metrics: as in a record.
        against: those of another network on the same images, to print what is gained and lost.
    """
    from aucseg.plots import GROUP_SUFFIXES  # takes the figures along

    def percent(value: object) -> str:
        return f"{100 * value:.2f}" if isinstance(value, float) else "–"

    groups = list(GROUP_SUFFIXES.items())
    classes: dict[str, Any] = metrics["iou"] if isinstance(metrics["iou"], dict) else {}
    columns = [
        (label, [percent(metrics.get(key + suffix)) for suffix, _ in groups] + none)
        for key, label, none in (
            ("mIoU", "mIoU", [percent(value) for value in classes.values()]),
            ("auc_softmax", "AUC of\nsoftmax", [""] * len(classes)),
            ("auc_sigmoid", "AUC of\nsigmoid", [""] * len(classes)),
        )
    ]
    if against is not None:
        pairs = [(metrics.get(f"mIoU{suffix}"), against.get(f"mIoU{suffix}")) for suffix, _ in groups]
        pairs += [(value, against["iou"].get(name)) for name, value in classes.items()]
        changes = ["–" if a is None or b is None else f"{100 * (a - b):+.2f}" for a, b in pairs]
        columns.insert(1, ("mIoU, less\nthe other", changes))
    names = [*(label for _, label in groups), *classes]
    print_wide(Console(), "", ("percent", names), columns, sections=(len(groups),))


def print_odds(
    name: str, known: Tally, found: Sequence[tuple[str, BatchOdds]], absent: Sequence[str]
) -> None:
    """Print the odds of some batch sizes, a row for each group of classes, with and without the bank.

    Args:
        name: what the data set is called.
        known: what was counted.
        found: group and odds of each row.
        absent: classes in no image.
    """
    title = f"{name}: {known.num_images} images, {known.num_classes} classes, {len(known.tail)} tail"
    columns = ("batch size", "classes", "bank", "missing on average", "none missing", "from", "to", "method")
    table = Table(*columns, title=Text(title))
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
        console.print(f"left out, in no image: {name}", style="yellow", **_PLAIN)


def print_tail(name: str, known: Tally, groups: Partition, size: BankSize) -> None:
    """Print a partition with its reasons, rarest last, and the size of the bank.

    Args:
        name: what the data set is called.
        known: what was counted.
        groups: the partition.
        size: the bank.
    """
    title = Text(f"{name} by {groups.source}")
    table = Table(name_column("class"), "group", "% of images", "why", title=title)
    for i in sorted(range(known.num_classes), key=lambda i: -known.pixel_share[i]):
        why = groups.reasons[i].removeprefix(f"{groups.names[i]}: ")
        share = f"{100 * known.image_share[i]:.1f}"
        table.add_row(name_cell(groups.names[i]), groups.groups[i], share, Text(why))
    console = Console()
    console.print(table)
    console.print(size.explanation, **_PLAIN)
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
    console.print(title, **_PLAIN)
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
        console.print(f"left out, in no image: {name}", style="yellow", **_PLAIN)


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
