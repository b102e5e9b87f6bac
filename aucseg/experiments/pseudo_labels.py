"""What a record of self-training says of its pseudo-labels: which classes they hold, and how rightly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from aucseg.training import Record

_SHARES = ("truth", "predicted", "counted")


def pseudo_label_shares(record: Record) -> pd.DataFrame:
    """What became of the images without labels during a run, by class.

    Args:
        record: a run with a teacher.

    Returns:
        One row for each ``step`` at which the run looked, and ``class``, of the pixels since the step before:
        ``group``; ``truth``, ``predicted`` and ``counted``, the shares of the class among what the masks
        hold, what the teacher predicted, and the pseudo-labels that count; ``kept``, which share of the
        pixels that are truly of the class counts, as whatever it was predicted; ``precision``, which share of
        the pseudo-labels of the class that count is right; ``recall``, which share of its pixels is predicted
        as it. All in percent; nan where there is no pixel to divide by. Nothing for other records.
    """
    told = record.method or {}
    if "step" not in told:
        return pd.DataFrame(columns=["step", "class", "group", *_SHARES, "kept", "precision", "recall"])
    names = list(record.dataset["classes"])
    pixels = {
        row: np.array([values[name] for name in names], float)
        for row, values in told.items()
        if isinstance(values, Mapping) and row not in ("labelled", "unlabelled", "estimated")
    }
    with np.errstate(invalid="ignore"):
        tables = {row: pixels[row] / pixels[row].sum(0) for row in _SHARES} | {
            "kept": pixels["counted_truth"] / pixels["truth"],
            "precision": pixels["counted_right"] / pixels["counted"],
            "recall": pixels["right"] / pixels["truth"],
        }
    if not pixels["truth"].any():  # nobody knows what is right
        for row in ("truth", "kept", "precision", "recall"):
            tables[row] = np.full_like(pixels["truth"], np.nan)
    steps = np.array(told["step"])
    frame = {
        "step": np.repeat(steps, len(names)),
        "class": np.tile(names, len(steps)),
        "group": np.tile(list(record.dataset["groups"]), len(steps)),
    }
    return pd.DataFrame(frame | {row: 100 * table.T.ravel() for row, table in tables.items()})


def estimated_shares(record: Record) -> pd.DataFrame:
    """The class distribution by BLV's Eq. 4 after each epoch, beside the true one.

    Args:
        record: a run whose class counts are estimated.

    Returns:
        One row for each ``step`` of an estimate and ``class``: ``group``, and in percent ``estimated``,
        ``truth``, of the masks of the images without labels (nan without masks), and ``labelled``, of the
        images with labels, which stand for it before the first estimate. Nothing for other records.
    """
    told = record.method or {}
    steps, names = told.get("estimated_step", []), list(record.dataset["classes"])
    columns = ["step", "class", "group", "estimated", "truth", "labelled"]
    if not steps:
        return pd.DataFrame(columns=columns)
    estimated = np.array([told["estimated"][name] for name in names], float)
    beside = {
        column: np.full(len(names), np.nan)
        if told[row] is None
        else np.array([told[row][name] for name in names], float)
        for column, row in (("truth", "unlabelled"), ("labelled", "labelled"))
    }
    frame: dict[str, Any] = {
        "step": np.repeat(steps, len(names)),
        "class": np.tile(names, len(steps)),
        "group": np.tile(list(record.dataset["groups"]), len(steps)),
        "estimated": (100 * estimated / estimated.sum(0)).T.ravel(),
    }
    frame |= {column: np.tile(100 * pixels / pixels.sum(), len(steps)) for column, pixels in beside.items()}
    return pd.DataFrame(frame, columns=columns)


def distance_of_shares(one: pd.Series, other: pd.Series) -> float:
    r"""Total variation of two distributions, :math:`\tfrac12 \sum_k |p_k - q_k|`, in the unit of the shares.

    Args:
        one: p, of each class.
        other: q, of the same classes in the same order.
    """
    return float(np.abs(one.to_numpy(float) - other.to_numpy(float)).sum() / 2)
