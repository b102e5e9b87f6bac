"""Salient objects: one class that stands out, in few pixels of its image (AUCSeg, Table 13)."""

from __future__ import annotations

from aucseg.experiments.catalogue.experiment import AUC, BANK, CE, DICE_CE, Arm, Experiment

# For data sets of two classes, as `--dataset ecssd`. Table 13 adds AUCSeg to a network and a loss that are
# not here, and says nothing of its bank: it is no row of this table.
SALIENT = Experiment(
    name="salient",
    title="Does the AUC loss help to find what stands out? (after AUCSeg, Table 13)",
    arms=(
        Arm("baseline", "cross entropy", {"loss": CE, "bank": None}),
        Arm("dice", "Dice + cross entropy", {"loss": DICE_CE, "bank": None}),
        Arm("auc", "+ AUC", {"loss": AUC, "bank": None}),
        # SI-SOD, the network of Table 13: an object counts the same whatever its size
        Arm(
            "auc_objects",
            "+ AUC, each object the same",
            {"loss": AUC | {"region_weights": "objects"}, "bank": None},
        ),
        Arm("both", "AUCSeg (both)", {"loss": AUC, "bank": BANK}),
    ),
    baseline="baseline",
    metrics=("MAE", "F_beta_mean", "E_mean", "auc_sigmoid"),
)
