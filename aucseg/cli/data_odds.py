"""``aucseg data odds`` and ``aucseg data tail``: what a batch misses, and which classes are the tail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from aucseg.cli.odds_tables import print_odds, print_tail
from aucseg.data.layouts import detect, list_datasets, locate
from aucseg.data.resolve import resolve_spec
from aucseg.errors import DataError, OptionError
from aucseg.longtail import Tally, count
from aucseg.longtail.bank_size import recommend_bank
from aucseg.longtail.counter import folder_masks, layout_masks
from aucseg.longtail.odds import BankModel, BatchOdds, batch_odds
from aucseg.longtail.partitions import Partition, auto_partition, partition
from aucseg.longtail.statistics import list_statistics, load_statistics

Target = Annotated[
    str,
    typer.Argument(metavar="DATA", help="cityscapes, ade20k, coco_stuff, streets, a folder or a data set."),
]
Split = Annotated[str, typer.Option(help="The split of a folder.")]
Write = Annotated[bool, typer.Option(help="Keep what was counted in the folder, for the next time.")]
SampleRatio = Annotated[float, typer.Option(min=0, max=1, help="R_S of the bank; 0 is no bank.")]
Scope = Annotated[str, typer.Option(help="Whose missing classes the bank counts: image or batch.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_STREETS = 500


def odds(
    data: Target,
    batch_size: Annotated[list[int], typer.Option("--batch-size", "-b", help="May be repeated.")],
    sample_ratio: SampleRatio = 0.0,
    scope: Scope = "image",
    split: Split = "train",
    table: Annotated[Path | None, typer.Option(help="CSV: pixels of each class in each image.")] = None,
    write: Write = False,
    draws: Annotated[int, typer.Option(min=1, help="Batches to simulate where need be.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulation.")] = 0,
    as_json: AsJson = False,
) -> None:
    """How probable it is that a batch holds all classes, with and without a bank (Proposition 1)."""
    known = _statistics(data, split, table, write)
    bank = BankModel(sample_ratio, scope) if sample_ratio else None
    if bank and not known.tail:
        raise OptionError(f"{known.name!r} has no tail class for a bank; see `aucseg data tail`")
    occurring = tuple(c for c in range(known.num_classes) if known.images[c])
    absent = [known.names[c] for c in range(known.num_classes) if not known.images[c]]
    tail = tuple(c for c in known.tail if c in occurring)
    if bank:
        bank = replace(bank, tail=tail)
    found: list[tuple[str, BatchOdds]] = []
    for size in batch_size:
        for group, classes in (("all", occurring), ("tail", tail)):
            for kept in (None, bank) if bank else (None,):
                if classes:
                    each = batch_odds(known, size, classes=classes, bank=kept, draws=draws, seed=seed)
                    found.append((group, each))
    if as_json:
        rows = [{"group": group, **each.to_dict()} for group, each in found]
        content = {"name": known.name, "images": known.num_images, "absent": absent, "odds": rows}
        typer.echo(json.dumps(content, indent=1))
        return
    print_odds(known, found, absent)


def tail(
    data: Target,
    head: Annotated[float | None, typer.Option(help="Least pixel share of a head class.")] = None,
    below: Annotated[float | None, typer.Option("--tail", help="Pixel share below which is tail.")] = None,
    auto: Annotated[bool, typer.Option(help="The rule also where the paper has a partition.")] = False,
    image_size: Annotated[tuple[int, int], typer.Option(help="Height and width of a crop.")] = (512, 512),
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images in a step.")] = 4,
    sample_ratio: SampleRatio = 0.05,
    budget_mib: Annotated[float | None, typer.Option(help="MiB that the bank may take.")] = None,
    split: Split = "train",
    write: Write = False,
    as_json: AsJson = False,
) -> None:
    """Which classes are the tail and why, and how large a bank they need."""
    known = _statistics(data, split, None, write)
    groups: Partition
    if data in list_statistics() and not auto and head is None and below is None:
        groups = partition(data)
    else:
        groups = auto_partition([float(s) for s in known.pixel_share], known.names, head=head, tail=below)
    kept = tuple(c for c in groups.tail if known.images[c])
    budget = None if budget_mib is None else int(budget_mib * 2**20)
    bank = BankModel(sample_ratio, tail=kept)
    size = recommend_bank(known, image_size, batch_size=batch_size, bank=bank, budget=budget)
    if as_json:
        content = {
            "name": known.name,
            "source": groups.source,
            "classes": [
                {"id": i, "name": n, "group": g, "reason": r}
                for i, (n, g, r) in enumerate(zip(groups.names, groups.groups, groups.reasons, strict=True))
            ],
            "bank": size.to_dict(),
        }
        typer.echo(json.dumps(content, indent=1))
        return
    print_tail(known, groups, size)


def _statistics(data: str, split: str, table: Path | None, write: bool) -> Tally:
    """Statistics by name, of the streets, or of a folder."""
    if table is not None:
        return Tally.read_table(table, load_statistics(data).spec)
    if not Path(data).exists():
        if data in list_statistics():
            return load_statistics(data)
        if data == "streets":
            from aucseg.streets import SyntheticStreets  # imports PyTorch

            streets = SyntheticStreets(_STREETS, size=(64, 128))
            tally = count(streets)
            return tally.with_spec(replace(streets.spec, name="streets"))
        if data not in list_datasets() or data == "folder":
            known = ", ".join(dict.fromkeys((*list_statistics(), "streets", *list_datasets()[:-1])))
            raise DataError(f"no data {data!r}", remedy=f"give a folder or one of {known}")
    layout = detect(locate(data) if not Path(data).exists() else data)
    if layout is not None:  # counted in its own layout; only prepared folders keep what was counted
        if write:
            raise DataError(f"{layout.name!r} keeps no counts", remedy="see `aucseg data prepare`")
        place = Path(data) if Path(data).exists() else locate(data)
        return count(layout_masks(layout, place, split))
    named = not Path(data).exists()
    root = locate(data) if named else Path(data)
    kept = root / f"mask_counts_{split}.npz"
    tally = count(folder_masks(root, split), file=kept, write=write)
    if write:
        typer.echo(f"wrote {kept}", err=True)
    if named:
        from aucseg.data.layouts import open_dataset  # imports PyTorch

        spec = open_dataset(data, root, split).spec
    else:
        spec = resolve_spec(root, None)[1]
    return tally.with_spec(spec)
