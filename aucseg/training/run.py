"""``train(config) -> Record``: one run from start to end."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, ProgressBar

from aucseg import paths
from aucseg.data.files import probe_folder
from aucseg.training.bank import foretell_cover
from aucseg.training.checkpoint import (
    FRESH,
    AtomicCheckpointIO,
    CheckpointError,
    best_path,
    class_changes,
    clear,
    clear_parts,
    data_changes,
    first_stage,
    items_changed,
    latest_checkpoint,
    load_module,
    load_weights,
    tell_pairs,
)
from aucseg.training.claim import claim
from aucseg.training.config import CHECKPOINT, FirstStageConfig, RunConfig
from aucseg.training.curves import Curves
from aucseg.training.datamodule import SegmentationDataModule
from aucseg.training.devices import cluster_environment
from aucseg.training.module import SegmentationModule
from aucseg.training.progress import progress_bar
from aucseg.training.record import Record, environment
from aucseg.training.section import ConfigError, Section, map_sections
from aucseg.training.splits import DataConfig
from aucseg.training.stop import Stop
from aucseg.training.validation import Validation

_log = logging.getLogger("aucseg")
_NAMED = 8  # classes in a line

# Lightning's advice that does not apply here: workers are the user's choice, the loop logs by itself.
_ADVICE = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*GPU available but not used.*",
    ".*`srun` command is available on your system but is not used.*",
    ".*`isinstance.treespec, LeafSpec.` is deprecated.*",
    ".*You're resuming from a checkpoint that ended before the epoch ended.*",
    ".*callbacks used to create the checkpoint need to be provided.*",  # another checkpoint_every
)


def run_folder(config: RunConfig) -> Path:
    """Where the checkpoint of a run lies: ``runs/<identity>``."""
    return paths.runs() / config.identity


def checkpoint_path(config: RunConfig, folder: str | Path | None = None) -> Path:
    """The checkpoint file of a run, whether or not it exists.

    Args:
        config: the run.
        folder: its folder, ``runs/<identity>`` by default.
    """
    return (paths.expand(folder) if folder else run_folder(config)) / CHECKPOINT


def train(
    config: RunConfig,
    folder: str | Path | None = None,
    *,
    resume: bool = True,
    progress: bool = True,
    callbacks: tuple[Callback, ...] = (),
    recorded: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = _log.warning,
) -> Record:
    """Train and evaluate one configuration.

    Where pastes of the bank would cover more of the images than its budget, or than 5% without one, that is
    reported before anything is trained. Where another process trains the run at the moment, this one waits,
    and takes up what is there then. Ctrl-C and
    SIGTERM end it after the step that is under way, with a checkpoint of it.

    Args:
        config: the run.
        folder: where its checkpoint goes, ``runs/<identity>`` by default.
        resume: take up a checkpoint that lies there; ``False`` starts anew.
        progress: show a progress bar, or lines where no bar can move.
        callbacks: more Lightning callbacks.
        recorded: what a record of this run says of its data, :attr:`Record.dataset`: other data are refused.
        report: called with a line where there is something to say.

    Returns:
        The record. Writing it to the store is the caller's business; see
        :meth:`aucseg.experiments.RecordStore.train`.

    Raises:
        ConfigError: if data or model cannot be built as configured, or not on this machine.
        DataError: if files of the data set are missing or wrong, or the folder cannot be written to.
        CheckpointError: if the folder holds a checkpoint of another run or of other data, or only a damaged
            one; or if the run starts from another one's and that cannot be used.
        TrainingDiverged: if the loss becomes infinite or NaN.
        TrainingStopped: after a signal.
    """
    config.check_data()
    config = config.pinned()
    path = checkpoint_path(config, folder)
    with claim(path.parent, report=report):
        return _train(config, path, resume, progress, callbacks, recorded, report)


def _train(
    config: RunConfig,
    path: Path,
    resume: bool,
    progress: bool,
    callbacks: tuple[Callback, ...],
    recorded: Mapping[str, Any] | None,
    report: Callable[[str], None],
) -> Record:
    probe_folder(path.parent)
    clear_parts(path)
    data = SegmentationDataModule(config)
    described = data.describe()  # opens both splits: what is missing shows now and not after the training
    if pairs := described.get("flip_pairs"):
        report(f"a flip swaps {tell_pairs(pairs)}; data.flip_pairs chooses other pairs, or none")
    left = latest_checkpoint(path, config, report) if resume else None
    for source, before in (("the record of this run", recorded), (str(path), left and _trained_on(left[1]))):
        if before and (told := data_changes(before, described)) is not None:
            raise CheckpointError(f"{source} was made from other data: {told}", remedy=FRESH)
    first = first_stage(config, data.classes) if left is None else None
    if first is not None:
        report(f"starts from the network of {first.path}")
    module, curves, files = SegmentationModule(config, data.classes, first), Curves(), AtomicCheckpointIO()
    module.trained_on = described
    if config.bank is not None:
        told = foretell_cover(config.bank, data.classes, config.data.batch_size)
        if told is not None:
            report(told)
    for told in data.notices():
        report(told)
    module.check_step()
    stop = Stop(path, files, report)
    saver = ModelCheckpoint(
        dirpath=path.parent,
        filename=path.stem,
        every_n_train_steps=config.checkpoint_every,
        save_top_k=1,
        monitor=None,
        enable_version_counter=False,
    )
    steps = config.optim.steps
    looking = [] if config.evaluation.every is None else [Validation(data, path, curves, report)]
    trainer = _trainer(config, progress, [curves, *looking, *callbacks, stop, saver], steps, files, report)
    on_gpu = trainer.strategy.root_device.type == "cuda"
    probe_folder(path.parent, 2 * _checkpoint_bytes(module))
    if left is not None:
        load_weights(module, left[1], left[0])
        files.ready(*left)
        done = left[1]["global_step"]
        report(
            f"all {steps} steps are done: {left[0]} is evaluated"
            if done == steps
            else f"goes on after step {done} of {steps}, from {left[0]}"
        )
    if not resume:
        clear(path, last=True)  # not before: wrong data must not cost a finished run its weights
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with stop, _without_advice(), _memory_told():
        trainer.fit(module, datamodule=data, ckpt_path=left and left[0], weights_only=True)
        stop.check()
        seconds = curves.seconds
        if files.step != trainer.global_step or not path.exists():
            trainer.save_checkpoint(path)
        made = trainer.global_step
        metrics = _evaluate(trainer, module, data, report if progress else None, report)
        validation = None
        for validated in looking:
            best = None
            if validated.best is not None and validated.best[0] != made:
                best = _evaluate(trainer, load_module(best_path(path)), data, None, lambda line: None)
            validation = validated.summary(metrics, made, best)
    facts = environment()
    facts["hardware"] |= {"device": trainer.strategy.root_device.type, "precision": trainer.precision}
    return Record(
        identity=config.identity,
        config=map_sections(config.resolved(), _shareable).model_dump(mode="json"),
        profile=config.profile,
        dataset=described,
        metrics=metrics,
        history=curves.history,
        validation=validation,
        bank=_bank_summary(module),
        timing={"seconds_total": seconds, "seconds_per_step": curves.seconds_per_step},
        peak_memory_bytes=_peak_memory(on_gpu),
        **facts,
    )


def evaluate(
    checkpoint: str | Path,
    *,
    split: str | None = None,
    root: str | Path | None = None,
    progress: bool = True,
    report: Callable[[str], None] = _log.warning,
    observe: Callable[[SegmentationModule], object] = lambda module: None,
) -> dict[str, Any]:
    """Metrics of a trained network on a split, as in :attr:`Record.metrics`.

    The machine need not be one like that of the training.

    Args:
        checkpoint: file written by :func:`train`.
        split: another split than the one configured.
        root: folder of the data set, if it lies elsewhere than configured, or has changed.
        progress: show a progress bar, or lines where no bar can move.
        report: called with a line where there is something to say.
        observe: called with the network when all is counted; ``module.iou.confusion`` holds its confusions,
            (K,K) with labels in rows.

    Raises:
        CheckpointError: if the file cannot be used, the data have other classes or the same in another order,
            or, where neither a split nor a folder is named, other images or masks.
        ConfigError: if the data cannot be had as configured.
        DataError: if files of the data set are missing or wrong.
    """
    module = load_module(checkpoint)
    config = module.config.with_(device="auto", precision=_possible(module.config.precision))
    if split is not None:
        config = config.with_(data__eval_split=split)
    if root is not None:
        config = config.with_(data__root=paths.expand(root))
    data = SegmentationDataModule(config)
    told = class_changes(module.spec.names, data.eval_set.spec.names)
    remedy = "correct the data, or evaluate a network that was trained on them"
    if told is None and split is None and root is None:
        found = (module.trained_on or {}).get("eval_fingerprint")
        if found not in (None, data.eval_set.fingerprint()):
            told = items_changed(config.data.eval_split)
            remedy = "name their folder with --root to evaluate on what is there now"
    if told is not None:
        raise CheckpointError(f"was trained on other data: {told}", file=checkpoint, remedy=remedy)
    trainer = _trainer(config, progress, [], 1, report=report)
    with Stop(None, AtomicCheckpointIO(), report), _without_advice(), _memory_told():
        metrics = _evaluate(trainer, module, data, report if progress else None, report)
    observe(module)
    return metrics


def _trained_on(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its data; one of an earlier version knows the classes alone."""
    state = content["aucseg"]
    spec = {"classes": state["spec"]["names"], "groups": state["spec"]["groups"]}
    return spec | (state.get("dataset") or {})


