"""The methods of the three papers and their combinations, each at the strength chosen on the street."""

from __future__ import annotations

from typing import Any

from aucseg.experiments.catalogue.experiment import AUC, BANK, CE, DICE_CE, Arm, Experiment
from aucseg.experiments.catalogue.longtail import LONG_TAIL_TUNED, alone

_CHOSEN = {arm.name: arm.changes["loss"] for arm in LONG_TAIL_TUNED.arms}
_BLV, _RR = _CHOSEN["blv"], _CHOSEN["rr"]
# An AUC loss beside another one, as heavy as beside the cross entropy of a street.
_ADDED: dict[str, Any] = {"auc": {"weight": 1.0}}

# Combinations take the parts as they were chosen alone: nothing was tuned for a pair.
METHODS_COMPARED = Experiment(
    name="methods_compared",
    title="What do the methods of the three papers give and cost, alone and together?",
    arms=(
        Arm("baseline", "cross entropy", alone(CE)),
        Arm("auc", "AUC loss", alone(AUC)),
        Arm("bank", "memory bank", {"loss": CE, "bank": BANK}),
        Arm("both", "AUCSeg: AUC loss + bank", {"loss": AUC, "bank": BANK}),
        Arm("blv", "BLV", alone(_BLV)),
        Arm("rr", "Region Rebalance", alone(_RR)),
        Arm("rr_auc", "Region Rebalance + AUC loss", alone(_RR | {"pixel": AUC})),
        Arm("blv_auc", "BLV + AUC loss", alone(_BLV | _ADDED)),
        Arm("rr_blv", "Region Rebalance + BLV", alone(_RR | {"pixel": _BLV})),
        Arm("all", "all three", {"loss": _RR | {"pixel": _BLV | _ADDED}, "bank": BANK}),
        Arm("dice_ce", "Dice + cross entropy", alone(DICE_CE)),
        Arm("dice_auc", "Dice + cross entropy + AUC loss", alone(DICE_CE | _ADDED)),
    ),
    baseline="baseline",
)
