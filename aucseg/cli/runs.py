"""Commands about one run: make a configuration, train, evaluate, predict."""

from __future__ import annotations

import ast
import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import typer

import aucseg
from aucseg.cli.options import MOST_PIXELS, MaxPixels, ValueRange
from aucseg.cli.printing import print_metrics
from aucseg.data.reading import allow_pixels
from aucseg.errors import OptionError, did_you_mean, file_errors

# PyTorch, Lightning and the networks take seconds: a command imports them once its words are right.


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
        help="What encoders start from. If not given, the profile's own network from random weights; on a "
        "folder ImageNet weights, where the extra pretrained is installed."
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(help="First weights of the encoders: a file, 'package' or 'imagenet'. Random if not given."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A key of the configuration, as optim.steps=600."),
]


def config(
    dataset: DatasetOption = "streets",
    profile: ProfileOption = Profile.laptop,
    experiment: Annotated[str | None, typer.Option(help="Experiment of the catalogue.")] = None,
    arm: Annotated[str | None, typer.Option(help="Arm of the experiment.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    root: RootOption = None,
    start: StartOption = None,
    loss: Annotated[str | None, typer.Option(help="Another loss, at its defaults.")] = None,
    no_bank: Annotated[bool, typer.Option("--no-bank", help="No memory bank.")] = False,
    encoder_weights: WeightsOption = None,
    settings: SetOption = None,
) -> None:
    """Print a complete configuration as YAML, ready for `aucseg train`.

    For images and masks of one's own, `laptop` and `gpu` are computed from what is in the folder; comments
    say how.
    """
    if (experiment is None) != (arm is None):
        raise typer.BadParameter("give both --experiment and --arm, or neither")
    if experiment is not None:
        check_experiment(experiment)
    from aucseg.experiments import explain_config, get_experiment, make_config

    say_guess(dataset, root)
    if experiment is not None and arm is not None:
        made = get_experiment(experiment).config(
            arm,
            dataset,
            profile.value,
            seed=seed,
            root=root,
            start=value_of(start),
            encoder_weights=encoder_weights,
        )
    else:
        made = make_config(
            dataset, profile.value, seed=seed, root=root, start=value_of(start), data=_asked(settings)
        )
        if encoder_weights is not None:
            made = made.with_(model__encoder_weights=encoder_weights)
    if loss is not None:
        made = made.with_(loss__name=loss)
    if no_bank:
        made = made.with_(bank=None)
    told = explain_config(dataset, profile.value, root=root, start=value_of(start), data=_asked(settings))
    for line in told:
        typer.echo(f"# {line}")
    typer.echo(made.with_settings(settings or ()).to_yaml(), nl=False)


def _asked(settings: list[str] | None) -> dict[str, str]:
    """Splits and patterns among the settings: what a profile is computed from."""
    named = (setting.partition("=") for setting in settings or ())
    keys = {f"data.{key}": key for key in ("images", "masks", "train_split", "eval_split")}
    return {keys[key]: value for key, _, value in named if key in keys}


def train(
    configuration: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="See `aucseg config`.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where the checkpoint goes; runs/<identity> if not given.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, even where a checkpoint lies.")] = False,
    settings: SetOption = None,
    loggers: Annotated[
        list[str] | None,
        typer.Option("--logger", help="csv, tensorboard, wandb or mlflow; repeat for several."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Train one configuration, evaluate it and record it. Run it again to resume a stopped run."""
    from aucseg.experiments import RecordStore
    from aucseg.training import RunConfig, checkpoint_path
    from aucseg.training.devices import is_first

    run = RunConfig.from_yaml(configuration).with_settings(settings or ()).pinned()
    store = RecordStore()
    with stoppable():
        record = store.train(
            run,
            folder,
            resume=not fresh,
            progress=not quiet,
            report=typer.echo,
            loggers=tuple(loggers or ()),
        )
    if is_first():  # of several processes
        print_metrics(record.metrics)
        typer.echo(f"record      {store.path(run)}\ncheckpoint  {checkpoint_path(run, folder)}")


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Written by `aucseg train`.")],
    split: Annotated[str | None, typer.Option(help="Another split than the configured one.")] = None,
    root: RootOption = None,
    against: Annotated[
        Path | None, typer.Option(help="Another checkpoint: what each class gains or loses against it.")
    ] = None,
    confusion: Annotated[
        Path | None, typer.Option(help="A PNG, PDF or SVG that shows what each class is taken for.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a picture that is there.")] = False,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            help="Another decision rule than the argmax, kept as a record of its own; repeatable. rankseg, "
            "rankseg_all, or fitted on the split val: temperature, prior, offsets.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Per-class IoU and head, middle and tail means of a trained network."""
    if rules:
        if split is not None or against is not None or confusion is not None:
            raise OptionError(
                "--rule goes with --root and --json alone, not with --split, --against, --confusion"
            )
        _evaluate_by_rules(checkpoint, rules, root, as_json)
        return
    if confusion is not None:
        if confusion.suffix.lower() not in (".png", ".pdf", ".svg"):
            raise OptionError(f"--confusion is a .png, .pdf or .svg, got {confusion}")
        if confusion.exists() and not overwrite:
            raise OptionError("is there already", file=confusion, remedy="name another, or give --overwrite")
    from aucseg.training import SegmentationModule
    from aucseg.training import evaluate as evaluate_checkpoint

    def draw(module: SegmentationModule) -> None:
        from aucseg.plots import confusion_heatmap, use_style

        if confusion is not None:
            use_style()
            figure = confusion_heatmap(module.iou.confusion.cpu().numpy(), module.spec.names)
            with file_errors(confusion, "cannot be written"):
                confusion.parent.mkdir(parents=True, exist_ok=True)
                figure.savefig(confusion)

    report = partial(typer.echo, err=True)
    options: dict[str, Any] = {"split": split, "root": root, "progress": not as_json, "report": report}
    with stoppable():
        other = None if against is None else evaluate_checkpoint(against, **options)
        metrics = evaluate_checkpoint(checkpoint, observe=draw, **options)
    if other is not None and list(other["iou"]) != list(metrics["iou"]):
        raise OptionError("has other classes", file=against, remedy="compare networks of one label set")
    if as_json:
        content = metrics if other is None else {"metrics": metrics, "against": other}
        typer.echo(json.dumps(content, indent=1))
    else:
        print_metrics(metrics, other)


def _evaluate_by_rules(checkpoint: Path, rules: list[str], root: str | None, as_json: bool) -> None:
    from aucseg.experiments import decide

    found = decide(checkpoint, rules, root=root, report=partial(typer.echo, err=True))
    written = [decision.write() for decision in found]
    if as_json:
        typer.echo(json.dumps({decision.rule: decision.metrics for decision in found}, indent=1))
        return
    for decision, path in zip(found, written, strict=True):
        typer.echo(f"rule        {decision.rule}")
        print_metrics(decision.metrics)
        typer.echo(f"record      {path}")


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
    import torch

    from aucseg.training import load_module, plan_predictions, write_predictions

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


def say_guess(dataset: str, root: object = None) -> None:
    """Say on standard error what a folder is taken for, where that is a guess.

    Args:
        dataset: what the user gave: a name or a folder.
        root: the folder, if a name was given with one; then nothing is guessed.
    """
    if root is None and Path(dataset).is_dir():
        from aucseg.cli.data import locate

        locate(dataset)


def check_experiment(name: str) -> None:
    """Refuse an unknown experiment by the names in the sources, before seconds are spent on imports.

    Args:
        name: what the user gave.

    Raises:
        OptionError: if there is no such experiment.
    """
    known: list[str] = []
    patterns: list[str] = []
    for file in sorted((Path(aucseg.__file__).parent / "experiments" / "catalogue").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Experiment":
                for word in node.keywords:
                    if word.arg == "name" and isinstance(word.value, ast.Constant):
                        known.append(str(word.value.value))
                    elif word.arg == "name":
                        patterns.append(_pattern(word.value))
    if name not in known and not any(re.fullmatch(pattern, name) for pattern in patterns):
        raise OptionError(f"unknown experiment {name!r}", remedy=did_you_mean(name, known))


def _pattern(value: ast.expr) -> str:
    """What a name may be that is put together, f"parts_{here}": the catalogue itself knows better."""
    parts = value.values if isinstance(value, ast.JoinedStr) else [value]
    texts = (re.escape(str(p.value)) if isinstance(p, ast.Constant) else r"\w+" for p in parts)
    return "".join(texts)


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGUSR1: say how to go on, and end as programs do.

    In a job of Slurm SIGUSR1 is the word that its time is nearly over: the job is queued again.
    """
    from aucseg.engines.slurm import SlurmError, requeue
    from aucseg.training import TrainingStopped

    def stop(number: int, frame: FrameType | None) -> None:
        raise TrainingStopped("stopped between two trainings", number)

    late = getattr(signal, "SIGUSR1", None)
    main = threading.current_thread() is threading.main_thread()
    before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, late) if n is not None and main}
    try:
        yield
    except TrainingStopped as stopped:
        typer.echo(str(stopped), err=True)
        try:
            if stopped.signum == late and requeue():
                typer.echo("this job of Slurm is queued again", err=True)
        except SlurmError as error:
            typer.echo(str(error), err=True)
        raise typer.Exit(stopped.exit_code) from None
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def value_of(start: Start | None) -> Literal["random", "imagenet"] | None:
    """A start as functions take it."""
    return None if start is None else start.value