def _possible(precision: str) -> str:
    return "auto" if precision == "16-mixed" and not torch.cuda.is_available() else precision


def _trainer(
    config: RunConfig,
    progress: bool,
    callbacks: list[Callback],
    steps: int,
    files: AtomicCheckpointIO | None = None,
    report: Callable[[str], None] = _log.warning,
) -> Trainer:
    cuda = torch.cuda.is_available()
    if config.device == "cuda" and not cuda:
        raise ConfigError(
            "device is 'cuda', and PyTorch finds no GPU here",
            remedy="set device to auto or cpu, or install a driver and a PyTorch that fit",
        )
    on_gpu = cuda and config.device != "cpu"
    precision = config.precision
    if precision == "auto":
        precision = "bf16-mixed" if on_gpu else "32-true"
    if precision == "16-mixed" and not on_gpu:
        raise ConfigError("precision '16-mixed' needs a GPU", remedy="use auto, 32-true or bf16-mixed")
    if progress:
        callbacks = [*callbacks, progress_bar(report)]
    with _without_advice():
        return Trainer(
            accelerator="gpu" if on_gpu else "cpu",
            devices=1,
            precision=precision,
            max_steps=steps,
            max_epochs=-1,
            gradient_clip_val=config.optim.clip_norm,
            callbacks=callbacks,
            plugins=[files or AtomicCheckpointIO(), cluster_environment()],
            logger=False,
            enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
            enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the sampler knows rank and step itself
            inference_mode=True,
        )


