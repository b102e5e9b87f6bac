"""Variants of the memory bank, and what may stand in its place (AUCSeg, Appendices E.1, G.6 and G.8 to G.10).

All are runs of the AUC loss. The bank of the street has 7 tail classes and the ratios that were chosen on its
validation images (R_S = 1, R_R = 1), not those of ADE20K's 124 tail classes; each table changes one option.
"""

from __future__ import annotations

from aucseg.experiments.catalogue.experiment import AUC, BANK, CE, Arm, Experiment

_DEFAULT_SIZE = 5  # S_M of BankConfig: an arm that names it is the same run

# Does what a newcomer gets by default do harm? The loss alone, the bank with the options that its class has,
# what `aucseg config` writes for the data. On each data set from each start: at half the sides of the
# profile, with half the images in a step and a quarter of the steps.
DEFAULTS = Experiment(
    name="defaults",
    title="Do the defaults do harm, where the tail is many classes and where it is tiny ones?",
    arms=(
        Arm("cross_entropy", "cross entropy", {"loss": CE, "bank": None}),
        Arm("auc", "+ AUC", {"loss": AUC, "bank": None}),
        Arm(
            "bank_default",
            "+ AUC and bank, options of the class",
            {"loss": AUC, "bank": {"sample_ratio": 0.05, "resize_ratio": 0.4, "budget": 0.05}},
        ),
        Arm("aucseg", "AUCSeg as configured", {"loss": AUC, "bank": BANK}),
    ),
    baseline="cross_entropy",
    metrics=("mIoU", "mIoU_head", "mIoU_middle", "mIoU_tail", "auc_sigmoid_tail"),
    smaller={
        ("ccp", "laptop"): {
            "data": {"size": (144, 96), "crop_size": (96, 64), "batch_size": 4},
            "optim": {"steps": 200, "warmup_steps": 20},
        },
        ("carla", "laptop"): {
            "data": {"size": (96, 128), "crop_size": (64, 96), "batch_size": 4},
            "optim": {"steps": 200, "warmup_steps": 20},
        },
    },
)

MEMORY_KIND = Experiment(
    name="memory_kind",
    title="Tail classes or all classes in the bank? (AUCSeg, Table 18)",
    arms=(
        Arm("tail", "TMB, tail classes", {"loss": AUC, "bank": BANK}, "TMB"),
        Arm("pixel", "PMB, all classes", {"loss": AUC, "bank": BANK | {"kind": "pixel"}}, "PMB"),
    ),
    baseline="tail",
    paper="aucseg",
    table="table_18",
)

REPLACEMENT = Experiment(
    name="replacement",
    title="Which object does a full bank give up? (AUCSeg, Table 19)",
    arms=tuple(
        Arm(policy, label, {"loss": AUC, "bank": BANK | {"replacement": policy}}, published)
        for policy, label, published in (
            ("random", "random", "Random"),
            ("fifo", "first in, first out", "FIFO"),
            ("lifo", "last in, first out", "LIFO"),
            ("priority_used", "priority used", "PU"),
        )
    ),
    baseline="random",
    paper="aucseg",
    table="table_19",
)

MEMORY_SIZE = Experiment(
    name="memory_size",
    title="How many objects for each tail class? (AUCSeg, Table 20)",
    arms=tuple(
        Arm(f"size_{size}", f"S_M = {size}", {"loss": AUC, "bank": BANK | {"memory_size": size}}, str(size))
        for size in (1, 3, _DEFAULT_SIZE, 8, 10, 20)
    ),
    baseline=f"size_{_DEFAULT_SIZE}",
    paper="aucseg",
    table="table_20",
)

# The paper's ratios, 0.01 to 0.15, draw 2 to 19 of 124 tail classes. Of the street's 7 those up to 0.14 all
# draw one, so that five of its six arms would be one run: the range is stretched instead.
SAMPLE_RATIO = Experiment(
    name="sample_ratio",
    title="What share of the missing tail classes is pasted? (AUCSeg, Table 21)",
    arms=tuple(
        Arm(
            f"ratio_{ratio:g}",
            f"R_S = {ratio:g}",
            {"loss": AUC, "bank": BANK | {"sample_ratio": ratio}},
            "0.05" if ratio == 0.05 else None,
        )
        for ratio in (0.05, 0.25, 0.5, 0.75, 1.0)
    ),
    baseline="ratio_1",
    paper="aucseg",
    table="table_21",
)

