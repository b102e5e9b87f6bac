"""Losses for a long tail (AUCSeg Table 1, its lower half), as published and at the best of three options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from aucseg.experiments.catalogue.experiment import AUC, CE, VAL, Arm, Experiment

BLV: dict[str, Any] = {"name": "blv"}
LA: dict[str, Any] = {"name": "logit_adjusted"}
VS: dict[str, Any] = {"name": "vs"}
LDAM: dict[str, Any] = {"name": "ldam"}
FOCAL: dict[str, Any] = {"name": "focal"}
REGION: dict[str, Any] = {"name": "region_rebalance"}
COSINE: dict[str, Any] = {"head": "cosine"}


def alone(loss: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Changes of an arm that has a loss and no bank."""
    return {"loss": loss, "bank": None} | changes


# The second stage on frozen features: 2.5% of the first one's steps, without a warm-up, as released.
_DISALIGN: dict[str, Any] = {
    "method": {"name": "disalign"},
    "model": {"head": "aligned"},
    "optim": {"warmup_steps": 0},
}
_DISALIGN_LOSS = {"name": "weighted_cross_entropy", "weights": "power", "normalize": "pixels"}
_SECOND: dict[str, Any] = {"init_from": "baseline", "steps": 0.025}

# Published names are rows of AUCSeg's Table 1. Options are those of the methods' own papers; what others do
# is asked in `long_tail_tuning`, on validation images.
LONG_TAIL_LOSSES = Experiment(
    name="long_tail_losses",
    title="What do other losses for a long tail cost the head and give the tail? (AUCSeg, Table 1)",
    arms=(
        Arm("baseline", "cross entropy", alone(CE), "SegNeXt"),
        Arm("vs", "vector scaling", alone(VS), "VS"),
        Arm("la", "logit adjustment", alone(LA), "LA"),
        Arm("ldam", "LDAM, cosine head", alone(LDAM, model=COSINE), "LDAM"),
        Arm("focal", "focal", alone(FOCAL), "Focal Loss"),
        Arm("disalign", "DisAlign", alone(_DISALIGN_LOSS, **_DISALIGN), "DisAlign", **_SECOND),
        Arm("blv", "BLV", alone(BLV), "BLV"),
        Arm("auc", "+ AUC", alone(AUC)),
    ),
    baseline="baseline",
    paper="aucseg",
    table="table_01",
)

# The same budget for each method: three settings, one seed, validation images.
LONG_TAIL_TUNING = Experiment(
    name="long_tail_tuning",
    title="Which strength suits each of these losses? (on validation images)",
    arms=(
        Arm("baseline", "cross entropy", alone(CE, data=VAL)),
        *(
            Arm(f"la_tau_{tau:g}", f"logit adjustment, τ = {tau:g}", alone(LA | {"tau": tau}, data=VAL))
            for tau in (0.25, 0.5, 1.0)
        ),
        *(
            Arm(
                f"vs_{gamma:g}_{tau:g}",
                f"vector scaling, γ = {gamma:g}, τ = {tau:g}",
                alone(VS | {"gamma": gamma, "tau": tau}, data=VAL),
            )
            for gamma, tau in ((0.3, 1.0), (0.1, 0.5), (0.1, 0.0))
        ),
        *(
            Arm(
                f"ldam_scale_{scale:g}",
                f"LDAM, scale {scale:g}",
                alone(LDAM | {"scale": scale}, model=COSINE, data=VAL),
            )
            for scale in (10.0, 20.0, 30.0)
        ),
        *(
            Arm(f"focal_{gamma:g}", f"focal, γ = {gamma:g}", alone(FOCAL | {"gamma": gamma}, data=VAL))
            for gamma in (0.5, 1.0, 2.0)
        ),
        *(
            Arm(
                f"disalign_{power:g}",
                f"DisAlign, ρ = {power:g}",
                alone(_DISALIGN_LOSS | {"power": power}, data=VAL, **_DISALIGN),
                **_SECOND,
            )
            for power in (0.2, 0.3, 0.5)
        ),
        *(
            Arm(f"blv_sigma_{sigma:g}", f"BLV, σ = {sigma:g}", alone(BLV | {"sigma": sigma}, data=VAL))
            for sigma in (0.5, 2.0, 6.0)
        ),
        *(
            Arm(
                f"rr_weight_{weight:g}",
                f"Region Rebalance, λ = {weight:g}",
                alone(REGION | {"weight": weight}, data=VAL),
            )
            for weight in (0.1, 0.3, 1.0)
        ),
    ),
    baseline="baseline",
)

# Of the three settings of each method the one with the highest mIoU on the validation images of the street.
# A test holds it against the records: what a run is must not depend on what was recorded.
TUNED = {
    "vs": "vs_0.1_0",
    "la": "la_tau_0.5",
    "ldam": "ldam_scale_10",
    "focal": "focal_2",
    "disalign": "disalign_0.5",
    "blv": "blv_sigma_0.5",
    "rr": "rr_weight_0.3",
}


def _tuned() -> Iterator[Arm]:
    tried = {arm.name: arm for arm in LONG_TAIL_TUNING.arms}
    for method, choice in TUNED.items():
        changes = {key: value for key, value in tried[choice].changes.items() if key != "data"}
        yield replace(tried[choice], name=method, changes=changes)


LONG_TAIL_TUNED = Experiment(
    name="long_tail_tuned",
    title="What do they cost and give at the strength that validation images chose?",
    arms=(
        Arm("baseline", "cross entropy", alone(CE)),
        *_tuned(),
        Arm("auc", "+ AUC", alone(AUC)),
    ),
    baseline="baseline",
)
