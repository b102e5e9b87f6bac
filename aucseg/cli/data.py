"""``aucseg data``: list, get, prepare, verify and count data sets; the odds of a batch, and the tail."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from aucseg import catalog, paths
from aucseg.catalog import DATASETS, FolderEntry
from aucseg.cli import printing
from aucseg.cli.init import init
from aucseg.cli.options import (
    MOST_PIXELS,
    TARGET,
    As,
    AsJson,
    Images,
    Masks,
    MaxPixels,
    Split,
    Splits,
    Target,
    TrainSplit,
    ValueRange,
)
from aucseg.data.reading import allow_pixels
from aucseg.errors import DataError, OptionError, did_you_mean

app = typer.Typer(name="data", no_args_is_help=True, add_completion=False)

Place = Annotated[str, typer.Argument(metavar="PATH", help=TARGET)]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that read files.")]
Keep = Annotated[bool, typer.Option(help="Keep what was counted in the folder, for the next time.")]
SampleRatio = Annotated[float, typer.Option(min=0, max=1, help="R_S of the bank; 0 is no bank.")]

_BY_HAND = 2


app.command()(init)


@app.callback()
def data() -> None:
    """List, fetch, prepare, verify and count data sets."""


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """Data sets by name, where they lie on this machine, and their terms."""
    rows = [_row(name) for name in _on_disk()]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    printing.print_datasets(rows)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="Name of the data set, for example camvid.")],
    dest: Annotated[Path | None, typer.Option(help="Folder to make; data/NAME if not given.")] = None,
    url: Annotated[str | None, typer.Option(help="A mirror of the archive, or a local file.")] = None,
) -> None:
    """Fetch a data set and check it, or print how to get it by hand (exit code 2)."""
    if name not in _on_disk():
        raise DataError(f"no data set {name!r} to get", remedy=did_you_mean(name, _on_disk()))
    entry = _on_disk()[name]
    if not entry.automatic:
        typer.echo(f"{name} is not downloaded automatically.")
        typer.echo(entry.by_hand(dest))
        raise typer.Exit(_BY_HAND)
    typer.echo(entry.terms)
    with _bar(BarColumn(), DownloadColumn(), TransferSpeedColumn()) as step:
        place = entry.get(dest, url=url, progress=lambda done, total: step(name, done, total))
    typer.echo(f"{name} is complete and checked: {place}")


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="DATA", help="Name of a data set, or a folder.")],
    root: Annotated[Path | None, typer.Argument(help="Its folder; searched for if not given.")] = None,
    dest: Annotated[
        Path | None, typer.Option(help="Folder to make; data/NAME-prepared if not given.")
    ] = None,
    kind: As = None,
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="HEIGHT WIDTH", help="Size to resize to, in pixels, as --size 240 320."),
    ] = None,
    value_range: ValueRange = None,
    split: Splits = None,
    images: Images = None,
    masks: Masks = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out items with a problem.")] = False,
    max_pixels: MaxPixels = MOST_PIXELS,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Turn a data set into 8-bit masks of train ids that training reads fast; exit code 1 on problems."""
    found = locate(name, root, images=images, masks=masks, kind=kind)
    suffix = "prepared" if size is None else f"{size[0]}x{size[1]}"
    target = dest or paths.dataset(f"{Path(name).name}-{suffix}")
    with allow_pixels(max_pixels), _bar(BarColumn(), MofNCompleteColumn()) as step:
        report = found.prepare(
            target,
            splits=split or None,
            size=size,
            value_range=value_range,
            skip_bad=skip_bad,
            workers=workers,
            progress=step,
        )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        printing.print_prepared(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def verify(
    path: Place,
    split: Splits = None,
    train_split: TrainSplit = None,
    kind: As = None,
    images: Images = None,
    masks: Masks = None,
    max_pixels: MaxPixels = MOST_PIXELS,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Open every file and print all problems; exit code 1 if there is one."""
    found = locate(path, images=images, masks=masks, kind=kind, train_split=train_split)
    with allow_pixels(max_pixels):
        report = found.verify(split or None, workers=workers)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        printing.print_report(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def stats(
    path: Place,
    split: Split = None,
    train_split: TrainSplit = None,
    kind: As = None,
    images: Images = None,
    masks: Masks = None,
    regions: Annotated[bool, typer.Option("--regions", help="Count connected regions too.")] = False,
    max_pixels: MaxPixels = MOST_PIXELS,
    workers: Workers = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask cluster, for example tcp://10.0.0.1:8786.")
    ] = None,
    partial: Annotated[
        Path | None,
        typer.Option(
            help="Folder for partial results, from which a killed scan goes on; runs/scans for many masks."
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write class_stats.csv of all splits, and mask_counts_SPLIT.npz.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The long tail in numbers: shares of pixels and images, groups, imbalance factors."""
    from aucseg.longtail import summary  # takes pandas, which the other commands can do without

    found = locate(path, images=images, masks=masks, kind=kind, train_split=train_split)
    counted = found.training_split if split is None else split
    _say_split(split, counted)
    options: dict[str, Any] = {"regions": regions, "workers": workers, "scheduler": scheduler}
    with allow_pixels(max_pixels), _bar(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as step:
        options |= {"partial_results": partial, "progress": lambda name, *done: step(f"{name} masks", *done)}
        tally = found.count(counted, write=write, **options)
        written = found.keep(**options) if write else []
    for file in written:
        typer.echo(f"wrote {file}", err=True)
    groups = found.partition.source
    result = {"root": found.label, "split": counted, "groups_by": groups, **summary(tally)}
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    printing.print_stats(result)


@app.command()
def odds(
    data: Target,
    batch_size: Annotated[list[int], typer.Option("--batch-size", "-b", help="May be repeated.")],
    sample_ratio: SampleRatio = 0.0,
    scope: Annotated[
        str, typer.Option(help="Whose missing classes the bank counts: image or batch.")
    ] = "image",
    split: Split = None,
    train_split: TrainSplit = None,
    kind: As = None,
    images: Images = None,
    masks: Masks = None,
    table: Annotated[Path | None, typer.Option(help="CSV: pixels of each class in each image.")] = None,
    write: Keep = False,
    draws: Annotated[int, typer.Option(min=1, help="Batches to simulate where need be.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulation.")] = 0,
    as_json: AsJson = False,
) -> None:
    """How probable it is that a batch holds all classes, with and without a bank (Proposition 1)."""
    from aucseg.longtail import BankModel, Tally, load_statistics, odds_of_batches

    if table is not None:
        known, title = Tally.read_table(table, load_statistics(data).spec), data
    else:
        located = locate(data, images=images, masks=masks, kind=kind, train_split=train_split)
        known, title = known_of(located, split, write).tally, located.title
    bank = BankModel(sample_ratio, scope) if sample_ratio else None
    found = odds_of_batches(known, batch_size, bank=bank, draws=draws, seed=seed)
    absent = [name for name, images in zip(known.names, known.images, strict=True) if not images]
    if as_json:
        rows = [{"group": group, **each.to_dict()} for group, each in found]
        content = {"name": title, "images": known.num_images, "absent": absent, "odds": rows}
        typer.echo(json.dumps(content, indent=1))
        return
    printing.print_odds(title, known, found, absent)


@app.command()
def tail(
    data: Target,
    head: Annotated[float | None, typer.Option(help="Least pixel share of a head class.")] = None,
    below: Annotated[float | None, typer.Option("--tail", help="Pixel share below which is tail.")] = None,
    auto: Annotated[bool, typer.Option(help="The rule also where the paper has a partition.")] = False,
    image_size: Annotated[
        tuple[int, int], typer.Option(metavar="HEIGHT WIDTH", help="Size of a crop, in pixels.")
    ] = (512, 512),
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images in a step.")] = 4,
    sample_ratio: SampleRatio = 0.05,
    budget_mib: Annotated[float | None, typer.Option(help="MiB that the bank may take.")] = None,
    split: Split = None,
    train_split: TrainSplit = None,
    kind: As = None,
    images: Images = None,
    masks: Masks = None,
    write: Keep = False,
    as_json: AsJson = False,
) -> None:
    """Which classes are the tail and why, and how large a bank they need.

    The answer is that of `aucseg data stats` and of a training, unless another rule is asked for.
    """
    from aucseg.longtail import BankModel, auto_partition, recommend_bank

    located = locate(data, images=images, masks=masks, kind=kind, train_split=train_split)
    known = known_of(located, split, write).tally
    if auto or head is not None or below is not None:
        groups = auto_partition([float(s) for s in known.pixel_share], known.names, head=head, tail=below)
    else:
        groups = located.partition
        if not groups.tail:
            rarest = min(range(known.num_classes), key=lambda k: float(known.pixel_share[k]))
            raise DataError(
                f"no class is tail by {groups.source}; the rarest is {known.names[rarest]!r} with "
                f"{100 * known.pixel_share[rarest]:.3g} % of the pixels",
                file=located.label,
                remedy="give a threshold with --head and --tail",
            )
    kept = tuple(c for c in groups.tail if known.images[c])
    if budget_mib is not None and not 0 < budget_mib < math.inf:
        raise OptionError(f"--budget-mib is a number of MiB above 0, got {budget_mib:g}")
    budget = None if budget_mib is None else int(budget_mib * 2**20)
    bank = BankModel(sample_ratio, tail=kept)
    size = recommend_bank(known, image_size, batch_size=batch_size, bank=bank, budget=budget)
    if as_json:
        content = {
            "name": located.title,
            "source": groups.source,
            "classes": [
                {"id": i, "name": n, "group": g, "reason": r}
                for i, (n, g, r) in enumerate(zip(groups.names, groups.groups, groups.reasons, strict=True))
            ],
            "bank": size.to_dict(),
        }
        typer.echo(json.dumps(content, indent=1))
        return
    printing.print_tail(located.title, known, groups, size)


def locate(data: str, root: Path | None = None, **options: Any) -> catalog.Located:
    """The data set that a command is given; says what was concluded from the looks of a folder.

    Args:
        data: a name or a folder.
        root: the folder of a data set that is named.
        **options: as for :func:`aucseg.catalog.resolve`.
    """
    located = catalog.resolve(data, root, **options)
    if located.note:
        typer.echo(located.note, err=True)
    return located


def known_of(located: catalog.Located, split: str | None, write: bool = False) -> catalog.Known:
    """What is known of a split of a data set; says which it is, and where it was kept, if it has to be said.

    Args:
        located: the data set.
        split: what the user gave; the split that trains if None.
        write: whether to keep what is counted.
    """
    known = located.known(split, write=write)
    _say_split(split, known.split)
    if write and known.file is not None:
        typer.echo(f"wrote {known.file}", err=True)
    return known


def _say_split(given: str | None, taken: str) -> None:
    if given is None and taken != "train":
        typer.echo(f"split {taken!r}, the one that trains; --split for another", err=True)


def _on_disk() -> dict[str, FolderEntry]:
    """The data sets that lie somewhere, by name, but for the user's own."""
    return {
        name: entry
        for name, entry in DATASETS.items()
        if isinstance(entry, FolderEntry) and not entry.needs_root
    }


def _row(name: str) -> dict[str, Any]:
    entry = _on_disk()[name]
    try:
        place: str | None = str(entry.locate())
    except DataError:
        place = None
    return {
        "name": name,
        "title": entry.title,
        "classes": entry.spec.num_classes if entry.spec else 0,
        "automatic": entry.automatic,
        "at": place,
        "terms": entry.terms,
    }


@contextmanager
def _bar(*columns: ProgressColumn) -> Iterator[Callable[[str, int, int | None], None]]:
    """A progress bar on standard error, where that is a terminal: called with what, done and in all."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def step(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)

    with bar:
        yield step
