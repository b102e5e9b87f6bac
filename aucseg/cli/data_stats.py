"""``aucseg data stats``: the long tail of a data set in numbers, in one pass over its masks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from aucseg import paths
from aucseg.cli.data_sets import As, AsJson, Images, Masks, Workers, progress_bar, resolve_layout
from aucseg.cli.stats_tables import print_stats, summarize
from aucseg.data.class_stats import read_pixel_share, write_stats
from aucseg.data.classes import read_classes
from aucseg.data.layout import list_splits
from aucseg.data.layouts import Layout, detect
from aucseg.data.resolve import resolve_spec
from aucseg.data.spec import ClassSpec, groups_by_pixel_share
from aucseg.errors import DataError
from aucseg.longtail import MaskFiles, Tally, count, join
from aucseg.longtail.counter import folder_masks, layout_masks

Target = Annotated[str, typer.Argument(metavar="PATH", help="A folder, or the name of a known data set.")]
_LONG = 2000  # masks from which on a killed scan is worth going on with


def stats(
    path: Target,
    split: Annotated[str, typer.Option(help="The split to count; all for all together.")] = "train",
    kind: As = None,
    images: Images = None,
    masks: Masks = None,
    regions: Annotated[bool, typer.Option("--regions", help="Count connected regions too.")] = False,
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
    root, spec, layout = resolve_layout(path, kind, images, masks)
    layout = layout or detect(root)
    if layout is not None and write:
        raise DataError(f"{layout.name!r} keeps no counts", remedy="see `aucseg data prepare`")
    splits = list_splits(root) if layout is None else layout.splits(layout.locate(root))
    whole = split == "all" and split not in splits
    # a split that is not there is asked for last, so that its error names those that are
    names = splits if whole else dict.fromkeys((*splits, split)) if write else (split,)

    def scan(name: str) -> Tally:
        source = _source(root, name, spec, layout)
        return _scan(source, root, name, regions, workers, scheduler, partial)

    scanned = {name: scan(name) for name in names}
    if write:
        for file in _write(root, scanned):
            typer.echo(f"wrote {file}", err=True)
    counts = join(list(scanned.values())) if whole else scanned[split]
    if layout is not None:
        spec = layout.spec
        if layout.name == "folder" and not layout.grouped:  # by what a training would see, as everywhere
            base = "train" if "train" in splits else splits[0]
            spec = _grouped_by(scanned.get(base) or scan(base), spec)
    elif spec is None:
        spec = _named_groups(root, scanned.get("train"))
    result = summarize(str(root), split, counts.with_spec(spec))
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    print_stats(result)


def _source(root: Path, split: str, spec: ClassSpec | None, layout: Layout | None) -> MaskFiles:
    """The masks of a split, in the package's own layout or a published one."""
    if layout is None:
        return folder_masks(root, split, spec)
    return layout_masks(layout, root, split)


def _scan(
    source: MaskFiles,
    root: Path,
    split: str,
    regions: bool,
    workers: int | None,
    scheduler: str | None,
    partial: Path | None,
) -> Tally:
    """Scan with a progress bar on standard error."""
    key = hashlib.sha256(f"{root.resolve()}\n{split}\n{regions}".encode()).hexdigest()[:16]
    folder = paths.runs() / "scans" if partial is None and len(source) >= _LONG else partial
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_bar(*columns) as bar:
        task = bar.add_task(f"{split} masks", total=len(source))
        return count(
            source,
            regions=regions,
            scheduler=scheduler,
            workers=workers,
            folder=None if folder is None else folder / key,
            progress=lambda done, _: bar.update(task, completed=done),
        )


def _write(root: Path, scanned: dict[str, Tally]) -> list[Path]:
    table = read_classes(root)
    files = [write_stats(root, table, {split: scanned[split] for split in list_splits(root)})]
    return files + [counted.save(root / f"mask_counts_{split}.npz") for split, counted in scanned.items()]


def _named_groups(root: Path, train: Tally | None) -> ClassSpec:
    """The label set of a folder. Groups that follow from the training masks come from this very scan."""
    table = read_classes(root)
    if train is None or table.groups() is not None or read_pixel_share(root, table) is not None:
        return resolve_spec(root, None)[1]
    names, colors = zip(*((row.name, row.color) for row in table.classes), strict=True)
    return _grouped_by(train, ClassSpec(root.resolve().name, names, colors, ("middle",) * len(names)))


def _grouped_by(counted: Tally, spec: ClassSpec) -> ClassSpec:
    """A label set with the groups that follow from counted masks."""
    shares = tuple(float(share) for share in counted.pixel_share)
    images = tuple(float(share) for share in counted.image_share)
    return replace(spec, groups=groups_by_pixel_share(shares), pixel_share=shares, image_share=images)
