"""Losses for a long tail (AUCSeg Table 1, its lower half) and BLV's ablations (Tables 6 to 8)."""

from __future__ import annotations

from typing import Any

from aucseg.experiments.catalogue.experiment import AUC, CE, VAL, Arm, Experiment

BLV: dict[str, Any] = {"name": "blv"}
LA: dict[str, Any] = {"name": "logit_adjusted"}
VS: dict[str, Any] = {"name": "vs"}
LDAM: dict[str, Any] = {"name": "ldam"}
FOCAL: dict[str, Any] = {"name": "focal"}
COSINE: dict[str, Any] = {"head": "cosine"}


def _alone(loss: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"loss": loss, "bank": None} | changes


# Published names are rows of AUCSeg's Table 1. Options are those of the methods' own papers; what others do
# is asked in `long_tail_tuning`, on validation images.
LONG_TAIL_LOSSES = Experiment(
    name="long_tail_losses",
    title="What do other losses for a long tail cost the head and give the tail? (AUCSeg, Table 1)",
    arms=(
        Arm("baseline", "cross entropy", _alone(CE), "SegNeXt"),
        Arm("vs", "vector scaling", _alone(VS), "VS"),
        Arm("la", "logit adjustment", _alone(LA), "LA"),
        Arm("ldam", "LDAM, cosine head", _alone(LDAM, model=COSINE), "LDAM"),
        Arm("focal", "focal", _alone(FOCAL), "Focal Loss"),
        Arm("blv", "BLV", _alone(BLV), "BLV"),
        Arm("auc", "+ AUC", _alone(AUC)),
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
        Arm("baseline", "cross entropy", _alone(CE, data=VAL)),
        *(
            Arm(f"la_tau_{tau:g}", f"logit adjustment, τ = {tau:g}", _alone(LA | {"tau": tau}, data=VAL))
            for tau in (0.25, 0.5, 1.0)
        ),
        *(
            Arm(
                f"vs_{gamma:g}_{tau:g}",
                f"vector scaling, γ = {gamma:g}, τ = {tau:g}",
                _alone(VS | {"gamma": gamma, "tau": tau}, data=VAL),
            )
            for gamma, tau in ((0.3, 1.0), (0.1, 0.5), (0.1, 0.0))
        ),
        *(
            Arm(
                f"ldam_scale_{scale:g}",
                f"LDAM, scale {scale:g}",
                _alone(LDAM | {"scale": scale}, model=COSINE, data=VAL),
            )
            for scale in (10.0, 20.0, 30.0)
        ),
        *(
            Arm(f"focal_{gamma:g}", f"focal, γ = {gamma:g}", _alone(FOCAL | {"gamma": gamma}, data=VAL))
            for gamma in (0.5, 1.0, 2.0)
        ),
        *(
            Arm(f"blv_sigma_{sigma:g}", f"BLV, σ = {sigma:g}", _alone(BLV | {"sigma": sigma}, data=VAL))
            for sigma in (0.5, 2.0, 6.0)
        ),
    ),
    baseline="baseline",
)

BLV_VARIATIONS = Experiment(
    name="blv_variations",
    title="Which distribution varies the logits? (BLV, Table 6, in the supervised setting)",
    arms=(
        Arm("baseline", "cross entropy", _alone(CE), {"variation": "none"}),
        *(
            Arm(name, f"BLV, {name}", _alone(BLV | {"variation": name}), {"variation": name})
            for name in ("gaussian", "uniform", "beta", "exponential")
        ),
    ),
    baseline="baseline",
    paper="blv",
    table="table_6",
)

BLV_SIGMA = Experiment(
    name="blv_sigma",
    title="How wide is the variation? (BLV, Table 7, in the supervised setting)",
    arms=(
        Arm("baseline", "cross entropy", _alone(CE), {"sigma": "baseline"}),
        *(
            Arm(
                f"sigma_{sigma}", f"σ = {sigma}", _alone(BLV | {"sigma": float(sigma)}), {"sigma": str(sigma)}
            )
            for sigma in (3, 4, 5, 6, 7)
        ),
    ),
    baseline="baseline",
    paper="blv",
    table="table_7",
)

# A constant in the place of the draw is "w/o variation"; one coefficient for all classes is "w/o balance".
BLV_PARTS = Experiment(
    name="blv_parts",
    title="Is it the variation or the balance? (BLV, Table 8, in the supervised setting)",
    arms=(
        Arm("baseline", "cross entropy", _alone(CE), {"variant": "baseline"}),
        Arm(
            "constant",
            "without variation",
            _alone(BLV | {"variation": "constant"}),
            {"variant": "w/o variation"},
        ),
        Arm("mean", "without variation, mean of the draws", _alone(BLV | {"variation": "mean"})),
        Arm(
            "unbalanced",
            "without balance",
            _alone(BLV | {"coefficient": "ones"}),
            {"variant": "w/o balance"},
        ),
        Arm("blv", "BLV", _alone(BLV), {"variant": "BLV"}),
    ),
    baseline="baseline",
    paper="blv",
    table="table_8",
)
