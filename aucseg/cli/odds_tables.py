"""The tables that ``aucseg data odds`` and ``aucseg data tail`` print."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aucseg.longtail.bank_size import BankSize
from aucseg.longtail.odds import BatchOdds
from aucseg.longtail.partitions import Partition
from aucseg.longtail.tally import Tally


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
