"""``train(config) -> Record``: one run from start to end."""

from __future__ import annotations

import gc
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
from aucseg.training.claims import Claim, claim
from aucseg.training.config import CHECKPOINT, FirstStageConfig, RunConfig
from aucseg.training.curves import Curves
from aucseg.training.datamodule import SegmentationDataModule
from aucseg.training.devices import (
    Ranks,
    cluster_environment,
    first_before_others,
    is_first,
    make_strategy,
    of_all_ranks,
    plan_ranks,
    ranks_told,
    start,
    sync_plugins,
    told_differences,
)
from aucseg.training.loggers import Logged, check_loggers
from aucseg.training.module import SegmentationModule
from aucseg.training.progress import Pulse, progress_bar
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
    ".*recommended to use `Trainer\\(devices=1.*",  # no image is counted twice: no sampler pads
    ".*find_unused_parameters=True was specified.*",
    ".*smaller than the logging interval.*",  # curves are sent when they are known
    ".*The dirpath has changed from.*",  # a folder of runs was moved: its checkpoints are found by name
    ".*Experiment logs directory .* exists and is not empty.*",  # all rows are written again
)


_TALKATIVE = ("lightning.pytorch", "lightning.fabric.utilities.distributed")

# Where Linux keeps the peak of a process: https://www.kernel.org/doc/html/latest/filesystems/proc.html
_STATUS, _CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_STATUS_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


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
    loggers: tuple[str, ...] = (),
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
        loggers: names of Lightning's loggers that curves and predictions are sent to:
            :data:`aucseg.training.loggers.LOGGERS`.

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
    check_loggers(loggers)
    config.check_data()
    config = config.pinned()
    path = checkpoint_path(config, folder)
    if not is_first():
        progress, report = False, _say_nothing
    with claim(path.parent, report=report) as mine:
        try:
            return _train(config, path, mine, resume, progress, callbacks, recorded, report, loggers)
        finally:  # trainer, network and metrics hold each other: Python would let them pile up, run by run
            gc.collect()


def _say_nothing(line: str) -> None:
    """Rank 0 has said it."""


