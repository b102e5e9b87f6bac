"""The configuration of one run: frozen, validated, and the source of the run's identity."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, ValidationInfo, field_validator, model_validator

from aucseg import paths
from aucseg.catalog import DATASETS
from aucseg.data.files import path_part, read_bytes, write_text
from aucseg.data.fingerprint import hash_files
from aucseg.data.yaml import MOST_BYTES, read_yaml
from aucseg.errors import file_errors
from aucseg.models.normalization import IMAGENET, Normalization, encoder_normalization
from aucseg.training.bank import BankConfig
from aucseg.training.methods import METHODS, MethodConfig
from aucseg.training.methods.supervised import SupervisedConfig
from aucseg.training.objectives import OBJECTIVES, ObjectiveConfig
from aucseg.training.objectives.auc import AUCConfig
from aucseg.training.optim import MOST_STEPS, OptimConfig
from aucseg.training.section import Choice, ConfigError, Section, Size, explain, map_sections, portable, shown
from aucseg.training.splits import DataConfig, check_fingerprint, fingerprint

_log = logging.getLogger("aucseg")

Option = bool | int | float | str | tuple[int, ...]

CHECKPOINT = "last.ckpt"
"""Name of the checkpoint in the folder of a run."""

# Bump only if the meaning of an existing key changes: every recorded run then becomes another run.
IDENTITY_VERSION = 1


class ModelConfig(Section):
    """Which network; see :func:`aucseg.models.create_model`.

    Attributes:
        name: architecture.
        encoder: its encoder; ``None`` takes the network's own.
        encoder_weights: where its first weights come from, random by default.
        normalization: mean and deviation that images are normalised by, for weights in a file that want other
            figures than those published for the encoder, which are the default; see
            :func:`aucseg.models.encoder_normalization`.
        head: the classifier at its end, ``"linear"``, or ``"cosine"`` for losses that presume it; see
            :func:`aucseg.models.use_head`. ``"aligned"`` and ``"aligned_relu"`` are for method ``disalign``.
        options: further arguments of the architecture.
    """

    name: str = "unet"
    encoder: str | None = "resnet18"
    encoder_weights: str | None = None
    normalization: Normalization | None = None
    head: Literal["linear", "cosine", "aligned", "aligned_relu"] = "linear"
    options: dict[str, Option] = Field(default_factory=dict)

    @field_validator("encoder_weights")
    @classmethod
    def _expanded(cls, value: str | None) -> str | None:
        return value if value is None or value[:1] not in ("~", "$") else str(paths.expand(value))

    @model_validator(mode="before")
    @classmethod
    def _recorded(cls, content: Any, info: ValidationInfo) -> Any:
        """Before it was a key, every network had ImageNet's figures; since then a record has its own."""
        recorded = bool(info.context and info.context.get("recorded"))
        if recorded and isinstance(content, dict) and "normalization" not in content:
            return content | {"normalization": IMAGENET}
        return content

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if self.normalization is not None and not all(0 < s < float("inf") for s in self.normalization.std):
            raise ValueError(f"normalization has a deviation that is not positive: {self.normalization.std}")
        return self

    @property
    def figures(self) -> Normalization:
        """What images are normalised by."""
        if self.normalization is not None:
            return self.normalization
        encoder = self.encoder
        if encoder is None and self.encoder_weights is not None:
            from aucseg.models.registry import list_models, standard_encoder  # smp takes seconds

            encoder = standard_encoder(self.name) if self.name in list_models() else None
        return encoder_normalization(encoder, self.encoder_weights)

    def resolved(self) -> ModelConfig:
        """The same with its normalisation written out, as records and checkpoints have it."""
        return self.model_copy(update={"normalization": self.figures})

    def shortened(self) -> ModelConfig:
        """The same without a normalisation that is the encoder's own: what :meth:`resolved` was made of."""
        short = self.model_copy(update={"normalization": None})
        return short if short.figures == self.figures else self


