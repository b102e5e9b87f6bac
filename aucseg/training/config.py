"""The configuration of one run: frozen, validated, and the source of the run's identity."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError

from aucseg.errors import did_you_mean
from aucseg.streets.dataset import GENERATOR_VERSION
from aucseg.training.sections import (
    BankConfig,
    ConfigError,
    DataConfig,
    EvaluationConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    Section,
)

# Bump only if the meaning of an existing key changes: every recorded run then becomes another run.
IDENTITY_VERSION = 1

# What may differ between two machines without making another run.
_NOT_IDENTITY: Any = {
    "name": True,
    "profile": True,
    "device": True,
    "checkpoint_every": True,
    "data": {"root", "num_workers", "eval_batch_size"},
}


class RunConfig(Section):
    """Everything that decides the outcome of one run.

    Attributes:
        name: a label for people; not part of the identity.
        profile: the profile that made the configuration, or ``"custom"``; not part of the identity.
        seed: decides initial weights, order, crops and what the bank draws.
        data: which images.
        model: which network.
        loss: what is minimised.
        bank: the memory bank, ``None`` for none.
        optim: optimiser and schedule.
        evaluation: how the network looks at the evaluation images.
        precision: ``"auto"`` is bfloat16 mixed precision on CUDA and float32 elsewhere.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``; not part of the identity, but in the record.
        checkpoint_every: steps between checkpoints; a killed run loses at most these.
    """

    name: str = "run"
    profile: str = "custom"
    seed: int = Field(0, ge=0)
    data: DataConfig
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    bank: BankConfig | None = BankConfig()
    optim: OptimConfig = OptimConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    checkpoint_every: int = Field(500, ge=1)

    @property
    def identity(self) -> str:
        """Sixteen hex digits that name the run: a hash of every key that can change its numbers.

        Keys at their default are left out, so that a later version with one more option still recognises the
        runs recorded before it.
        """
        content = self.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_IDENTITY)
        if self.data.name == "streets":
            content["streets"] = GENERATOR_VERSION  # other pictures are other data
        text = json.dumps([IDENTITY_VERSION, content], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_dict(cls, content: dict[str, Any], *, source: str = "configuration") -> RunConfig:
        """A validated configuration from plain values.

        Raises:
            ConfigError: names each wrong key, its value and the nearest right one.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            lines = [f"  {_explain(item)}" for item in error.errors()]
            raise ConfigError("\n".join([f"{source} is not valid:", *lines])) from error

    @classmethod
    def from_yaml(cls, path: str | Path) -> RunConfig:
        """Read a YAML file.

        Raises:
            ConfigError: if the file is missing, is not YAML, or holds a wrong key or value.
        """
        path = Path(path)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read configuration {path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not YAML: {error}") from error
        if not isinstance(content, dict):
            raise ConfigError(f"{path} must hold a mapping of keys to values, found {type(content).__name__}")
        return cls.from_dict(content, source=str(path))

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The configuration as YAML, defaults included; also written to ``path`` if given."""
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def with_(self, **changes: Any) -> RunConfig:
        """A copy with some keys changed, nested ones by a double underscore.

        >>> config = RunConfig(data=DataConfig(train_images=8, eval_images=4))
        >>> config.with_(seed=3, optim__lr=1e-3).optim.lr
        0.001
        """
        content = self.model_dump()
        for key, value in changes.items():
            *path, last = key.split("__")
            node = content
            for part in path:
                if not isinstance(node.get(part), dict):
                    raise ConfigError(f"unknown key {key.replace('__', '.')!r}: {part!r} holds no keys here")
                node = node[part]
            if last not in node:
                raise ConfigError(f"unknown key {key.replace('__', '.')!r}; {did_you_mean(last, node)}")
            node[last] = value
        return type(self).from_dict(content)


def _explain(item: Any) -> str:
    """One validation finding in words: key, value, remedy."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        fields = _fields_at(item["loc"][:-1])
        return f"unknown key {where!r}; {did_you_mean(str(item['loc'][-1]), fields)}"
    if item["type"] == "missing":
        return f"key {where!r} is missing"
    got = "" if isinstance(item["input"], dict) else f" (got {item['input']!r})"
    return f"{where or 'run'}: {item['msg'].removeprefix('Value error, ')}{got}"


def _fields_at(path: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = RunConfig
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        candidates = [annotation, *get_args(annotation)]
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)
