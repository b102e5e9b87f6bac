"""``train(config) -> Record``: one run from start to end."""

from __future__ import annotations

import logging
import resource
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar

from aucseg import paths
from aucseg.training.checkpoint import load_module, read_checkpoint
from aucseg.training.claim import claim
from aucseg.training.config import RunConfig
from aucseg.training.curves import Curves
from aucseg.training.datamodule import SegmentationDataModule
from aucseg.training.module import SegmentationModule
from aucseg.training.record import Record, environment
from aucseg.training.section import Section, map_sections
from aucseg.training.splits import DataConfig

_CHECKPOINT = "last.ckpt"

# Lightning's advice that does not apply here: workers are the user's choice, the loop logs by itself.
_ADVICE = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*GPU available but not used.*",
    ".*`isinstance.treespec, LeafSpec.` is deprecated.*",
    ".*You're resuming from a checkpoint that ended before the epoch ended.*",
)


class _StepBar(RichProgressBar):
    """A bar over the steps of the whole run: epochs mean nothing where the length is given in steps."""

    def _get_train_description(self, current_epoch: int) -> str:
        return self.train_description


def run_folder(config: RunConfig) -> Path:
    """Where the checkpoint of a run lies: ``runs/<identity>``."""
    return paths.runs() / config.identity


def checkpoint_path(config: RunConfig, folder: str | Path | None = None) -> Path:
    """The checkpoint file of a run, whether or not it exists.

    Args:
        config: the run.
        folder: its folder, ``runs/<identity>`` by default.
    """
    return Path(folder or run_folder(config)) / _CHECKPOINT


# what a record keeps of PixelAUC.compute
_AUC_FIGURES = ("auc", "auc_head", "auc_middle", "auc_tail", "auc_error_bound")


def train(
    config: RunConfig,
    folder: str | Path | None = None,
    *,
    resume: bool = True,
    progress: bool = True,
    callbacks: tuple[Callback, ...] = (),
) -> Record:
    """Train and evaluate one configuration.

    Where another process trains it at the moment, this one waits, and takes up what is there then.

    Args:
        config: the run.
        folder: where its checkpoint goes, ``runs/<identity>`` by default.
        resume: take up a checkpoint that lies there; ``False`` starts anew.
        progress: show a progress bar.
        callbacks: more Lightning callbacks.

    Returns:
        The record. Writing it to the store is the caller's business; see
        :class:`aucseg.experiments.RecordStore`.

    Raises:
        ConfigError: if data or model cannot be built as configured.
        DataError: if files of the data set are missing or wrong.
        CheckpointError: if the folder holds a checkpoint of another run.
        TrainingDiverged: if the loss becomes infinite or NaN.
    """
    path = checkpoint_path(config, folder)
    with claim(path.parent):
        return _train(config, path, resume, progress, callbacks)


def _train(
    config: RunConfig, path: Path, resume: bool, progress: bool, callbacks: tuple[Callback, ...]
) -> Record:
    if resume and path.exists():
        read_checkpoint(path, expect=config)
    data = SegmentationDataModule(config)
    described = data.describe()  # opens both splits: what is missing shows now and not after the training
    module, curves = SegmentationModule(config, data.classes), Curves()
    saver = ModelCheckpoint(
        dirpath=path.parent,
        filename=path.stem,
        every_n_train_steps=config.checkpoint_every,
        save_top_k=1,
        monitor=None,
        enable_version_counter=False,
    )
    trainer = _trainer(config, progress, [curves, saver, *callbacks], steps=config.optim.steps)
    on_gpu = trainer.strategy.root_device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    if not resume:
        path.unlink(missing_ok=True)  # not before: wrong data must not cost a finished run its weights
    started = time.perf_counter()
    with _without_advice():
        trainer.fit(module, datamodule=data, ckpt_path=path if path.exists() else None, weights_only=True)
        if trainer.interrupted:
            raise KeyboardInterrupt(f"stopped at step {module.global_step}; run again to go on from {path}")
        seconds = time.perf_counter() - started
        trainer.save_checkpoint(path)
        metrics = _evaluate(trainer, module, data)
    return Record(
        identity=config.identity,
        config=map_sections(config.resolved(), _shareable).model_dump(mode="json"),
        profile=config.profile,
        dataset=described,
        metrics=metrics,
        history=curves.history,
        bank=_bank_summary(module),
        timing={"seconds_total": seconds, "seconds_per_step": curves.seconds_per_step},
        peak_memory_bytes=_peak_memory(on_gpu),
        **environment(),
    )


def evaluate(
    checkpoint: str | Path, *, split: str | None = None, root: str | Path | None = None, progress: bool = True
) -> dict[str, Any]:
    """Metrics of a trained network on a split, as in :attr:`Record.metrics`.

    Args:
        checkpoint: file written by :func:`train`.
        split: another split than the one configured.
        root: folder of the data set, if it lies elsewhere than configured.
        progress: show a progress bar.
    """
    module = load_module(checkpoint)
    config = module.config
    if split is not None:
        config = config.with_(data__eval_split=split)
    if root is not None:
        config = config.with_(data__root=Path(root))
    trainer = _trainer(config, progress, [], steps=1)
    with _without_advice():
        return _evaluate(trainer, module, SegmentationDataModule(config))


def _trainer(config: RunConfig, progress: bool, callbacks: list[Callback], steps: int) -> Trainer:
    accelerator = {"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[config.device]
    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    precision = config.precision
    if precision == "auto":
        precision = "bf16-mixed" if on_gpu else "32-true"
    if progress:
        callbacks = [*callbacks, _StepBar(leave=True)]
    with _without_advice():
        return Trainer(
            accelerator=accelerator,
            devices=1,
            precision=precision,
            max_steps=steps,
            max_epochs=-1,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the sampler knows rank and step itself
            inference_mode=True,
        )


def _evaluate(trainer: Trainer, module: SegmentationModule, data: SegmentationDataModule) -> dict[str, Any]:
    ranking = {"auc_sigmoid": module.auc_sigmoid, "auc_softmax": module.auc_softmax}
    for metric in (module.iou, *ranking.values()):
        metric.reset()
    trainer.test(module, datamodule=data, verbose=False)
    values = module.iou.compute()
    for name, auc in ranking.items():
        figures = auc.compute()
        values |= {key.replace("auc", name, 1): figures[key] for key in _AUC_FIGURES}
    names = module.spec.names

    def number(value: Any) -> float | None:
        value = float(value)
        return None if value != value else value  # JSON has no NaN

    return {
        key: dict(zip(names, map(number, value), strict=True)) if value.ndim else number(value)
        for key, value in values.items()
    }


def _shareable(section: Section) -> Section:
    return section.shareable() if isinstance(section, DataConfig) else section


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


def _peak_memory(on_gpu: bool) -> int:
    if on_gpu:
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


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
