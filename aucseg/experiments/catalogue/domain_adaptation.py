"""BLV (CVPR 2023) from one domain to another: its Tables 3 to 8, the last four in this setting as printed.

The real gap is from frames of a simulator to photographs, CARLA to CamVid. Offline there are drawn streets in
two looks, and CamVid from the drawn streets.
"""

from __future__ import annotations

from typing import Any

from aucseg.experiments.catalogue.blv import part_arms, sigma_arms, variation_arms
from aucseg.experiments.catalogue.experiment import AUC, CE, Arm, Domain, Experiment
from aucseg.experiments.catalogue.longtail import BLV, LA
from aucseg.experiments.catalogue.semi_supervised import SHORT_RUNS, TEACHER, taught

_LOOKS = Domain({"name": "streets"}, {"look": "autumn"})
# Images that are drawn for a rare class, and crops that hold enough of it.
_RARE = {"sampling": "rare_class", "crop": "class_share"}
_GTA5 = Domain(
    {"name": "gta5", "train_split": "all", "eval_split": "all"} | _RARE,
    published={"size": (720, 1280), "resize": (720, 1280)},
)
DOMAINS = {
    "camvid": Domain({"name": "carla", "classes": "camvid10"}, {"classes": "camvid10"}),
    "streets": _LOOKS,
    "cityscapes": _GTA5,
}
FROM_STREETS = {
    "camvid": Domain({"name": "streets", "classes": "camvid11"}, {"classes": "camvid11"}),
    "streets": _LOOKS,  # the drawn streets themselves: their other look
}
SIXTEEN = {
    "streets": Domain(
        {"name": "streets", "classes": "synthia16"}, {"look": "autumn", "classes": "synthia16"}
    ),
    "cityscapes": Domain(
        {"name": "synthia", "train_split": "all", "eval_split": "all", "classes": "synthia16"},
        {"classes": "synthia16"},
        {"size": (760, 1280), "resize": (760, 1280)} | _RARE,
    ),
}

# DAFormer's settings with a convolutional network: margins, class mix, rare classes, a tenth of the decoder's
# rate for the encoder, the distance of features to ImageNet's.
_DAFORMER: dict[str, dict[str, Any]] = {
    "data": {
        "size": (512, 1024),
        "resize": (512, 1024),
        "crop_size": (512, 512),
        "scale": None,
        "photometric": False,
        "max_class_share": 1.0,
        "batch_size": 2,
        "tail_classes": "cityscapes_blv",
    },
    "model": {"name": "deeplabv3plus", "encoder": "resnet101", "encoder_weights": "imagenet"},
    "method": TEACHER | {"margins": (15, 120, 0, 0), "share_of": "batch", "feature_distance": 0.005},
    "optim": {
        "lr": 6e-5,
        "weight_decay": 0.01,
        "steps": 40_000,
        "warmup_steps": 1_500,
        "decoder_factor": 10.0,
    },
}
_SMALLER: dict[tuple[str, str], Any] = SHORT_RUNS | {("cityscapes", "paper"): _DAFORMER}

_SHARED: dict[str, Any] = {"paper": "blv", "smaller": _SMALLER, "domains": DOMAINS}
_CNN = {"architecture": "CNN (DeepLabV2-R101)"}


def _arms(blv: dict[str, Any]) -> tuple[Arm, ...]:
    return (
        Arm(
            "source_only",
            "source only",
            {"loss": CE, "bank": None},
            _CNN | {"method": "source only"},
        ),
        Arm("self_training", "self-training", taught(CE), _CNN | {"method": "DAFormer", "blv": 0}),
        Arm("blv", "+ BLV", taught(blv), _CNN | {"method": "DAFormer", "blv": 1}),
        Arm("auc", "+ AUC", taught(AUC)),
        Arm("both", "+ BLV and AUC", taught(blv | {"auc": {"weight": 1.0}})),
    )


DOMAIN_ADAPTATION = Experiment(
    name="domain_adaptation",
    title="What does a loss for a long tail add from one domain to another? (BLV, Table 3)",
    arms=_arms(BLV),
    baseline="self_training",
    table="table_3",
    **_SHARED,
)

DOMAIN_ADAPTATION_STREETS = Experiment(
    name="domain_adaptation_streets",
    title="From drawn streets to photographs (as BLV, Table 3)",
    arms=_arms(BLV),
    baseline="self_training",
    table="table_3",
    **(_SHARED | {"domains": FROM_STREETS}),
)

DOMAIN_ADAPTATION_16 = Experiment(
    name="domain_adaptation_16",
    title="The same in sixteen classes, with sigma 4 (BLV, Table 4)",
    arms=_arms(BLV | {"sigma": 4.0}),
    baseline="self_training",
    table="table_4",
    **(_SHARED | {"domains": SIXTEEN}),
)


def _printed(method: str) -> dict[str, str]:
    return {"supervision": "domain adaptive", "method": method}


# RS and RW are not defined there: images by their rarest class, and inverse pixel counts.
DOMAIN_ADAPTATION_RIVALS = Experiment(
    name="domain_adaptation_rivals",
    title="How much less do others reach than BLV, from one domain to another? (BLV, Table 5)",
    arms=(
        Arm("blv", "BLV", taught(BLV), _printed("BLV")),
        Arm("rs", "resampling", taught(CE, source={"sampling": "rarest_class"}), _printed("RS")),
        Arm("rw", "reweighting", taught({"name": "weighted_cross_entropy"}), _printed("RW")),
        Arm(
            "rw_root",
            "reweighting by the root",
            taught({"name": "weighted_cross_entropy", "weights": "sqrt_inverse"}),
        ),
        Arm("la", "logit adjustment", taught(LA), _printed("LA")),
        Arm("lovasz", "Lovász-Softmax", taught({"name": "lovasz"})),
        Arm("self_training", "self-training", taught(CE)),
    ),
    baseline="blv",
    table="table_5",
    **_SHARED,
)

DOMAIN_ADAPTATION_VARIATIONS = Experiment(
    name="domain_adaptation_variations",
    title="Which distribution varies the logits? (BLV, Table 6)",
    arms=variation_arms(taught, "self-training"),
    baseline="baseline",
    table="table_6",
    **_SHARED,
)

DOMAIN_ADAPTATION_SIGMA = Experiment(
    name="domain_adaptation_sigma",
    title="How wide is the variation? (BLV, Table 7)",
    arms=sigma_arms(taught, "self-training"),
    baseline="baseline",
    table="table_7",
    **_SHARED,
)

DOMAIN_ADAPTATION_PARTS = Experiment(
    name="domain_adaptation_parts",
    title="Is it the variation or the balance? (BLV, Table 8)",
    arms=part_arms(taught, "self-training"),
    baseline="baseline",
    table="table_8",
    **_SHARED,
)
