"""Parts of configurations that the experiments share: two runs of equal parts are one run."""

from __future__ import annotations

from typing import Any

from aucseg.experiments.profiles import CHOSEN

CE: dict[str, Any] = {"name": "cross_entropy"}
AUC: dict[str, Any] = {"name": "auc", "ce_weight": CHOSEN}
BANK: dict[str, Any] = {"sample_ratio": CHOSEN, "resize_ratio": CHOSEN}
VAL: dict[str, Any] = {"eval_split": "val"}  # choices are made here, claims are made on test
