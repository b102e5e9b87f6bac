"""Evaluations of trained networks by other decision rules: from checkpoints to records of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from aucseg import paths
from aucseg.data.files import path_part, write_file
from aucseg.experiments.results import Results
from aucseg.metrics import SegmentationIoU
from aucseg.models import FITTED, RULES, Rule, fit_rule
from aucseg.training import (
    CheckpointError,
    ConfigError,
    RecordError,
    SegmentationDataModule,
    SegmentationModule,
    load_module,
)
from aucseg.training.checkpoint import items_changed
from aucseg.training.record import environment

DECISION_SCHEMA = 1
_PIXELS = 200_000  # of the validation images: a rule has at most as many numbers as there are classes


class Decision(BaseModel):
    """One network by one decision rule.

    Attributes:
        schema_version: version of this format.
        identity: of the run, as its record has it.
        rule: one of ``aucseg.models.RULES``.
        fitted: what was fitted for the rule, by name.
        fitted_on: split on which that was; ``None`` where nothing was.
        split: split of the evaluation.
        eval_fingerprint: of its images and masks.
        profile: of the run.
        metrics: as in ``metrics`` of :class:`aucseg.training.Record`, without the AUC, which no rule changes.
        versions: of Python and the packages that matter.
        git_commit: as in a record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = DECISION_SCHEMA
    identity: str
    rule: str
    fitted: dict[str, Any]
    fitted_on: str | None
    split: str
    eval_fingerprint: str
    profile: str
    metrics: dict[str, Any]
    versions: dict[str, str]
    git_commit: str | None

    def write(self, root: Path | None = None) -> Path:
        """Write it to ``<root>/<profile>/<identity>-<rule>.json``.

        Args:
            root: ``data/records/decisions`` by default.

        Raises:
            DataError: if the system refuses.
        """
        text = (self.model_dump_json(indent=1) + "\n").encode()
        path = decision_path(self.profile, self.identity, self.rule, root)
        return write_file(path, lambda part: part.write_bytes(text))


def decision_path(profile: str, identity: str, rule: str, root: Path | None = None) -> Path:
    """Where the evaluation of a run by a rule lies or would lie.

    Args:
        profile: of the run.
        identity: of the run.
        rule: name of the rule.
        root: ``data/records/decisions`` by default.
    """
    folder = (root or paths.records() / "decisions") / path_part(profile, "profile")
    return folder / f"{path_part(identity, 'run')}-{path_part(rule, 'rule')}.json"


def read_decision(path: Path) -> Decision:
    """An evaluation from its file.

    Raises:
        RecordError: if the file is none, or of another version or run than its name says.
    """
    remedy = "delete it and evaluate the checkpoint again, or restore it from version control"
    try:
        found = Decision.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}", file=path) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise RecordError(f"is no evaluation ({where}: {first['msg']})", file=path, remedy=remedy) from error
    if found.schema_version != DECISION_SCHEMA or path.stem != f"{found.identity}-{found.rule}":
        raise RecordError("is of another version, run or rule than its name says", file=path, remedy=remedy)
    return found


