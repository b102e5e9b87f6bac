"""What the parts of AUCSeg add, and the choices that were made on validation images."""

from __future__ import annotations

from aucseg.experiments.catalogue.experiment import AUC, BANK, CE, VAL, Arm, Experiment

ABLATION_COMPONENTS = Experiment(
    name="ablation_components",
    title="What do the AUC loss and the memory bank add, alone and together? (AUCSeg, Table 3)",
    arms=(
        Arm("baseline", "cross entropy", {"loss": CE, "bank": None}, "SegNeXt"),
        Arm("auc", "+ AUC", {"loss": AUC, "bank": None}, "SegNeXt+AUC"),
        Arm("bank", "+ bank", {"loss": CE, "bank": BANK}, "SegNeXt+TMB"),
        Arm("both", "AUCSeg (both)", {"loss": AUC, "bank": BANK}, "AUCSeg"),
    ),
    baseline="baseline",
    paper="aucseg",
    table="table_03",
)

_AUC_1 = AUC | {"ce_weight": 1.0}

SENSITIVITY = Experiment(
    name="sensitivity",
    title="How much do the weight of the cross entropy, the bank's ratios and the learning rate matter?",
    arms=(
        *(
            Arm(
                f"{name}_lr_{lr:g}",
                f"{label}, rate {lr:g}",
                {"loss": loss, "bank": None, "data": VAL, "optim": {"lr": lr}},
            )
            for name, label, loss in (("baseline", "cross entropy", CE), ("auc", "+ AUC, λ = 1", _AUC_1))
            for lr in (2e-3, 5e-3, 1e-2, 2e-2)
        ),
        *(
            Arm(
                f"auc_lambda_{weight:g}",
                f"+ AUC, λ = {weight:g}",
                {"loss": AUC | {"ce_weight": weight}, "bank": None, "data": VAL},
            )
            for weight in (0.25, 4.0)
        ),
        *(
            Arm(
                f"both_bank_{sample:g}_{resize:g}",
                f"AUCSeg, λ = 1, R_S = {sample:g}, R_R = {resize:g}",
                {
                    "loss": _AUC_1,
                    "bank": {"sample_ratio": sample, "resize_ratio": resize},
                    "data": VAL,
                },
            )
            for sample, resize in ((0.05, 0.4), (0.5, 0.7), (1.0, 1.0))
        ),
    ),
    baseline="baseline_lr_0.01",
)
