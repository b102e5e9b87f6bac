"""What a finished run leaves behind: one JSON record, the only thing that tables and figures read."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from aucseg import paths
from aucseg.data.files import write_file
from aucseg.errors import UserError
from aucseg.training.config import RunConfig

SCHEMA_VERSION = 1
_PACKAGES = ("aucseg", "torch", "torchvision", "lightning", "segmentation-models-pytorch", "timm", "numpy")


class RecordError(UserError, ValueError):
    """A record that cannot be used; the message names the file and the remedy."""


class Record(BaseModel):
    """One finished run.

    Attributes:
        schema_version: version of this format.
        identity: hash of the configuration (:attr:`RunConfig.identity`).
        config: the configuration, every key.
        profile: which profile made it.
        dataset: name, split, fingerprint, number of images, class names and groups.
        metrics: ``mIoU``, ``mIoU_head``, ``mIoU_middle``, ``mIoU_tail``, ``pixel_accuracy`` in [0, 1] and
            ``iou`` and ``accuracy`` by class name; ``None`` where a class occurs nowhere. ``auc_sigmoid`` and
            ``auc_softmax`` (mean over pairs of classes, AUCSeg Eq. 6), the same with ``_head``, ``_middle``,
            ``_tail``, and the bound of their error. Records of today hold all that
            :class:`aucseg.metrics.SegmentationIoU` computes: ``mAcc`` and its groups, the means over images
            ``mIoU_I`` and ``mIoU_C``, and groups by the number of images, ``mIoU_tail_by_images`` and so on;
            the first ones did not.
        history: ``step`` and, for the same steps, each logged quantity; ``None`` where it had no value.
        validation: where the run was looked at during training: ``"split"``, ``"step"`` and, for the same
            steps, every figure of ``metrics`` that is one number; ``"stopped"``, the step at which patience
            ended the run, or ``None``; and ``"best"``, the step of the highest mIoU with the metrics that
            its network has on the evaluation split, which are not what the run reports. ``None`` without.
        bank: what the memory bank did, by class name, and in ``"covered"`` mean and maximum over the training
            images of the share of labelled pixels that pastes covered; ``None`` without a bank.
        timing: ``seconds_total`` (training only, those before a resume included) and ``seconds_per_step``
            (median).
        peak_memory_bytes: what CUDA's allocator held at most; on a CPU the largest resident set.
        hardware: device, names of CPU and GPU, threads.
        versions: of Python and the packages that matter.
        git_commit: commit of the working tree, with ``+`` if it had changes; ``None`` outside a repository.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    identity: str
    config: dict[str, Any]
    profile: str
    dataset: dict[str, Any]
    metrics: dict[str, Any]
    history: dict[str, list[float | None]]
    validation: dict[str, Any] | None = None
    bank: dict[str, Any] | None
    timing: dict[str, float]
    peak_memory_bytes: int
    hardware: dict[str, Any]
    versions: dict[str, str]
    git_commit: str | None

    @property
    def run_config(self) -> RunConfig:
        """The configuration as an object."""
        source = f"configuration of record {self.identity}"
        return RunConfig.from_dict(self.config, source=source, recorded=True)

    def same_result(self, other: Record) -> bool:
        """Whether two runs came to the same numbers; time, machine and versions may differ."""
        return all(
            getattr(self, key) == getattr(other, key)
            for key in ("identity", "dataset", "metrics", "history", "validation", "bank")
        )

    def write(self, path: str | Path) -> Path:
        """Write the record so that a reader sees either the whole of it or nothing.

        Raises:
            DataError: if the system refuses.
        """
        text = (self.model_dump_json(indent=1) + "\n").encode()
        return write_file(path, lambda part: part.write_bytes(text), durable=True)  # hours of a machine

    @classmethod
    def read(cls, path: str | Path) -> Record:
        """Read a record and check that it is what it says it is.

        Raises:
            RecordError: if the file cannot be read, is not a record, or its identity is not that of its
                configuration.
        """
        path = Path(path)
        remedy = "delete it to run it again, or restore it from version control"
        try:
            record = cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise RecordError(f"cannot read record {path}: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "file"
            raise RecordError(f"{path} is not a record ({where}: {first['msg']}); {remedy}") from error
        if record.schema_version != SCHEMA_VERSION:
            raise RecordError(
                f"{path} has schema version {record.schema_version}, this is {SCHEMA_VERSION}; {remedy}"
            )
        try:
            identity = record.run_config.identity
        except ValueError as error:
            raise RecordError(f"{path}: {error}; {remedy}") from error
        if identity != record.identity:
            raise RecordError(
                f"{path} says identity {record.identity}, its configuration has {identity}; {remedy}"
            )
        return record


def environment() -> dict[str, Any]:
    """Hardware, versions and commit of this process, as the fields of a record."""
    cuda = torch.cuda.is_available()
    hardware = {
        "cpu": _cpu_name(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "threads": torch.get_num_threads(),
        "platform": platform.system(),
    }
    versions = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    versions |= {name: metadata.version(name) for name in _PACKAGES}
    return {"hardware": hardware, "versions": versions, "git_commit": _git_commit()}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")  # Linux; elsewhere the platform module knows
    for line in info.read_text().splitlines() if info.is_file() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(paths.home()), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        # Only code counts: recording a run changes data/ and must not make the next record look dirty.
        return commit + ("+" if git("status", "--porcelain", "--", "aucseg") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
