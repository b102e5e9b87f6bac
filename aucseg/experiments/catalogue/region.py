"""Region Rebalance (arXiv 2204.01969): why pixels are not rebalanced, and what the region branch adds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aucseg.experiments.catalogue.experiment import AUC, CE, DICE_CE, Arm, Experiment

RR: dict[str, Any] = {"name": "region_rebalance"}

# The weights of a batch's pixels have the mean 1, so that the rate keeps its meaning.
_WEIGHTS = {"name": "weighted_cross_entropy", "weights": "inverse"}

REGION_REBALANCE = Experiment(
    name="region_rebalance",
    title="Do regions rebalance what pixels cannot? (Region Rebalance, Table 1 and Figure 7)",
    arms=(
        Arm("baseline", "cross entropy", {"loss": CE, "bank": None}, "baseline"),
        Arm("reweighting", "re-weighting, 1/pixels", {"loss": _WEIGHTS, "bank": None}, "re-weighting"),
        Arm(
            "balanced_pixels",
            "balanced softmax, pixels",
            {"loss": {"name": "balanced_softmax"}, "bank": None},
            "balanced softmax",
        ),
        Arm(
            "balanced_regions",
            "balanced softmax, regions",
            {"loss": {"name": "balanced_softmax", "counts": "images"}, "bank": None},
            "balanced softmax with region-frequency prior",
        ),
        Arm("rr_plain", "region branch without its prior", {"loss": RR | {"prior": False}, "bank": None}),
        Arm("rr", "Region Rebalance", {"loss": RR, "bank": None}, "region rebalance"),
        Arm("rr_auc", "Region Rebalance + AUC", {"loss": RR | {"pixel": AUC}, "bank": None}),
        Arm(
            "rr_released",
            "Region Rebalance, as released",
            {
                "loss": RR
                | {"weight": 1.0, "classifier": "released", "regions": "batch", "label_smoothing": 0.5},
                "bank": None,
            },
        ),
        Arm(
            "ceco",
            "Center Collapse",
            {"loss": RR | {"weight": 0.8, "classifier": "simplex", "regions": "batch"}, "bank": None},
        ),
    ),
    baseline="baseline",
    paper="rr",
    table="table_1",
)

REGION_WEIGHT = Experiment(
    name="region_weight",
    title="How much region loss beside the pixels'? (Region Rebalance, Table 5)",
    arms=(
        Arm("weight_0", "λ = 0 (cross entropy)", {"loss": CE, "bank": None}, {"lambda": 0.0}),
        *(
            Arm(
                f"weight_{weight:g}",
                f"λ = {weight:g}",
                {"loss": RR | {"weight": weight}, "bank": None},
                {"lambda": weight},
            )
            for weight in (0.1, 0.2, 0.3, 0.4)
        ),
    ),
    baseline="weight_0",
    paper="rr",
    table="table_5",
)

# Of the eleven pairs in print those whose networks are here and have a small variant; UPerNet, PSPNet and
# DeepLabv3+ with ResNet-101, OCRNet with HRNet-W48 and the transformers are larger ones of the same.
_TABLE_3 = {
    "ocrnet": ("OCRNet", "HRNet-W18"),
    "upernet": ("UPerNet", "ResNet-50"),
    "pspnet": ("PSPNet", "ResNet-50"),
    "deeplabv3plus": ("DeepLabv3+", "ResNet-50"),
}


def _pair(name: str, method: str, backbone: str) -> Iterator[Arm]:
    """A network with cross entropy, and with the region branch."""
    for suffix, words, loss in (("", "", CE), ("_rr", " + RR", RR)):
        printed = {"method": method, "backbone": backbone, "rr": int(bool(suffix))}
        changes: dict[str, Any] = {"loss": loss, "bank": None}
        yield Arm(name + suffix, method + words, changes, printed, versus=name, network=name)


REGION_NETWORKS = Experiment(
    name="region_networks",
    title="Does the region branch help any network? (Region Rebalance, Table 3, Figures 1 and 6)",
    arms=tuple(arm for name, printed in _TABLE_3.items() for arm in _pair(name, *printed)),
    baseline="ocrnet",
    paper="rr",
    table="table_3",
)

REGION_DICE = Experiment(
    name="region_dice",
    title="Would a loss of overlap do as well? (Region Rebalance, Table 6)",
    arms=(
        Arm("baseline", "cross entropy", {"loss": CE, "bank": None}, "cross-entropy baseline"),
        Arm("dice", "Dice", {"loss": {"name": "dice"}, "bank": None}, "dice"),
        Arm(
            "dice_ce",
            "Dice + cross entropy",
            {"loss": DICE_CE, "bank": None},
            "dice + cross-entropy",
        ),
        Arm("rr", "Region Rebalance", {"loss": RR, "bank": None}, "region rebalance"),
    ),
    baseline="baseline",
    paper="rr",
    table="table_6",
)