class FirstStageConfig(Section):
    """The run whose network another run starts from; as text its identity, or the path of its checkpoint.

    An identity names a run, and a file counts by its content: where it lies is no part of an identity.

    Attributes:
        run: identity of a run whose checkpoint lies in the runs folder.
        path: a checkpoint of ``aucseg train``.
        fingerprint: of that file, sha256. Whoever writes a configuration leaves it out; where it stands,
            another file is refused.
    """

    run: str | None = Field(None, pattern="^[0-9a-f]{16}$")
    path: Path | None = None
    fingerprint: str | None = None

    not_identity = ("path",)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: Any) -> Any:
        if isinstance(content, int | float):
            raise ValueError("an identity of digits alone is a text: put it in quotes")
        if isinstance(content, str | Path):
            text = str(content)
            return {"run": text} if re.fullmatch("[0-9a-f]{16}", text) else {"path": text}
        return content

    @field_validator("path")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        return None if value is None else paths.expand(value)

    @model_validator(mode="after")
    def _check(self) -> FirstStageConfig:
        if (self.run is None) == (self.path is None):
            raise ValueError("give the identity of a run, or the path of a checkpoint")
        if self.run is not None and self.fingerprint is not None:
            raise ValueError("fingerprint is that of a file; leave it out beside an identity")
        return self

    @property
    def file(self) -> Path:
        """The checkpoint."""
        return self.path or paths.runs() / str(self.run) / CHECKPOINT

    def content(self) -> str | None:
        """The fingerprint of the file; ``None`` for a run, which names itself.

        Raises:
            DataError: if the file is missing or cannot be read.
        """
        return None if self.path is None else hash_files([self.path])[0]

    def shareable(self) -> FirstStageConfig:
        """The same without the folders of the machine that it is on: records are published."""
        return self if self.path is None else self.model_copy(update={"path": Path(self.path.name)})


class EvaluationConfig(Section):
    """How the network looks at the images of the evaluation split; whole and once by default.

    With ``every`` it is looked at during training too, by the same views, on a split for validation. What a
    run reports is its last state all the same: choosing the best one on the images that are reported is worth
    points that no other image will show. The record has both, see :attr:`Record.validation`.

    Attributes:
        window: (height, width) of sliding windows; see :func:`aucseg.models.sliding_window`.
        stride: their steps; two thirds of the window by default.
        ratios: scales of the image; see :func:`aucseg.models.view_logits`.
        flip: the mirrored image too.
        every: steps from one validation to the next, the last step is one too; ``None`` for none.
        split: which split is validated on, ``"val"`` if none is named. One that the data set does not have is
            refused, so that nobody validates on test images unawares.
        held_out: share of the training images that are not trained on but validated on, each class among
            them where it can be, in the place of a split.
        patience: validations without a better mIoU after which the training ends; ``None`` for never.
    """

    window: Size | None = None
    stride: Size | None = None
    ratios: tuple[float, ...] = (1.0,)
    flip: bool = False
    every: int | None = Field(None, ge=1)
    split: str | None = None
    held_out: float | None = Field(None, gt=0, le=0.5)
    patience: int | None = Field(None, ge=1)

    @property
    def validation_split(self) -> str | None:
        """The split that is validated on, if there is one."""
        if self.every is None or self.held_out is not None:
            return None
        return self.split or "val"

    @field_validator("split")
    @classmethod
    def _a_name(cls, value: str | None) -> str | None:
        return value if value is None else path_part(value, "split")

    @model_validator(mode="after")
    def _check(self) -> EvaluationConfig:
        if self.window is not None and min(self.window) < 1:
            raise ValueError(f"window must be positive, got {list(self.window)}")
        if self.stride is not None:
            if self.window is None:
                raise ValueError("stride is that of a window: give window too")
            if min(self.stride) < 1 or any(s > w for s, w in zip(self.stride, self.window, strict=True)):
                raise ValueError(f"stride is from 1 to the window's size, got {list(self.stride)}")
        if not self.ratios or not all(0 < ratio < float("inf") for ratio in self.ratios):
            raise ValueError(f"ratios are positive factors, at least one, got {list(self.ratios)}")
        for name in ("split", "held_out", "patience"):
            if self.every is None and getattr(self, name) is not None:
                raise ValueError(f"{name} is of the validation during training: give every too")
        if self.split is not None and self.held_out is not None:
            raise ValueError("validation is on a split, or on held_out training images; leave one out")
        return self


