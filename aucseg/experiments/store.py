"""The store of records: trains what is missing, keeps what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args

from aucseg import paths
from aucseg.training import (
    Record,
    RecordError,
    RunConfig,
    SegmentationModule,
    checkpoint_path,
    claim,
    evaluate,
    load_module,
    run_folder,
    train,
)

Compute = Literal["missing", "never", "always"]


class RecordStore:
    """Records in a folder, one file each: ``<root>/<profile>/<identity>.json``.

    Args:
        root: the folder; ``data/records`` of the project by default. It need not exist yet.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root) if root is not None else paths.records()

    def path(self, config: RunConfig) -> Path:
        """Where the record of a configuration lies or would lie."""
        return self.root / config.profile / f"{config.identity}.json"

    def get(self, config: RunConfig) -> Record | None:
        """The record of a configuration, or ``None`` if it has not been run.

        Raises:
            RecordError: if a file is there but is not the record it should be.
        """
        path = self.path(config)
        return Record.read(path) if path.exists() else None

    def put(self, record: Record) -> Path:
        """Write a record, replacing an older one of the same run."""
        return record.write(self.root / record.profile / f"{record.identity}.json")

    def __iter__(self) -> Iterator[Record]:
        """All records, in the order of their names.

        Raises:
            RecordError: for the first file that is not a record; nothing is skipped.
        """
        for path in sorted(self.root.glob("*/*.json")):
            yield Record.read(path)

    def ensure(
        self,
        configs: Iterable[RunConfig],
        *,
        compute: Compute = "missing",
        progress: bool = True,
        report: Callable[[str], None] = lambda line: None,
    ) -> dict[str, Record | None]:
        """Records of some configurations, trained where that is asked for.

        Each finished run is written at once: whatever happens later, it is not lost. Where another process
        trains a run at the moment, this one waits and takes its record.

        Args:
            configs: the runs wanted; one that occurs twice is trained once.
            compute: ``"missing"`` trains what has no record, ``"never"`` trains nothing, ``"always"`` trains
                everything anew.
            progress: show a progress bar for each run.
            report: called with a line about each run.

        Returns:
            Records by identity, ``None`` where there is none.

        Raises:
            ValueError: for another value of ``compute``.
        """
        _check(compute)
        wanted = {config.identity: config for config in configs}
        found: dict[str, Record | None] = {}
        for number, (identity, config) in enumerate(wanted.items(), 1):
            record = None if compute == "always" else self.get(config)
            label = f"[{number}/{len(wanted)}] {config.name} seed {config.seed} ({identity})"
            if record is None and compute != "never":
                report(f"{label}: training {config.optim.steps} steps")
                with claim(run_folder(config), report=report):
                    record = None if compute == "always" else self.get(config)  # who had it may have left one
                    if record is None:
                        # A run that is wanted anew does not take up its old checkpoint.
                        record = train(config, resume=compute == "missing", progress=progress)
                        self.put(record)
                report(f"{label}: mIoU {100 * record.metrics['mIoU']:.2f}")
            else:
                report(f"{label}: {'not run' if record is None else 'recorded'}")
            found[identity] = record
        return found

    def evaluate_again(self, config: RunConfig, *, progress: bool = True) -> Record | None:
        """Bring the metrics of a record up to date from its checkpoint, where a metric is new.

        Args:
            config: the run.
            progress: show a progress bar.

        Returns:
            The record as it now lies in the store, or ``None`` without a record or a checkpoint.

        Raises:
            RecordError: if the checkpoint does not come to the numbers that the record already has.
        """
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
        path = checkpoint_path(config)
        if compute == "never" and not path.exists():
            return None
        record = train(config, resume=compute != "always", progress=progress)
        if compute == "always" or self.get(config) is None:
            self.put(record)
        return load_module(path), record


def _check(compute: str) -> None:
    if compute not in get_args(Compute):
        raise ValueError(f"compute must be one of {', '.join(get_args(Compute))}, got {compute!r}")