def _train(
    config: RunConfig,
    path: Path,
    mine: Claim,
    resume: bool,
    progress: bool,
    callbacks: tuple[Callback, ...],
    recorded: Mapping[str, Any] | None,
    report: Callable[[str], None],
    loggers: tuple[str, ...],
) -> Record:
    if is_first():
        probe_folder(path.parent)
        clear_parts(path)
    data = SegmentationDataModule(config)
    curves, files = Curves(), AtomicCheckpointIO(mine.check)
    stop = Stop(path, files, report, rank_timeout=config.rank_timeout)
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
    sent = [Logged(loggers, data, curves, next(iter(looking), None), path.parent)] if loggers else []
    inside = [curves, Pulse(mine), *looking, *sent, *callbacks, stop, saver]
    trainer, ranks, synced = _trainer(config, progress, inside, steps, files, report)
    first = trainer.is_global_zero
    on_gpu = trainer.strategy.root_device.type == "cuda"

    def where() -> str:
        saved = files.step if first else None
        return f"{path} has step {saved}" if saved else "the same command goes on from the last checkpoint"

    with stop, _without_advice(), _memory_told(), ranks_told(trainer, where):
        start(trainer, config, report)
        with first_before_others(trainer):
            described = data.describe()  # opens both splits: what is missing shows before the training
            if pairs := described.get("flip_pairs"):
                report(f"a flip swaps {tell_pairs(pairs)}; data.flip_pairs chooses other pairs, or none")
            left = latest_checkpoint(path, config, report) if resume else None
            before_and_now = (
                ("the record of this run", recorded),
                (str(path), left and _trained_on(left[1])),
            )
            for source, before in before_and_now:
                if before and (told := data_changes(before, described)) is not None:
                    raise CheckpointError(f"{source} was made from other data: {told}", remedy=FRESH)
            stage = first_stage(config, data.classes) if left is None else None
            if stage is not None:
                report(f"starts from the network of {stage.path}")
            module = SegmentationModule(config, data.classes, stage)
            module.trained_on = described
            if config.bank is not None:
                told = foretell_cover(config.bank, data.classes, config.data.batch_size)
                if told is not None:
                    report(told)
            for told in data.notices():
                report(told)
            module.check_step()
            for line in told_differences(config, ranks, module.model, synced=synced):
                report(line)
            if first:
                probe_folder(path.parent, 2 * _checkpoint_bytes(module))
            if left is not None:
                load_weights(module, left[1], left[0])
                files.ready(*left)
                done = left[1]["global_step"]
                report(
                    f"all {steps} steps are done: {paths.told(left[0])} is evaluated"
                    if done == steps
                    else f"goes on after step {done} of {steps}, from {paths.told(left[0])}"
                )
            if first:
                for logged in sent:
                    logged.open()
            if not resume and first:
                clear(path, last=True)  # not before: wrong data must not cost a finished run its weights
        _forget_peak(on_gpu)
        trainer.fit(module, datamodule=data, ckpt_path=left and left[0], weights_only=True)
        stop.check()
        seconds = curves.seconds
        made = trainer.global_step
        if trainer.strategy.broadcast(files.step != made or not path.exists()):
            trainer.save_checkpoint(path)
        metrics = _evaluate(trainer, module, data, report if progress else None, report)
        validation = None
        for validated in looking:
            best = None
            if validated.best is not None and validated.best[0] != made:
                best = _evaluate(trainer, load_module(best_path(path)), data, None, lambda line: None)
            validation = validated.summary(metrics, made, best)
        peaks = of_all_ranks(_peak_memory(on_gpu))
        step_seconds = of_all_ranks(curves.seconds_per_step)
    facts = environment()
    facts["hardware"] |= {"device": trainer.strategy.root_device.type, "precision": trainer.precision}
    if trainer.world_size * config.accumulate > 1:
        facts["hardware"] |= {
            "processes": trainer.world_size,
            "machines": trainer.num_nodes,
            "micro_batches": config.accumulate,
            "synced_batch_norm": synced,
            "peak_memory_bytes": peaks,
            "seconds_per_step": step_seconds,
        }
    return Record(
        identity=config.identity,
        config=map_sections(config.resolved(), _shareable).model_dump(mode="json"),
        profile=config.profile,
        dataset=described,
        metrics=metrics,
        history=curves.history,
        validation=validation,
        method=module.method.summary(module),
        bank=_bank_summary(module),
        timing={"seconds_total": seconds, "seconds_per_step": max(step_seconds)},
        peak_memory_bytes=max(peaks),
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
    here = {"device": "auto", "devices": 1, "num_nodes": 1, "strategy": "auto", "accumulate": 1}
    config = module.config.with_(**here, precision=_possible(module.config.precision))
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
    trainer, _, _ = _trainer(config, progress, [], 1, report=report)
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
) -> tuple[Trainer, Ranks, bool]:
    """The trainer of a run, its processes, and whether their batch normalisation is one."""
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
    ranks = plan_ranks(config)
    if on_gpu and ranks.devices > torch.cuda.device_count():
        raise ConfigError(
            f"{ranks.devices} devices are asked for, and this machine has {torch.cuda.device_count()}",
            remedy="set devices to fewer, or device to cpu",
        )
    sync = sync_plugins(config, ranks, on_gpu=on_gpu)
    if progress:
        callbacks = [*callbacks, progress_bar(report)]
    with _without_advice():
        trainer = Trainer(
            accelerator="gpu" if on_gpu else "cpu",
            devices=ranks.devices,
            num_nodes=ranks.nodes,
            strategy=make_strategy(config, ranks),
            precision=precision,
            max_steps=steps,
            max_epochs=-1,
            gradient_clip_val=config.optim.clip_norm,
            callbacks=callbacks,
            plugins=[files or AtomicCheckpointIO(), cluster_environment(), *sync],
            logger=[logger for each in callbacks if isinstance(each, Logged) for logger in each.loggers],
            enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
            enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the sampler knows rank and step itself
            inference_mode=True,
        )
    return trainer, ranks, bool(sync)


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


def _forget_peak(on_gpu: bool) -> None:
    """Let the peak of the memory begin here: what earlier runs of this process took is not this one's."""
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # only Linux can do that, and not in every container
        _CLEAR_PEAK.write_text("5")


def _peak_memory(on_gpu: bool) -> int:
    """The most bytes since :func:`_forget_peak`, or of the whole process where that cannot be told."""
    if on_gpu:
        return torch.cuda.max_memory_allocated()
    if (found := _STATUS_PEAK.search(_STATUS.read_text()) if _STATUS.exists() else None) is not None:
        return 1024 * int(found[1])
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
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)  # which devices exist, and what else one could install
    try:
        with warnings.catch_warnings():
            for message in _ADVICE:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