class RunConfig(Section):
    """Everything that decides the outcome of one run.

    Attributes:
        name: a label for people, 200 characters at most; not part of the identity.
        profile: the profile that made the configuration, or ``"custom"``; not part of the identity, but the
            folder of the record.
        seed: decides initial weights, order, crops and what the bank draws.
        data: which images.
        model: which network.
        loss: what is minimised: the section of one of ``OBJECTIVES``, by its ``name``; without a name, the
            AUC loss.
        method: how: the section of one of ``METHODS``, by its ``name``; supervised by default.
        init_from: another run whose network this one starts from, by its identity or the path of its
            checkpoint; in the place of ``model.encoder_weights``, and of the decoder's first weights too.
            The network must be the same, but for what an aligned head adds.
        bank: the memory bank; ``None``, ``"none"`` or ``{"kind": "none"}`` for none.
        optim: optimiser and schedule.
        evaluation: how the network looks at the evaluation images.
        precision: ``"auto"`` is bfloat16 mixed precision on CUDA and float32 elsewhere; a record says which
            it was.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``; not part of the identity, but in the record, as all that
            says where and on how many devices a run is trained: ``data.batch_size`` is the whole batch, of
            which each process takes its share, so that it is the same run on one device and on many.
        devices: processes on each machine, one for each GPU; ``"auto"``: as many as torchrun or srun has
            started, else one.
        num_nodes: machines.
        strategy: how the processes train together, ``"ddp"`` for more than one.
        accumulate: micro-batches in which a process lets its images pass through the network; the loss is
            that of the whole batch all the same, see :func:`aucseg.losses.micro_batched`.
        sync_batchnorm: whether batch normalisation is over the images of all processes; on GPUs if ``None``.
        rank_timeout: seconds after which a process that does not answer is given up.
        checkpoint_every: steps between checkpoints; a killed run loses at most these.
    """

    name: str = Field("run", max_length=200)
    profile: str = "custom"
    seed: int = Field(0, ge=0, lt=2**63)
    data: DataConfig
    model: ModelConfig = ModelConfig()
    loss: SerializeAsAny[ObjectiveConfig] = AUCConfig()
    method: SerializeAsAny[MethodConfig] = SupervisedConfig()
    init_from: FirstStageConfig | None = None
    bank: BankConfig | None = BankConfig()
    optim: OptimConfig = OptimConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: Literal["auto"] | Annotated[int, Field(ge=1, le=2**16)] = "auto"
    num_nodes: int = Field(1, ge=1, le=2**16)
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    accumulate: int = Field(1, ge=1, le=2**16)
    sync_batchnorm: bool | None = None
    rank_timeout: float = Field(1800.0, gt=0, le=1e8)
    checkpoint_every: int = Field(500, ge=1, le=MOST_STEPS)

    not_identity = (
        "name",
        "profile",
        "device",
        "devices",
        "num_nodes",
        "strategy",
        "accumulate",
        "sync_batchnorm",
        "rank_timeout",
        "checkpoint_every",
    )
    choices = MappingProxyType({"loss": Choice(OBJECTIVES, "auc"), "method": Choice(METHODS, "supervised")})

    @field_validator("profile")
    @classmethod
    def _in_records(cls, value: str) -> str:
        return path_part(value, "profile")

    @field_validator("bank", mode="before")
    @classmethod
    def _no_bank(cls, value: Any) -> Any:
        kind = value.get("kind", "") if isinstance(value, dict) else value
        return None if kind is None or kind == "none" else value

    @field_validator(*choices, mode="plain")
    @classmethod
    def _by_name(cls, value: Any, info: ValidationInfo) -> Any:
        return cls.choices[str(info.field_name)].pick(value, info)

    @model_validator(mode="after")
    def _check(self) -> RunConfig:
        if self.method.needs_first_stage and self.init_from is None:
            raise ValueError(
                f"method {self.method.name!r} goes on from another run: give init_from, its identity or the "
                "path of its checkpoint"
            )
        return self

    @property
    def identity(self) -> str:
        """Sixteen hex digits that name the run: a hash of every key that can change its numbers.

        Keys at their default are left out, so that a later version with one more option still recognises the
        runs recorded before it. So is the name of an objective or a method, where it is the default, and the
        normalisation, written out or not, where it is ImageNet's.

        **What the run is trained on belongs to it.** A drawn data set counts by the version of what draws it.
        A data set of files that lies where its name is looked for (``data.root`` is left out, or is that
        folder) counts by its name, as the records that are published have it; what lies there is compared
        with what a checkpoint or a record was made from before anything goes on. Any other folder counts by
        its content, :meth:`aucseg.catalog.Located.fingerprint` of the splits that the run reads: its classes,
        groups, lists, images and masks. Two folders share weights and records if they hold the same, wherever
        they lie, and a folder that has changed is another run. ``data.fingerprint`` keeps it, in every record
        and checkpoint, so that a run can be named where its data are not. A checkpoint that the run starts
        from counts likewise, a file by its content, and a run by its own identity.

        Raises:
            DataError: if the folder that is to be looked at is not there, or a file in it cannot be read.
        """
        versions: dict[str, int] = {}

        def anywhere(section: Section) -> Section:
            if isinstance(section, DataConfig):
                if (drawn := DATASETS[section.name].version) is not None:
                    versions[section.name] = drawn  # other pictures are other data
                section = section.model_copy(update={"fingerprint": section.fingerprint or None})
            return portable(section)

        known = map_sections(self.pinned(), anywhere)
        content = known.model_dump(mode="json", exclude_defaults=True) | versions
        _write_names(self, content)
        model = {key: value for key, value in content.pop("model", {}).items() if key != "normalization"}
        if (figures := self.model.figures) != IMAGENET:
            model["normalization"] = figures
        if model:
            content["model"] = model
        text = json.dumps([IDENTITY_VERSION, content], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def resolved(self) -> RunConfig:
        """The same with what follows from other keys written out, as records and checkpoints have it."""
        return map_sections(self, lambda s: s.resolved() if isinstance(s, ModelConfig) else s)

    def pinned(self) -> RunConfig:
        """The same run with the fingerprint of its data and of a file that it starts from.

        Raises:
            DataError: as :attr:`identity`.
        """

        def pin(section: Section) -> Section:
            if isinstance(section, FirstStageConfig) and section.fingerprint is None:
                return section.model_copy(update={"fingerprint": section.content()})
            if not isinstance(section, DataConfig) or section.fingerprint is not None:
                return section
            return section.model_copy(update={"fingerprint": fingerprint(section, self._splits(section))})

        return map_sections(self, pin)

    def check_data(self) -> None:
        """See that the data are those whose fingerprint the configuration has, where it has one.

        Raises:
            DataError: if they are not, or cannot be read.
        """

        def check(section: Section) -> Section:
            if isinstance(section, DataConfig):
                check_fingerprint(section, self._splits(section))
            return section

        map_sections(self, check)

    def _splits(self, data: DataConfig) -> tuple[str, ...]:
        """What is read of a data set beyond the two splits of its section."""
        if (data.name, data.root) != (self.data.name, self.data.root):
            return ()
        validation = self.evaluation.validation_split
        return (*self.method.splits(), *(() if validation is None else (validation,)))

    @classmethod
    def from_dict(
        cls, content: dict[str, Any], *, source: str = "configuration", recorded: bool = False
    ) -> RunConfig:
        """A validated configuration from plain values.

        Args:
            content: the values by key.
            source: where they come from, for the message.
            recorded: they are of a record or a checkpoint, which an older version may have written: keys
                that had no meaning there, and are no longer, are left out whatever they say, and what is
                written out there (see :meth:`resolved`) follows from other keys again.

        Raises:
            ConfigError: names each wrong key, its value and the nearest right one.
        """
        try:
            config = cls.model_validate(content, context={"recorded": recorded})
        except ValidationError as error:
            lines = explain(error, cls, content)
        else:
            if not recorded:
                return config
            return map_sections(config, lambda s: s.shortened() if isinstance(s, ModelConfig) else s)
        head = f"{source} is not valid:"  # not from the error: it prints its input, however large that is
        raise ConfigError(f"{head} {lines[0]}" if len(lines) == 1 else "\n  ".join([head, *lines]))

    @classmethod
    def from_yaml(cls, path: str | Path) -> RunConfig:
        """Read a YAML file, in UTF-8 or UTF-16.

        Raises:
            ConfigError: if the file is missing, is not YAML, has a key twice, or holds a wrong key or value.
        """
        path = paths.expand(path)
        remedy = "`aucseg config > FILE` writes one"
        with file_errors(path, "cannot be read", remedy=remedy, kind=ConfigError):
            text = read_bytes(path, MOST_BYTES, "configuration", kind=ConfigError)
        try:
            content = read_yaml(text, kind=ConfigError)
        except ConfigError as error:
            raise ConfigError(error.what, file=path, remedy=error.remedy) from error
        if not isinstance(content, dict):
            raise ConfigError(f"{path} must hold a mapping of keys to values, found {type(content).__name__}")
        return cls.from_dict(content, source=str(path))

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The configuration as YAML, defaults included; also written to ``path`` if given.

        Raises:
            DataError: if the file cannot be written.
        """
        content = map_sections(self, lambda s: s.listed() if isinstance(s, DataConfig) else s)
        text = yaml.safe_dump(content.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
        if path is not None:
            write_text(paths.expand(path), text)
        return text

    def with_(self, **changes: Any) -> RunConfig:
        """A copy with some keys changed, nested ones by a double underscore.

        Another ``loss__name`` or ``method__name`` begins that section anew, at its defaults.

        >>> config = RunConfig(data=DataConfig(train_images=8, eval_images=4))
        >>> config.with_(seed=3, optim__lr=1e-3).optim.lr
        0.001
        """
        content = self.model_dump()
        for key, choice in self.choices.items():
            name = changes.get(f"{key}__name", content[key]["name"])
            if name != content[key]["name"]:
                content[key] = choice.defaults(name)
        for key, value in changes.items():
            *path, last = key.split("__")
            node = content
            for part in path:
                if not isinstance(node.get(part), dict):
                    raise ConfigError(f"unknown key {key.replace('__', '.')!r}: {part!r} holds no keys here")
                node = node[part]
            node[last] = value
        return type(self).from_dict(content)

    def with_settings(self, settings: Iterable[str]) -> RunConfig:
        """A copy with some keys changed, as the option ``--set`` has them.

        Args:
            settings: ``"key=value"`` each: the key with dots, the value as YAML. All are made before the
                whole is checked, in their order. Where ``optim.steps`` alone is set, to no more than the
                warm-up takes, the warm-up is shortened in proportion, and a line says so.

        Raises:
            ConfigError: for what is no such text, or is not valid.

        >>> config = RunConfig(data=DataConfig(train_images=8, eval_images=4))
        >>> config.with_settings(["optim.steps=600", "data.crop_size=[48, 96]", "bank=none"]).optim.steps
        600
        """
        changes: dict[str, Any] = {}
        for setting in settings:
            key, equals, value = setting.partition("=")
            if not equals or not key.strip():
                raise ConfigError(
                    f"cannot set {shown(setting)}", remedy="write KEY=VALUE, as in optim.steps=600"
                )
            changes[key.strip().replace(".", "__")] = read_yaml(value, kind=ConfigError)
        steps, warmup = changes.get("optim__steps"), self.optim.warmup_steps
        given = {"optim", "optim__warmup_steps"} & set(changes)
        if type(steps) is int and 0 < steps <= warmup and not given:
            changes["optim__warmup_steps"] = warmup * steps // self.optim.steps
            _say_once(
                f"optim.warmup_steps: {warmup} does not fit into {steps} steps and is "
                f"{changes['optim__warmup_steps']}, the same part of them as of {self.optim.steps}"
            )
        return self.with_(**changes)


@cache  # of the runs of a table each is shortened alike
def _say_once(line: str) -> None:
    _log.warning(line)


def _write_names(section: Section, content: dict[str, Any]) -> None:
    """Say which section was chosen, where it is not the default: to itself every name is the default."""
    for key, value in section:
        if isinstance(value, Section) and key in content:
            if key in section.choices and value.name != section.choices[key].default:  # type: ignore[attr-defined]
                content[key]["name"] = value.name  # type: ignore[attr-defined]
            _write_names(value, content[key])
