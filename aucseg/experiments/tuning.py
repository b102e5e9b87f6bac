"""What an experiment on validation images chose for a profile."""

from __future__ import annotations

from typing import NamedTuple

from aucseg.experiments.results import Results


class Setting(NamedTuple):
    """Rate and length of a training.

    Attributes:
        lr: the decoder's rate, and from random weights the encoder's too.
        steps: optimiser steps.
    """

    lr: float
    steps: int


def best_setting(tried: Results, metric: str = "mIoU") -> Setting | None:
    """The rate and the steps that came out best, for all losses that were tried alike.

    For each setting the metric is averaged over losses and seeds; a choice for each loss would need as many
    trainings for every other loss as well.

    Args:
        tried: runs whose arms differ in loss, rate and steps, on validation images.
        metric: what is compared.

    Returns:
        ``None`` while a run has no record: what was not tried could be better.

    Raises:
        ValueError: if a run is not evaluated on validation images.
    """
    values: dict[Setting, list[float]] = {}
    for run in tried.runs:
        config = run.config
        if config.data.eval_split != "val":
            raise ValueError(
                f"arm {run.arm.name!r} is evaluated on split {config.data.eval_split!r}; "
                "choices are made on 'val'"
            )
        record = tried.records[config.identity]
        if record is None:
            return None
        setting = Setting(round(config.optim.lr * config.optim.decoder_factor, 12), config.optim.steps)
        values.setdefault(setting, []).append(record.metrics[metric])
    return max(values, key=lambda setting: sum(values[setting]) / len(values[setting]), default=None)
