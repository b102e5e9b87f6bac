"""Commands that compare methods on a data set, and that say what its tail asks for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aucseg import paths
from aucseg.cli.options import MOST_PIXELS, As, Images, Masks, MaxPixels
from aucseg.cli.printing import name_cell, name_column
from aucseg.cli.runs import ComputeMode, Profile, SetOption, StartOption, say_guess, stoppable, value_of
from aucseg.data.reading import allow_pixels
from aucseg.errors import OptionError

if TYPE_CHECKING:
    from aucseg.experiments import Results


def compare(
    dataset: Annotated[str, typer.Argument(metavar="FOLDER", help="Data set: its folder, or its name.")],
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods with commas between; the others are compared with the first. If not given, "
            "cross_entropy, auc, and aucseg where a class is tail."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many runs of each method.")] = 3,
    profile: Annotated[Profile, typer.Option(help="Size of the runs.")] = Profile.laptop,
    start: StartOption = None,
    images: Images = None,
    masks: Masks = None,
    settings: SetOption = None,
    compute: Annotated[ComputeMode, typer.Option(help="Which runs to train.")] = ComputeMode.missing,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the report; reports/<data set> if not given.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    max_pixels: MaxPixels = MOST_PIXELS,
) -> None:
    """Train several methods with several seeds, and write a report with intervals.

    Run it again to go on where it was stopped: a finished run is not trained twice. Methods are
    cross_entropy, auc, bank, aucseg, copy_paste, and every loss of `aucseg config --loss`.
    """
    with allow_pixels(max_pixels):
        if (images is None) != (masks is None):
            raise OptionError("give patterns for images and masks, or for neither")
        from aucseg.experiments import RecordStore, Results, comparison
        from aucseg.experiments.comparing import DEFAULT_METHODS, fitting_methods
        from aucseg.plots.report import check_report_folder, comparison_report
        from aucseg.training import SegmentationDataModule

        patterns = {} if images is None else {"data": {"images": images, "masks": masks}}
        named = None if methods is None else [name.strip() for name in methods.split(",")]
        experiment = comparison(named or DEFAULT_METHODS, patterns, settings or ())
        name, root = (dataset, None) if images is None else ("folder", dataset)
        folder = output or Path("reports") / (
            Path(dataset).resolve().name if Path(dataset).exists() else dataset
        )
        check_report_folder(folder)  # before hours of training
        say_guess(name, root)
        planned = experiment.runs(name, profile.value, range(seeds), root=root, start=value_of(start))
        if compute is not ComputeMode.never:
            tail = SegmentationDataModule(planned[0].config).classes.tail
            fitting = fitting_methods(named, tail, dataset)
            if len(fitting) < len(experiment.arms):
                typer.echo(
                    f"no class of {dataset} is tail: compared are {' and '.join(fitting)}, without a bank"
                )
                experiment = comparison(fitting, patterns, settings or ())
                planned = experiment.runs(name, profile.value, range(seeds), root=root, start=value_of(start))
        with stoppable():
            RecordStore().ensure(
                [run.config for run in planned],
                compute=compute.value,
                progress=not quiet,
                report=lambda line: typer.echo(line),
            )
        results = Results(
            experiment, name, profile.value, range(seeds), "never", root=root, start=value_of(start)
        )
        page = comparison_report(results, folder)
        _print_results(results)
        typer.echo(f"report  {page}")


def advise(
    dataset: Annotated[str, typer.Argument(metavar="FOLDER", help="Data set: its folder, or its name.")],
    split: Annotated[str | None, typer.Option(help="Split that is trained on.")] = None,
    kind: As = None,
    images: Images = None,
    masks: Masks = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images in a training step.")] = 8,
    max_pixels: MaxPixels = MOST_PIXELS,
) -> None:
    """Say what kind of tail a data set has, and what the recorded runs say about methods for it."""
    with allow_pixels(max_pixels):
        from rich.console import Console
        from rich.table import Table

        from aucseg.cli.data import known_of, locate
        from aucseg.experiments.advice import advise as advice_for

        located = locate(dataset, images=images, masks=masks, kind=kind, train_split=split)
        advice = advice_for(known_of(located, split).tally, batch_size)
        if advice.classes.empty:
            typer.echo(
                f"No class is tail by {located.partition.source}: cross entropy is what to begin with."
            )
            return
        typer.echo(f"Tail by {located.partition.source}.")
        table = Table(
            name_column("tail class"),
            "of the pixels",
            "in images",
            f"missed by a batch of {batch_size}",
            "kind",
        )
        for row in advice.classes.itertuples():
            shares = (f"{100 * x:.2f}%" for x in (row.pixel_share, row.image_share, row.missed))
            table.add_row(name_cell(row[1]), *shares, row.kind)
        Console().print(table)
        for finding in advice.findings:
            typer.echo(f"\n{finding.about}: {finding.verdict.word} ({finding.chapter})")
            for line in finding.measured:
                typer.echo(f"  {line}")
        if not paths.records().is_dir():
            typer.echo(
                f"\nNo recorded runs in {paths.records()}: they come with the repository; run this inside a "
                "clone, or set AUCSEG_HOME to one."
            )
        typer.echo(
            "\nThese are runs on other data. Whether it holds on yours:\n"
            f"  aucseg compare {shlex.quote(dataset)} --methods {','.join(advice.methods)}"
        )


def _print_results(results: Results) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from aucseg.experiments import in_words

    base = results.experiment.baseline
    summary = results.summary.set_index(["arm", "metric"])
    table = Table("percent", "mIoU", "tail", f"tail, less {results.labels[base]}")
    for arm, label in results.labels.items():
        cells = []
        for metric in ("mIoU", "mIoU_tail"):
            if (arm, metric) in summary.index:
                mean, half = summary.loc[(arm, metric), ["mean", "half"]]
                cells.append(f"{mean:.2f}" if half != half else f"{mean:.2f} ± {half:.2f}")
            else:
                cells.append("–")
        table.add_row(Text(label), *cells, "" if arm == base else in_words(results.difference(arm, base)))
    Console().print(table)
