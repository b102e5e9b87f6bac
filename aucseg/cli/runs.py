"""Commands about runs: make a configuration, train, evaluate, predict, and fill a whole table."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console
from rich.table import Table

from aucseg.cli.options import MOST_PIXELS, MaxPixels, ValueRange
from aucseg.data.reading import allow_pixels
from aucseg.experiments import RecordStore, get_experiment, make_config
from aucseg.plots import GROUP_SUFFIXES
from aucseg.training import RunConfig, checkpoint_path, load_module, plan_predictions, write_predictions
from aucseg.training import evaluate as evaluate_checkpoint
from aucseg.training import train as train_run


class Profile(StrEnum):
    """Size of an experiment."""

    smoke = "smoke"
    laptop = "laptop"
    gpu = "gpu"
    paper = "paper"


class Start(StrEnum):
    """What encoders start from."""

    random = "random"
    imagenet = "imagenet"


class ComputeMode(StrEnum):
    """What to do with runs that have, or have not, a record."""

    missing = "missing"
    never = "never"
    always = "always"


DatasetOption = Annotated[str, typer.Option(help="Data set: its name, or its folder.")]
ProfileOption = Annotated[Profile, typer.Option(help="Size of the experiment.")]
RootOption = Annotated[str | None, typer.Option(help="Folder of the data set.")]
StartOption = Annotated[
    Start | None,
    typer.Option(
        help="What encoders start from. If not given, the profile's own network from random weights."
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(help="First weights of the encoders: a file, 'package' or 'imagenet'. Random if not given."),
]
SeedsOption = Annotated[list[int] | None, typer.Option("--seed", help="A seed; repeat for several.")]


def config(
    dataset: DatasetOption = "streets",
    profile: ProfileOption = Profile.laptop,
    experiment: Annotated[str | None, typer.Option(help="Experiment of the catalogue.")] = None,
    arm: Annotated[str | None, typer.Option(help="Arm of the experiment.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    root: RootOption = None,
    start: StartOption = None,
    encoder_weights: WeightsOption = None,
) -> None:
    """Print a complete configuration as YAML, ready for `aucseg train`."""
    if experiment is not None and arm is not None:
        made = get_experiment(experiment).config(
            arm,
            dataset,
            profile.value,
            seed=seed,
            root=root,
            start=_value(start),
            encoder_weights=encoder_weights,
        )
    elif experiment is None and arm is None:
        made = make_config(dataset, profile.value, seed=seed, root=root, start=_value(start))
        if encoder_weights is not None:
            made = made.with_(model__encoder_weights=encoder_weights)
    else:
        raise typer.BadParameter("give both --experiment and --arm, or neither")
    typer.echo(made.to_yaml(), nl=False)


def train(
    configuration: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="See `aucseg config`.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where the checkpoint goes; runs/<identity> if not given.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, even where a checkpoint lies.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train one configuration, evaluate it and record it. Run it again to resume a stopped run."""
    run = RunConfig.from_yaml(configuration)
    record = train_run(run, folder, resume=not fresh, progress=not quiet)
    path = RecordStore().put(record)
    _print_metrics(record.metrics)
    typer.echo(f"record      {path}\ncheckpoint  {checkpoint_path(run, folder)}")


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Written by `aucseg train`.")],
    split: Annotated[str | None, typer.Option(help="Another split than the configured one.")] = None,
    root: RootOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Per-class IoU and head, middle and tail means of a trained network."""
    metrics = evaluate_checkpoint(checkpoint, split=split, root=root, progress=not as_json)
    if as_json:
        typer.echo(json.dumps(metrics, indent=1))
    else:
        _print_metrics(metrics)


def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files, and folders of them.")],
    checkpoint: Annotated[Path, typer.Option(help="Written by `aucseg train`.")],
    output: Annotated[Path, typer.Option(help="Folder for the masks.")] = Path("predictions"),
    with_overlay: Annotated[
        bool, typer.Option("--overlay", help="Also write the mask over the image, NAME_overlay.png.")
    ] = False,
    with_colors: Annotated[
        bool, typer.Option("--colors", help="Also write the classes' colours as a picture, NAME_colors.png.")
    ] = False,
    gray: Annotated[
        bool, typer.Option("--gray", help="Masks without a palette, which OpenCV would read as colours.")
    ] = False,
    recursive: Annotated[bool, typer.Option(help="Take a folder's subfolders too, and keep them.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out images that cannot be read.")
    ] = False,
    value_range: ValueRange = None,
    max_pixels: MaxPixels = MOST_PIXELS,
) -> None:
    """Write a mask of train ids, with the classes' colours as palette, for each image.

    Images are resized to the size the network was trained at and looked at as the configuration evaluates;
    masks have the images' own size. All images are read before the first mask is written; exit code 1 if one
    was left out.
    """
    module = load_module(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu")
    with allow_pixels(max_pixels):
        plan = plan_predictions(
            images,
            output,
            with_overlay=with_overlay,
            with_colors=with_colors,
            recursive=recursive,
            overwrite=overwrite,
            skip_bad=skip_bad,
            value_range=value_range,
        )
        if plan.passed_over:
            told = ", ".join(f"{count} {ending}" for ending, count in sorted(plan.passed_over.items()))
            typer.echo(f"passed over, for their endings: {told}", err=True)
        for problem in plan.problems:
            typer.echo(f"left out: {problem}", err=True)
        for path in write_predictions(module, plan, palette=not gray):
            typer.echo(str(path))
    if plan.problems:
        raise typer.Exit(1)


def sweep(
    experiment: Annotated[str, typer.Argument(help="Experiment of the catalogue.")],
    dataset: DatasetOption = "streets",
    profile: ProfileOption = Profile.laptop,
    seeds: SeedsOption = None,
    compute: Annotated[ComputeMode, typer.Option(help="Which runs to train.")] = ComputeMode.missing,
    root: RootOption = None,
    start: StartOption = None,
    encoder_weights: WeightsOption = None,
    evaluate_again: Annotated[
        bool, typer.Option("--evaluate-again", help="Evaluate finished runs anew, from their checkpoints.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
) -> None:
    """Train the runs that a table needs and that have no record yet."""
    runs = get_experiment(experiment).runs(
        dataset,
        profile.value,
        seeds or [0],
        root=root,
        start=_value(start),
        encoder_weights=encoder_weights,
    )
    configs = [run.config for run in runs]
    store = RecordStore()
    if evaluate_again:
        for config in configs:
            record = store.evaluate_again(config, progress=not quiet)
            state = "no record or no checkpoint here" if record is None else "evaluated"
            typer.echo(f"{config.name} seed {config.seed} ({config.identity}): {state}")
        return
    store.ensure(configs, compute=compute.value, progress=not quiet, report=typer.echo)


def _value(start: Start | None) -> Literal["random", "imagenet"] | None:
    return None if start is None else start.value


def _print_metrics(metrics: dict[str, object]) -> None:
    def percent(value: object) -> str:
        return f"{100 * value:.2f}" if isinstance(value, float) else "–"

    table = Table("percent", "mIoU", "AUC of softmax", "AUC of sigmoid")
    for group, label in GROUP_SUFFIXES.items():
        keys = (metric + group for metric in ("mIoU", "auc_softmax", "auc_sigmoid"))
        table.add_row(label, *(percent(metrics.get(key)) for key in keys))
    table.add_section()
    iou = metrics["iou"]
    for name, value in iou.items() if isinstance(iou, dict) else ():
        table.add_row(name, percent(value))
    Console().print(table)
