"""What a finished run leaves behind: one JSON record, the only thing that tables and figures read."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from aucseg import paths
from aucseg.data.files import write_file
from aucseg.errors import UserError
from aucseg.training.config import RunConfig

SCHEMA_VERSION = 2
_WITHOUT_CHECKSUM = 1  # the version before
_GROUPS = ("head", "middle", "tail")
_PACKAGES = ("aucseg", "torch", "torchvision", "lightning", "segmentation-models-pytorch", "timm", "numpy")


class RecordError(UserError, ValueError):
    """A record that cannot be used; the message names the file and the remedy."""


class Record(BaseModel):
    """One finished run.

    What it holds is checked whenever one is made or read: metrics are in [0, 1] and there for each class of
    the data set and no other, curves have one length, times are not negative. In its file a checksum of all
    else is beside it, and compared whenever it is read; files of version 1 have none.

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
        method: what the training method kept; of ``mean_teacher``, see :meth:`MeanTeacher.summary`. ``None``
            for the others, and for runs without images to label.
        bank: what the memory bank did, by class name, and in ``"covered"`` mean and maximum over the training
            images of the share of labelled pixels that pastes covered; ``None`` without a bank.
        timing: ``seconds_total`` (training only, those before a resume included) and ``seconds_per_step``
            (median).
        peak_memory_bytes: what CUDA's allocator held at most; on a CPU the largest resident set.
        hardware: device, names of CPU and GPU, instruction set of the CPU, threads.
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
    method: dict[str, Any] | None = None
    bank: dict[str, Any] | None
    timing: dict[str, float]
    peak_memory_bytes: int
    hardware: dict[str, Any]
    versions: dict[str, str]
    git_commit: str | None

    @field_validator("metrics")
    @classmethod
    def _in_range(cls, metrics: dict[str, Any]) -> dict[str, Any]:
        if "mIoU" not in metrics or not isinstance(metrics.get("iou"), dict):
            raise ValueError("metrics need mIoU and iou")
        for key, value in metrics.items():
            most = math.inf if key.endswith("_error_bound") else 1.0
            for name, number in value.items() if isinstance(value, dict) else [(None, value)]:
                where = key if name is None else f"{key} of {name}"
                if number is not None and (type(number) not in (int, float) or not 0 <= number <= most):
                    raise ValueError(f"{where} is {number!r}, no number from 0 to {most:g}")
        return metrics

    @field_validator("history")
    @classmethod
    def _curves(cls, history: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
        steps = history.get("step")
        if steps is None:
            raise ValueError("history needs step")
        if any(len(curve) != len(steps) for curve in history.values()):
            raise ValueError("curves are of several lengths")
        if None in steps or steps != sorted(set(steps)):  # type: ignore[type-var]
            raise ValueError("its steps do not rise")
        if not all(
            math.isfinite(value) for curve in history.values() for value in curve if value is not None
        ):
            raise ValueError("a curve has a value that is no number")
        return history

    @field_validator("timing")
    @classmethod
    def _times(cls, timing: dict[str, float]) -> dict[str, float]:
        for key in ("seconds_total", "seconds_per_step"):
            if not 0 <= timing.get(key, math.nan) < math.inf:
                raise ValueError(f"{key} is {timing.get(key)!r}, no number of seconds")
        return timing

    @model_validator(mode="after")
    def _of_these_classes(self) -> Record:
        classes, groups = (self.dataset.get(key) for key in ("classes", "groups"))
        if not isinstance(classes, list) or not isinstance(groups, list) or len(classes) != len(groups):
            raise ValueError("dataset needs classes and groups, a group for each class")
        if not set(groups) <= set(_GROUPS):
            raise ValueError(f"groups are {', '.join(_GROUPS)}, got {groups}")
        for key in ("iou", "accuracy"):
            if key in self.metrics and list(self.metrics[key]) != classes:
                raise ValueError(f"{key} is not of the classes {classes}")
        return self

    @property
    def run_config(self) -> RunConfig:
        """The configuration as an object."""
        source = f"configuration of record {self.identity}"
        return RunConfig.from_dict(self.config, source=source, recorded=True)

    def same_result(self, other: Record) -> bool:
        """Whether two runs came to the same numbers; time, machine and versions may differ."""
        return all(
            getattr(self, key) == getattr(other, key)
            for key in ("identity", "dataset", "metrics", "history", "validation", "method", "bank")
        )

    def write(self, path: str | Path) -> Path:
        """Write the record so that a reader sees either the whole of it or nothing.

        Raises:
            DataError: if the system refuses.
        """
        content = self.model_dump(mode="json") | {"schema_version": SCHEMA_VERSION}
        content = {"schema_version": SCHEMA_VERSION, "checksum": checksum(content)} | content
        text = (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
        return write_file(path, lambda part: part.write_bytes(text), durable=True)  # hours of a machine

    @classmethod
    def read(cls, path: str | Path) -> Record:
        """Read a record and check that it is what it says it is.

        Raises:
            RecordError: if the file cannot be read, is not a record, its content is not what was written, or
                its identity is not that of its configuration.
        """
        path = Path(path)
        remedy = "delete it to run it again, or restore it from version control"
        try:
            content = json.loads(path.read_bytes(), parse_constant=_no_number)
        except OSError as error:
            raise RecordError(f"cannot read record {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{path} is not a record (file: {error}); {remedy}") from error
        if not isinstance(content, dict):
            raise RecordError(f"{path} is not a record (file: no mapping of keys to values); {remedy}")
        version, written = content.get("schema_version"), content.pop("checksum", None)
        if version not in (SCHEMA_VERSION, _WITHOUT_CHECKSUM) or isinstance(version, bool):
            raise RecordError(
                f"{path} is not a record of this version (schema_version {version!r}, this is "
                f"{SCHEMA_VERSION}); {remedy}"
            )
        if written != checksum(content) and (version == SCHEMA_VERSION or written is not None):
            raise RecordError(
                f"{path} is damaged or was edited: its checksum is not that of its content; {remedy}"
            )
        try:
            record = cls.model_validate(content | {"schema_version": SCHEMA_VERSION})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "file"
            raise RecordError(f"{path} is not a record ({where}: {first['msg']}); {remedy}") from error
        try:
            identity = record.run_config.identity
        except ValueError as error:
            raise RecordError(f"{path}: {error}; {remedy}") from error
        if identity != record.identity:
            raise RecordError(
                f"{path} says identity {record.identity}, its configuration has {identity}; {remedy}"
            )
        return record


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of what a record's file holds, whatever the order of its keys and the blanks between them.

    Args:
        content: plain values.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no value")


def environment() -> dict[str, Any]:
    """Hardware, versions and commit of this process, as the fields of a record."""
    cuda = torch.cuda.is_available()
    hardware = {
        "cpu": _cpu_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),  # another set adds in another order
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
