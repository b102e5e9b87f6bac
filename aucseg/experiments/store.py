"""The store of records: trains what is missing, keeps what is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from aucseg import paths
from aucseg.data.files import path_part, probe_folder
from aucseg.errors import DataError, UserError
from aucseg.experiments.failures import clear_failure, note_failure, read_failure
from aucseg.experiments.predictions import (
    predict_fixed,
    predictions_folder,
    read_fixed,
    shares_predictions,
    write_fixed,
)
from aucseg.training import (
    Record,
    RecordError,
    RunClaimed,
    RunConfig,
    SegmentationModule,
    checkpoint_path,
    claim,
    evaluate,
    load_module,
    read_checkpoint,
    run_folder,
    train,
)
from aucseg.training.checkpoint import clear, clear_parts
from aucseg.training.devices import is_first

_log = logging.getLogger("aucseg")

Compute = Literal["missing", "never", "always"]


class FailedBefore(UserError):
    """The last attempt of a run failed, and nobody asked for another one."""


class RunsFailed(UserError):
    """Some runs of a table failed; each has said so when it did.

    Args:
        failed: what was wrong, by the label of the run.
        number: how many runs were wanted.

    Attributes:
        failed: the same.
    """

    def __init__(self, failed: Mapping[str, UserError], number: int) -> None:
        self.failed = dict(failed)
        first = next(iter(failed.values()))
        super().__init__(
            f"{len(failed)} of {number} runs failed, the first because of: {first}",
            remedy="the same command trains those that lack, a sweep with --retry",
        )


class RecordStore:
    """Records in a folder, one file each: ``<root>/<profile>/<identity>.json``.

    Beside them lie the predictions of a few fixed images, see :mod:`aucseg.experiments.predictions`.

    Args:
        root: the folder; ``data/records`` of the project by default. It need not exist yet.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root) if root is not None else paths.records()

    def path(self, config: RunConfig) -> Path:
        """Where the record of a configuration lies or would lie."""
        return self.path_of(config.profile, config.identity)

    def path_of(self, profile: str, identity: str) -> Path:
        """The same by the names of profile and run."""
        return self.root / path_part(profile, "profile") / f"{path_part(identity, 'run')}.json"

    def get(self, config: RunConfig) -> Record | None:
        """The record of a configuration, or ``None`` if it has not been run.

        Raises:
            RecordError: if a file is there but is not the record it should be.
        """
        return self._read(path) if (path := self.path(config)).exists() else None

    def put(self, record: Record) -> Path:
        """Write a record, replacing an older one of the same run.

        Raises:
            DataError: if the system refuses.
        """
        return record.write(self.path_of(record.profile, record.identity))

    def train(
        self,
        config: RunConfig,
        folder: str | Path | None = None,
        *,
        resume: bool = True,
        progress: bool = True,
        report: Callable[[str], None] = _log.warning,
        known: Mapping[str, RunConfig] = MappingProxyType({}),
        loggers: tuple[str, ...] = (),
    ) -> Record:
        """Train one configuration and keep its record.

        That the record can be written, and that one which lies there was made from the same data, is seen
        before the training. A run that starts from another one has that trained first, where it has no
        checkpoint.

        Args:
            config: the run.
            folder: where its checkpoint goes, ``runs/<identity>`` by default.
            resume: take up a checkpoint that lies there; ``False`` starts anew, whatever data the record has.
            progress: show a progress bar, or lines where no bar can move.
            report: called with a line where there is something to say.
            known: runs by their identity, among which the one that it starts from is looked for; those with
                a record need not be there.
            loggers: as for :func:`aucseg.training.train`.

        Raises:
            RecordError: if a file lies in the place of the record and is none.
            UserError: as :func:`aucseg.training.train`.
        """
        config = config.pinned()
        path, checkpoint = self.path(config), checkpoint_path(config, folder)
        if not (resume and checkpoint.exists()):
            self._first_stage(config, known, progress, report)
        with claim(checkpoint.parent, report=report) as mine:
            if is_first():
                clear_parts(path)
                probe_folder(path.parent)
            before = self.get(config) if resume else None
            record = train(
                config,
                folder,
                resume=resume,
                progress=progress,
                recorded=None if before is None else before.dataset,
                report=report,
                loggers=loggers,
            )
            mine.check()
            if is_first():
                self.put(record)
                self._keep_predictions(config, checkpoint, report)
                clear(checkpoint, last=False)  # the last one is enough now
                clear_failure(run_folder(config))
        return record

    def predictions(self, config: RunConfig) -> dict[int, np.ndarray]:
        """What the network of a run said of the fixed images of its evaluation split.

        Args:
            config: the run.

        Returns:
            Train ids (H,W) uint8 by the position of the image in the split; empty if none are kept.

        Raises:
            DataError: if a file is there that is no such prediction.
        """
        return read_fixed(predictions_folder(self.root, config.profile, config.identity))

    def _keep_predictions(self, config: RunConfig, checkpoint: Path, report: Callable[[str], None]) -> None:
        """Predict the fixed images. The record is whole without: what goes wrong is told and no error."""
        if not checkpoint.exists() or not shares_predictions(config):
            return
        try:
            module = load_module(checkpoint)
            folder = predictions_folder(self.root, config.profile, config.identity)
            write_fixed(predict_fixed(module, config), module.spec.palette, folder)
        except UserError as error:
            report(f"the record is written, predictions of its network are not: {error}")

    def _first_stage(
        self,
        config: RunConfig,
        known: Mapping[str, RunConfig],
        progress: bool,
        report: Callable[[str], None],
    ) -> None:
        """Train the run that another one starts from, where it is known and its checkpoint is not there.

        Records stay when checkpoints are deleted: such a run is trained again, and its record left as it is.
        """
        if config.init_from is None or config.init_from.run is None:
            return
        identity = config.init_from.run
        records = [self._read(path) for path in sorted(self.root.glob(f"*/{identity}.json"))]
        first = known.get(identity) or next((record.run_config for record in records), None)
        if first is None:
            return  # the training says what is missing
        label = f"{first.name} seed {first.seed} ({identity})"
        with claim(run_folder(first), report=report):
            path = checkpoint_path(first)
            if path.exists() and read_checkpoint(path)["global_step"] == first.optim.steps:
                return
            if not records:
                report(f"{label} is trained first: {config.name} starts from it")
                self.train(first, progress=progress, report=report, known=known)
            else:
                report(f"{label} has a record and no checkpoint: it is trained again for {config.name}")
                self._first_stage(first, known, progress, report)
                train(first, progress=progress, recorded=records[0].dataset, report=report)

    def __iter__(self) -> Iterator[Record]:
        """All records, in the order of their names.

        Raises:
            RecordError: for the first file that is not a record; nothing is skipped.
        """
        for path in sorted(self.root.glob("*/*.json")):
            yield self._read(path)

    def _read(self, path: Path) -> Record:
        record = Record.read(path)
        if record.identity != path.stem or record.profile != path.parent.name:
            raise RecordError(
                f"is the record of run {record.identity} of profile {record.profile!r}: it lies under "
                "another run's name",
                file=path,
                remedy="move it back to its own, or delete it to run this one",
            )
        return record

    def ensure(
        self,
        configs: Iterable[RunConfig],
        *,
        compute: Compute = "missing",
        retry: bool = True,
        wait: float = -1.0,
        known: Mapping[str, RunConfig] = MappingProxyType({}),
        progress: bool = True,
        report: Callable[[str], None] = lambda line: None,
    ) -> dict[str, Record | None]:
        """Records of some configurations, trained where that is asked for.

        Each finished run is written at once: whatever happens later, it is not lost. One that fails does not
        keep the next ones from being trained; what was wrong is kept beside its checkpoint. Runs that another
        process trains at the moment come last: two that were started with the same runs share the work. For
        those that are not done by then this one waits, and takes their records. A run that starts from
        another of them has that trained first.

        Args:
            configs: the runs wanted; one that occurs twice is trained once.
            compute: ``"missing"`` trains what has no record, ``"never"`` trains nothing, ``"always"`` trains
                everything anew.
            retry: train those too whose last attempt failed after its first step; what failed before that,
                for want of data for one, is tried again anyway.
            wait: seconds to wait for each run that another process trains; as long as it takes if negative.
            known: further runs by identity, of those that these start from.
            progress: show a progress bar for each run.
            report: called with a line about each run.

        Returns:
            Records by identity, ``None`` where there is none.

        Raises:
            ValueError: for another value of ``compute``.
            RunClaimed: if one run was wanted, and another process trains it still.
            UserError: if a run failed, once all others are done: its own error, if it was one alone, else a
                :class:`RunsFailed`.
        """
        _check(compute)
        wanted = {config.identity: config for config in (config.pinned() for config in configs)}
        found: dict[str, Record | None] = {}
        failed: dict[str, UserError] = {}
        later: dict[str, str] = {}

        def one(identity: str, label: str, patience: float) -> None:
            try:
                found[identity] = self._ensure(
                    wanted[identity], label, compute, retry, patience, progress, report, {**known, **wanted}
                )
            except RunClaimed as error:
                if patience == 0 != wait:
                    later[identity] = label
                else:
                    failed[label] = error
                    report(f"{label}: {error}")
            except UserError as error:
                failed[label] = error
                report(f"{label}: {'' if isinstance(error, FailedBefore) else 'failed: '}{error}")

        for number, (identity, config) in enumerate(wanted.items(), 1):
            label = f"[{number}/{len(wanted)}] {config.name} seed {config.seed} ({identity})"
            one(identity, label, 0.0)
        for identity, label in later.items():
            one(identity, label, wait)
        found = {identity: found[identity] for identity in wanted if identity in found}
        if len(failed) > 1:
            raise RunsFailed(failed, len(wanted))
        for alone in failed.values():
            raise alone
        return found

    def _ensure(
        self,
        config: RunConfig,
        label: str,
        compute: Compute,
        retry: bool,
        wait: float,
        progress: bool,
        report: Callable[[str], None],
        known: Mapping[str, RunConfig],
    ) -> Record | None:
        record = None if compute == "always" else self.get(config)
        if record is not None or compute == "never":
            report(f"{label}: {'not run' if record is None else 'recorded'}")
            return record
        folder = run_folder(config)
        before = None if retry else read_failure(folder)
        if before is not None and not before.at_once:
            raise FailedBefore(f"failed before: {before}", remedy="--retry trains it again")
        with claim(folder, wait=wait, report=report):
            record = None if compute == "always" else self.get(config)  # who had it may have left one
            if record is None:
                report(f"{label}: training {config.optim.steps} steps")
                resume = compute == "missing"  # one that is wanted anew does not take up its old checkpoint
                try:
                    record = self.train(config, resume=resume, progress=progress, report=report, known=known)
                except RunClaimed:  # lost on the way: the failure, if it is one, is another's
                    raise
                except Exception as error:
                    kind = type(error).__name__
                    with suppress(DataError):  # where nothing can be written, that is the error
                        note_failure(folder, str(error) or kind, kind)
                    raise
        mean = record.metrics["mIoU"]
        report(f"{label}: {'no labelled pixel' if mean is None else f'mIoU {100 * mean:.2f}'}")
        return record

    def evaluate_again(self, config: RunConfig, *, progress: bool = True) -> Record | None:
        """Bring a record up to date from its checkpoint: metrics that are new, and its predictions.

        Args:
            config: the run.
            progress: show a progress bar.

        Returns:
            The record as it now lies in the store, or ``None`` without a record or a checkpoint.

        Raises:
            RecordError: if the checkpoint does not come to the numbers that the record already has.
        """
        config = config.pinned()
        record, path = self.get(config), checkpoint_path(config)
        if record is None or not path.exists():
            return None
        metrics = evaluate(path, progress=progress)
        for name, before in record.metrics.items():
            now = metrics[name]
            if isinstance(before, float) and (now is None or abs(now - before) > 1e-4):
                raise RecordError(
                    f"the checkpoint {path} has {name} {now}, its record {before}: it is of another "
                    f"training; use compute='always'"
                )
        record = record.model_copy(update={"metrics": metrics | record.metrics})
        self.put(record)
        self._keep_predictions(config, path, _log.warning)
        return record

    def network(
        self, config: RunConfig, *, compute: Compute = "missing", progress: bool = True
    ) -> tuple[SegmentationModule, Record] | None:
        """A trained network with the record of its training on this machine.

        Records are committed, checkpoints are not: on a fresh clone the network is trained even where a
        record lies. That record is then left as it is, so that the two can be compared.

        Args:
            config: the run.
            compute: ``"never"`` takes a checkpoint in ``runs/`` or nothing, ``"always"`` trains anew.
            progress: show a progress bar.

        Returns:
            The network in evaluation mode on the CPU and its record, or ``None`` without a checkpoint where
            nothing may be trained.
        """
        _check(compute)
        config = config.pinned()
        path = checkpoint_path(config)
        if compute == "never" and not path.exists():
            return None
        before = self.get(config)
        if compute == "always" or before is None:
            record = self.train(config, resume=compute != "always", progress=progress)
        else:
            if not path.exists():
                self._first_stage(config, {}, progress, _log.warning)
            record = train(config, progress=progress, recorded=before.dataset)
        return load_module(path), record


def _check(compute: str) -> None:
    if compute not in get_args(Compute):
        raise ValueError(f"compute must be one of {', '.join(get_args(Compute))}, got {compute!r}")