def decide(
    checkpoint: str | Path,
    rules: Iterable[str] = RULES,
    *,
    validation: str = "val",
    root: str | Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Decision]:
    """Evaluate a trained network by several rules, in one pass over the images.

    What a rule needs is fitted on about 200,000 labelled pixels, as many of each validation image. Images of
    the evaluation are never looked at before.

    Args:
        checkpoint: file written by :func:`aucseg.training.train`.
        rules: names of rules.
        validation: the split that rules are fitted on.
        root: folder of the data set, if it lies elsewhere than configured.
        report: called with a line for each rule.

    Raises:
        ConfigError: if the network is evaluated on the split that rules are fitted on, or there is no such
            split.
        OptionError: for an unknown rule.
        MissingExtraError: for RankSEG without its package.
        CheckpointError, DataError: as :func:`aucseg.training.evaluate`.
    """
    names = [Rule(name).name for name in dict.fromkeys(rules)]
    module = load_module(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu")
    config = module.config.with_(device="auto")
    if root is not None:
        config = config.with_(data__root=paths.expand(root))
    split, fits = config.data.eval_split, [name for name in names if name in FITTED]
    if fits and split == validation:
        raise ConfigError(
            f"rule {fits[0]!r} is fitted on split {validation!r}, on which this network is evaluated",
            remedy="evaluate a network of the test images",
        )
    data = SegmentationDataModule(config)
    known = (module.trained_on or {}).get("eval_fingerprint")
    if root is None and known not in (None, data.eval_set.fingerprint()):
        raise CheckpointError(
            f"was trained on other data: {items_changed(split)}",
            file=checkpoint,
            remedy="name their folder with root to evaluate on what is there now",
        )
    chosen = [Rule(name) for name in names if name not in FITTED]
    if fits:
        held = SegmentationDataModule(config.with_(data__eval_split=validation))
        probabilities, target = _sample(module, held)
        prior = None
        if "prior" in fits:  # reads the training masks
            pixels = torch.as_tensor(data.classes.pixels).double().clamp(min=1)
            prior = pixels / pixels.sum()
        chosen += [fit_rule(name, probabilities, target, prior) for name in fits]
    chosen.sort(key=lambda rule: names.index(rule.name))
    spec = module.spec
    metrics = {
        rule.name: SegmentationIoU(
            spec.num_classes, spec.groups, spec.ignore_index, image_groups=module.iou.image_groups
        ).to(module.device)
        for rule in chosen
    }
    for ids, softmax, target in _scores(module, data):
        for rule in chosen:
            metrics[rule.name].update(ids if rule.name == "argmax" else rule(softmax), target)
    facts = environment()
    decisions = []
    for rule in chosen:
        values = metrics[rule.name].compute()
        found = {key: _plain(value, spec.names) for key, value in values.items()}
        report(f"{rule.name}: mIoU {100 * (found['mIoU'] or 0.0):.2f}")
        decisions.append(
            Decision(
                identity=module.config.identity,
                rule=rule.name,
                fitted=rule.fitted,
                fitted_on=validation if rule.name in FITTED else None,
                split=split,
                eval_fingerprint=data.eval_set.fingerprint(),
                profile=config.profile,
                metrics=found,
                versions=facts["versions"],
                git_commit=facts["git_commit"],
            )
        )
    return decisions


def decision_table(
    results: Results, rules: Iterable[str] = RULES, *, root: Path | None = None
) -> pd.DataFrame:
    """The recorded evaluations of an experiment's runs, a row for each run, rule and metric.

    Args:
        results: the runs.
        rules: names of rules.
        root: as for :func:`decision_path`.

    Returns:
        ``arm``, ``rule``, ``seed``, ``metric`` and ``value`` in percent.

    Raises:
        RecordError: for a file that is no evaluation.
    """
    rules = tuple(rules)
    rows = [
        (run.arm.name, rule, run.config.seed, metric, 100 * value)
        for run in results.runs
        for rule in rules
        if (path := decision_path(results.profile, run.config.identity, rule, root)).exists()
        for metric, value in read_decision(path).metrics.items()
        if isinstance(value, float)
    ]
    return pd.DataFrame(rows, columns=["arm", "rule", "seed", "metric", "value"])


@torch.inference_mode()
def _scores(
    module: SegmentationModule, data: SegmentationDataModule
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Ids, softmax and labels of each batch of the evaluation split."""
    for images, target in data.test_dataloader():
        batch = images.to(module.device), target.to(module.device)
        images, target = data.on_after_batch_transfer(batch, 0)
        ids, _, softmax = module.predict_scores(images)
        yield ids, softmax, target


def _sample(module: SegmentationModule, data: SegmentationDataModule) -> tuple[Tensor, Tensor]:
    """Probabilities (N,K) and labels (N,) of some labelled pixels of each image, the same in every call."""
    generator = torch.Generator().manual_seed(0)
    each = max(1, _PIXELS // len(data.eval_set))
    probabilities, labels = [], []
    for _, softmax, target in _scores(module, data):
        for image, mask in zip(softmax.cpu(), target.cpu(), strict=True):
            at = (mask != module.spec.ignore_index).flatten().nonzero()[:, 0]
            at = at[torch.randperm(len(at), generator=generator)[:each]]
            probabilities.append(image.flatten(1)[:, at].T)
            labels.append(mask.flatten()[at])
    return torch.cat(probabilities), torch.cat(labels)


def _plain(value: Tensor, names: tuple[str, ...]) -> Any:
    numbers = [None if number != number else number for number in value.double().flatten().tolist()]
    return dict(zip(names, numbers, strict=True)) if value.ndim else numbers[0]