RESIZE_RATIO = Experiment(
    name="resize_ratio",
    title="How small is an object pasted? (AUCSeg, Table 22)",
    arms=tuple(
        Arm(
            f"ratio_{ratio:g}",
            f"R_R = {ratio:g}",
            {"loss": AUC, "bank": BANK | {"resize_ratio": ratio}},
            f"{ratio:g}",
        )
        for ratio in (0.3, 0.4, 0.5, 0.6, 0.7, 1.0)
    ),
    baseline="ratio_1",
    paper="aucseg",
    table="table_22",
)

FIXED_PIXELS = Experiment(
    name="fixed_pixels",
    title="Whole objects, or a fixed number of tail pixels in each image? (AUCSeg, Appendix G.8)",
    arms=(
        Arm("objects", "whole objects", {"loss": AUC, "bank": BANK}),
        *(
            Arm(
                f"pixels_{number}",
                f"{number // 1000},000 pixels of 512 x 512",
                {
                    "loss": AUC,
                    "bank": {"kind": "fixed_pixels", "image_share": number / 512**2, "resize_ratio": 1.0},
                },
            )
            for number in (10_000, 20_000, 30_000, 40_000)
        ),
    ),
    baseline="objects",
)

SAMPLING = Experiment(
    name="sampling",
    title="A bank, or a sampler that finds the tail classes? (AUCSeg, Appendix E.1)",
    arms=(
        Arm("random", "random batches", {"loss": AUC, "bank": None}),
        Arm(
            "stratified",
            "stratified sampling",
            {"loss": AUC, "bank": None, "data": {"sampling": "stratified"}},
        ),
        Arm(
            "covering",
            "improved stratified sampling",
            {"loss": AUC, "bank": None, "data": {"sampling": "covering"}},
        ),
        Arm(
            "copy_paste",
            "copy and paste within the batch",
            {"loss": AUC, "bank": BANK | {"kind": "copy_paste"}},
        ),
        Arm("bank", "memory bank", {"loss": AUC, "bank": BANK}),
    ),
    baseline="bank",
)

# Table 14 says what it costs to see five tail classes in a batch. On the street, batches of 16 images hold
# five of seven in 98 of 100 cases, batches of 8, the laptop profile's, in 80. As many steps of twice the
# images show each image twice as often; half as many show it as often as before, and cost the same.
BATCH_SIZE = Experiment(
    name="batch_size",
    title="A bank, or a larger batch? (AUCSeg, Table 14)",
    arms=(
        Arm("auc", "+ AUC", {"loss": AUC, "bank": None}),
        Arm("double", "+ AUC, twice the batch", {"loss": AUC, "bank": None}, batch=2.0),
        Arm(
            "double_half",
            "+ AUC, twice the batch, half the steps",
            {"loss": AUC, "bank": None},
            steps=0.5,
            batch=2.0,
        ),
        Arm("bank", "+ AUC and bank", {"loss": AUC, "bank": BANK}),
    ),
    baseline="auc",
)

# The paper does not say whether its steps stay: here they do, so that a larger batch sees more images.
BATCH_SIZES = Experiment(
    name="batch_sizes",
    title="Does AUCSeg help small batches most? (AUCSeg, Table 24)",
    arms=tuple(
        Arm(
            f"{name}_{size}",
            f"{label}, {size} image{'' if size == 1 else 's'}",
            {"loss": loss, "bank": bank, "data": {"batch_size": size}},
            {"batch_size": size, "aucseg": int(name == "aucseg")},
            versus=f"plain_{size}",
        )
        for size in (1, 2, 4, 8, 16)
        for name, label, loss, bank in (("plain", "cross entropy", CE, None), ("aucseg", "AUCSeg", AUC, BANK))
    ),
    baseline="plain_8",
    paper="aucseg",
    table="table_24",
)
