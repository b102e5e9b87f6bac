"""What a finding is, and the two sides that it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aucseg.experiments.published import published_table
from aucseg.longtail.statistics import list_statistics

# The papers' names of the data sets whose counts come along.
DATASET_LABELS = {"cityscapes": "Cityscapes", "ade20k": "ADE20K", "coco_stuff": "COCO-Stuff 164K"}
ROUNDING = 0.005  # percentages are printed with two digits


@dataclass(frozen=True, eq=False)
class Finding:
    """One place where print and data were compared.

    Args:
        name: short name, of the function too.
        place: paper and table, equation or section.
        printed: what the paper says, in a sentence.
        found: what the data say, in a sentence with the recomputed numbers.
        table: the numbers: what they are of, ``printed``, ``recomputed`` and ``difference`` (recomputed less
            printed), where these apply.
    """

    name: str
    place: str
    printed: str
    found: str
    table: pd.DataFrame


def printed_shares(name: str) -> np.ndarray:
    """Pixel shares as AUCSeg Tables 8, 9 and 10 print them, in percent, by train id, (K,).

    Args:
        name: ``"cityscapes"``, ``"ade20k"`` or ``"coco_stuff"``.
    """
    table = published_table("aucseg", "class_id_map")
    rows = table[table["table"] == 8 + list_statistics().index(name)].sort_values("index_0based")
    return rows["pixel_ratio_percent"].to_numpy(float)


def compare(keys: Mapping[str, object], printed: np.ndarray, recomputed: np.ndarray) -> pd.DataFrame:
    """A table of both sides, and recomputed less printed.

    Args:
        keys: columns that say what the numbers are of.
        printed: what the paper prints, (R,).
        recomputed: what the data give, (R,).
    """
    return pd.DataFrame(
        {**keys, "printed": printed, "recomputed": recomputed, "difference": recomputed - printed}
    )
