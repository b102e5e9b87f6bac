"""Variants of the AUC loss (AUCSeg, Appendix G.7), and the cross entropy beside it (Table 23)."""

from __future__ import annotations

from fractions import Fraction

from aucseg.experiments.catalogue.experiment import AUC, BANK, CE, Arm, Experiment

SURROGATES = Experiment(
    name="surrogates",
    title="Which surrogate of the AUC? (AUCSeg, Table 15)",
    arms=(
        Arm("none", "cross entropy", {"loss": CE, "bank": None}, "none"),
        Arm("hinge", "AUCSeg, hinge", {"loss": AUC | {"surrogate": "hinge"}, "bank": BANK}, "hinge"),
        Arm("exp", "AUCSeg, exponential", {"loss": AUC | {"surrogate": "exp"}, "bank": BANK}, "exp"),
        Arm("square", "AUCSeg, square", {"loss": AUC, "bank": BANK}, "square"),
        Arm("logistic", "AUCSeg, logistic", {"loss": AUC | {"surrogate": "logistic"}, "bank": BANK}),
    ),
    baseline="none",
    paper="aucseg",
    table="table_15",
)

MULTICLASS = Experiment(
    name="multiclass",
    title="One-vs-one or one-vs-all? (AUCSeg, Table 16)",
    arms=(
        Arm("ovo", "one-vs-one, mean", {"loss": AUC, "bank": BANK}, "ovo"),
        Arm("ova", "one-vs-all, mean", {"loss": AUC | {"multiclass": "ova"}, "bank": BANK}, "ova"),
        # the released code averages over pairs for one and sums over classes for the other
        Arm(
            "ova_sum",
            "one-vs-all, sum",
            {"loss": AUC | {"multiclass": "ova", "reduction": "sum"}, "bank": BANK},
        ),
    ),
    baseline="ovo",
    paper="aucseg",
    table="table_16",
)

# The paper stops at 1, where the street's own choice begins: 2 and 4 are ours.
CE_WEIGHT = Experiment(
    name="ce_weight",
    title="How much cross entropy beside the AUC? (AUCSeg, Table 23)",
    arms=tuple(
        Arm(
            f"weight_{label.replace('/', '_')}",
            f"λ = {label}",
            {"loss": AUC | {"ce_weight": float(Fraction(label))}, "bank": BANK},
            label if Fraction(label) <= 1 else None,
        )
        for label in ("1/6", "1/5", "1/4", "1/3", "1/2", "1", "2", "4")
    ),
    baseline="weight_1",
    paper="aucseg",
    table="table_23",
)

QUEUE = Experiment(
    name="queue",
    title="Do K x K numbers of recent batches do what the memory bank does?",
    arms=(
        Arm("auc", "+ AUC", {"loss": AUC, "bank": None}),
        Arm("both", "+ AUC and bank", {"loss": AUC, "bank": BANK}),
        Arm(
            "momentum",
            "+ AUC and queue, momentum",
            {"loss": AUC | {"queue": {"momentum": 0.9}}, "bank": None},
        ),
        Arm("recent", "+ AUC and queue, 8 batches", {"loss": AUC | {"queue": {"batches": 8}}, "bank": None}),
        Arm(
            "tail_pairs",
            "+ AUC of tail-versus-rest pairs",
            {"loss": AUC | {"pairs": "tail_versus_rest"}, "bank": None},
        ),
    ),
    baseline="auc",
)