def _evaluate(
    trainer: Trainer,
    module: SegmentationModule,
    data: SegmentationDataModule,
    report: Callable[[str], None] | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    module.reset_metrics()
    trainer.test(module, datamodule=data, verbose=False)
    metrics = module.figures()
    absent = [name for name, value in metrics["accuracy"].items() if value is None]
    if absent:
        named = f"{', '.join(absent[:_NAMED])}{', ...' if len(absent) > _NAMED else ''}"
        say(
            f"split {data.config.data.eval_split!r} has no pixel of {named}: the means of head, middle and "
            f"tail are without {'it' if len(absent) == 1 else 'them'}"
        )
    if report is not None:
        means = {key: metrics[key] for key in ("mIoU", "mIoU_tail")}
        told = [f"{key} {100 * mean:.2f}" for key, mean in means.items() if isinstance(mean, float)]
        report(f"split {data.config.data.eval_split!r}: {', '.join(told) or 'no labelled pixel'}")
    return metrics


def _shareable(section: Section) -> Section:
    return section.shareable() if isinstance(section, DataConfig | FirstStageConfig) else section


def _bank_summary(module: SegmentationModule) -> dict[str, Any] | None:
    if module.bank is None:
        return None
    names = module.spec.names
    bank = module.bank
    summary: dict[str, Any] = {"entries": {names[c]: n for c, n in bank.sizes().items()}}
    summary |= {key: {names[c]: n for c, n in counts.items()} for key, counts in bank.stats().items()}
    summary["covered"] = bank.covered()
    summary["ages"] = {names[c]: ages for c, ages in bank.ages().items()}
    return summary | {"bytes": bank.nbytes()}


def _checkpoint_bytes(module: SegmentationModule) -> int:
    """About as much as a checkpoint takes: weights, and two moments of each that is trained."""
    tensors = [(t, 3 if t.requires_grad else 1) for t in (*module.parameters(), *module.buffers())]
    return sum(times * t.numel() * t.element_size() for t, times in tensors)


def _peak_memory(on_gpu: bool) -> int:
    if on_gpu:
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@contextmanager
def _memory_told() -> Iterator[None]:
    """A GPU whose memory is full is no bug."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            f"the memory of the GPU is full ({str(error).splitlines()[0]})",
            remedy="lower data.batch_size, data.crop_size or data.eval_batch_size",
        ) from error


@contextmanager
def _without_advice() -> Iterator[None]:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)  # which devices exist, and what else one could install
    try:
        with warnings.catch_warnings():
            for message in _ADVICE:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.setLevel(level)
