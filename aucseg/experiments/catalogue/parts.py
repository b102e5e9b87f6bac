"""Parts of configurations that the experiments share: two runs of equal parts are one run."""

from __future__ import annotations

from typing import Any

CE: dict[str, Any] = {"name": "cross_entropy"}
AUC: dict[str, Any] = {"name": "auc", "ce_weight": 1.0}
# What the released code uses on Cityscapes (the paper names ratios for ADE20K only), and the best of the
# three that SENSITIVITY tries on validation streets.
BANK: dict[str, Any] = {"sample_ratio": 1.0, "resize_ratio": 1.0}
VAL: dict[str, Any] = {"eval_split": "val"}  # choices are made here, claims are made on test
