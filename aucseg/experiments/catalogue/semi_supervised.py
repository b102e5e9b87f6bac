"""BLV (CVPR 2023) where few images have labels: its Tables 2 and 5, and Table 5 of its supplement."""

from __future__ import annotations

from typing import Any

from aucseg.experiments.catalogue.experiment import AUC, BANK, CE, Arm, Experiment
from aucseg.experiments.catalogue.longtail import BLV, LA

TEACHER: dict[str, Any] = {"name": "mean_teacher"}


def taught(loss: dict[str, Any], **method: Any) -> dict[str, Any]:
    """Changes of an arm that has a loss, a teacher and no bank."""
    return {"loss": loss, "bank": None, "method": TEACHER | method}


# A moving average of 0.999 looks back over a thousand steps, more than a short run has: 0.99 as in U2PL.
_SHORT: dict[str, dict[str, Any]] = {"method": TEACHER | {"decay": 0.99}}
SHORT_RUNS: dict[tuple[str, str], Any] = {
    (dataset, profile): _SHORT
    for dataset in ("streets", "camvid", "carla")
    for profile in ("smoke", "laptop", "gpu")
}
# A step with a teacher is more than two supervised ones: half of the profiles' images of each kind, and fewer
# steps; of CamVid a quarter of the pixels too.
SHORT_RUNS["streets", "laptop"] = _SHORT | {
    "data": {"batch_size": 4},
    "optim": {"steps": 400, "warmup_steps": 40},
}
SHORT_RUNS["camvid", "laptop"] = _SHORT | {
    "data": {"size": (96, 128), "crop_size": (64, 96), "batch_size": 4},
    "optim": {"steps": 400, "warmup_steps": 40},
}

# BLV 4.2, and where it says nothing what U2PL and UniMatch have on Cityscapes: 240 epochs of the labelled and
# the other images together, half of a batch of 16 of each kind, windows of the crop two thirds apart.
_PUBLISHED: dict[str, Any] = {
    "data": {
        "size": (1024, 2048),
        "resize": (1024, 2048),
        "crop_size": (769, 769),
        "scale": (0.5, 2.0),
        "photometric": False,
        "max_class_share": 1.0,
        "batch_size": 8,
        "tail_classes": "cityscapes_blv",
    },
    "model": {"name": "deeplabv3plus", "encoder": "resnet101", "encoder_weights": "imagenet"},
    "optim": {
        "name": "sgd",
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "power": 0.9,
        "steps": 40_000,
        "warmup_steps": 0,
        "decoder_factor": 1.0,
        "decay_norm": True,
    },
    "evaluation": {"window": (769, 769), "stride": (513, 513)},
}


def _shared(fraction: str) -> dict[str, Any]:
    """What all tables at a fraction have."""
    return {
        "baseline": "self_training",
        "paper": "blv",
        "smaller": SHORT_RUNS | {("cityscapes", "paper"): _PUBLISHED},
        "settings": (f"data.labelled={fraction}",),
    }


def _table(fraction: str) -> dict[str, Any]:
    """All but the names of a table at one fraction of labelled images."""
    printed = {"partition": fraction}
    return {
        "title": f"What do images without labels add where {fraction} of them have some? (BLV, Table 2)",
        "arms": (
            Arm("labelled_only", "labelled images only", {"loss": CE, "bank": None}),
            Arm(
                "self_training",
                "self-training",
                taught(CE),
                printed | {"method": "Self-Training"},
            ),
            Arm(
                "blv_estimated",
                "+ BLV, estimated counts",
                taught(BLV, counts="estimated"),
                printed | {"method": "Self-Training+BLV"},
            ),
            Arm("blv_labelled", "+ BLV, labelled counts", taught(BLV)),
            Arm("blv_true", "+ BLV, true counts", taught(BLV, counts="true")),
            Arm("auc", "+ AUC", taught(AUC)),
            Arm("auc_bank", "+ AUC and bank", taught(AUC) | {"bank": BANK}),
        ),
        "table": "table_2",
        **_shared(fraction),
    }


SEMI_SUPERVISED = (
    Experiment(name="semi_supervised_16", **_table("1/16")),
    Experiment(name="semi_supervised_8", **_table("1/8")),
    Experiment(name="semi_supervised_4", **_table("1/4")),
    Experiment(name="semi_supervised_2", **_table("1/2")),
)


def _counts(fraction: str) -> dict[str, Any]:
    """All but the names of a table of the ways to count, at one fraction."""
    printed = {"partition": fraction}
    return {
        "title": f"How are classes counted that have no labels? ({fraction}; BLV, supplement, Table 5)",
        "arms": (
            Arm(
                "self_training",
                "self-training",
                taught(CE),
                printed | {"method": "self-training"},
            ),
            Arm(
                "labelled",
                "of the labelled images",
                taught(BLV),
                printed | {"method": "BLV, counts from labelled images only"},
            ),
            Arm(
                "estimated",
                "by the teacher, each epoch",
                taught(BLV, counts="estimated"),
                printed | {"method": "BLV, counts re-estimated each epoch"},
            ),
            Arm(
                "student",
                "by the student, each epoch",
                taught(BLV, counts="estimated", counted_by="student"),
            ),
            Arm(
                "with_labelled",
                "by the teacher, and the labelled pixels",
                taught(BLV, counts="estimated", count_labelled=True),
            ),
            Arm("true", "true ones", taught(BLV, counts="true")),
        ),
        "table": "supp_table_5",
        **_shared(fraction),
    }


SEMI_SUPERVISED_COUNTS = (
    Experiment(name="semi_supervised_counts_16", **_counts("1/16")),
    Experiment(name="semi_supervised_counts_8", **_counts("1/8")),
)

# The partition is not given; DARS is quoted there from its own paper.
SEMI_SUPERVISED_RIVALS = Experiment(
    name="semi_supervised_rivals",
    title="How much less do others reach than BLV, with few labels? (1/8; BLV, Table 5)",
    arms=(
        Arm(
            "blv",
            "BLV",
            taught(BLV, counts="estimated"),
            {"supervision": "semi", "method": "BLV"},
        ),
        Arm(
            "la",
            "logit adjustment",
            taught(LA, counts="estimated"),
            {"supervision": "semi", "method": "LA"},
        ),
        Arm("lovasz", "Lovász-Softmax", taught({"name": "lovasz"})),
        Arm("self_training", "self-training", taught(CE)),
    ),
    baseline="blv",
    paper="blv",
    table="table_5",
    smaller=SHORT_RUNS
    | {("cityscapes", "paper"): _PUBLISHED | {"model": {"name": "pspnet", "encoder": "resnet50"}}},
    settings=("data.labelled=1/8",),
)
