"""BLV (CVPR 2023) in the supervised setting: its Tables 1 and 5 to 8, and Table 1 of its supplement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from aucseg.experiments.catalogue.experiment import CE, Arm, Experiment
from aucseg.experiments.catalogue.longtail import BLV, LA, alone

VARIATIONS = ("gaussian", "uniform", "beta", "exponential")


# Tables 6 to 8 are of domain adaptation in print. Their arms are the same in any setting: it says what a run
# of a loss is, and what BLV is added to.
Made = Callable[[dict[str, Any]], dict[str, Any]]


def variation_arms(made: Made, base: str) -> tuple[Arm, ...]:
    """Table 6: no variation, and each distribution."""
    return (
        Arm("baseline", base, made(CE), {"variation": "none"}),
        *(
            Arm(name, f"BLV, {name}", made(BLV | {"variation": name}), {"variation": name})
            for name in VARIATIONS
        ),
    )


def sigma_arms(made: Made, base: str) -> tuple[Arm, ...]:
    """Table 7: no variation, and each width."""
    return (
        Arm("baseline", base, made(CE), {"sigma": "baseline"}),
        *(
            Arm(f"sigma_{s}", f"σ = {s}", made(BLV | {"sigma": float(s)}), {"sigma": str(s)})
            for s in (3, 4, 5, 6, 7)
        ),
    )


def part_arms(made: Made, base: str, *more: Arm) -> tuple[Arm, ...]:
    """Table 8; what is added stands after the arm without variation.

    A constant in the place of the draw is "w/o variation"; one coefficient for all classes is "w/o balance".
    """
    constant, ones = BLV | {"variation": "constant"}, BLV | {"coefficient": "ones"}
    return (
        Arm("baseline", base, made(CE), {"variant": "baseline"}),
        Arm("constant", "without variation", made(constant), {"variant": "w/o variation"}),
        *more,
        Arm("unbalanced", "without balance", made(ones), {"variant": "w/o balance"}),
        Arm("blv", "BLV", made(BLV), {"variant": "BLV"}),
    )


def _pair(name: str, label: str, network: str | None, printed: dict[str, str] | None) -> Iterator[Arm]:
    """A network with cross entropy, and with BLV."""
    for number, (suffix, words, loss) in enumerate((("", "", CE), ("_blv", " + BLV", BLV))):
        published = None if printed is None else printed | {"blv": number}
        yield Arm(name + suffix, label + words, alone(loss), published, versus=name, network=network)


BLV_NETWORKS = Experiment(
    name="blv_networks",
    title="Does BLV help any network? (BLV, Table 1)",
    arms=(
        *_pair("unet", "U-Net", None, None),  # the profile's own network: runs that other tables have too
        *_pair("upernet", "UPerNet", "upernet", {"backbone": "ResNet50", "decoder": "UperHead"}),
        *_pair("pspnet", "PSPNet", "pspnet", {"backbone": "ResNet50", "decoder": "PSPHead"}),
    ),
    baseline="unet",
    paper="blv",
    table="table_1",
)

BLV_RIVALS = Experiment(
    name="blv_rivals",
    title="How much less do others reach than BLV? (BLV, Table 5, fully supervised)",
    arms=(
        Arm("blv", "BLV", alone(BLV), {"supervision": "fully", "method": "BLV"}),
        Arm("la", "logit adjustment", alone(LA), {"supervision": "fully", "method": "LA"}),
        Arm(
            "lovasz",
            "Lovász-Softmax",
            alone({"name": "lovasz"}),
            {"supervision": "fully", "method": "Lovasz"},
        ),
        Arm("baseline", "cross entropy", alone(CE)),
    ),
    baseline="blv",
    paper="blv",
    table="table_5",
)

BLV_VARIATIONS = Experiment(
    name="blv_variations",
    title="Which distribution varies the logits? (BLV, Table 6, in the supervised setting)",
    arms=variation_arms(alone, "cross entropy"),
    baseline="baseline",
    paper="blv",
    table="table_6",
)

# Their means after clipping are 0.93, 0.50, 0.50 and 0.63: with one mean, that of the constant, nothing but
# the distribution differs.
BLV_COMMON_MEAN = Experiment(
    name="blv_common_mean",
    title="Which distribution varies the logits, if all have one mean?",
    arms=(
        Arm("constant", "the constant alone", alone(BLV | {"variation": "constant"})),
        *(
            Arm(name, f"BLV, {name}, mean 1", alone(BLV | {"variation": name, "common_mean": 1.0}))
            for name in VARIATIONS
        ),
        Arm("baseline", "cross entropy", alone(CE)),
    ),
    baseline="constant",
)

BLV_SIGMA = Experiment(
    name="blv_sigma",
    title="How wide is the variation? (BLV, Table 7, in the supervised setting)",
    arms=sigma_arms(alone, "cross entropy"),
    baseline="baseline",
    paper="blv",
    table="table_7",
)

BLV_PARTS = Experiment(
    name="blv_parts",
    title="Is it the variation or the balance? (BLV, Table 8, in the supervised setting)",
    arms=part_arms(
        alone,
        "cross entropy",
        Arm("mean", "without variation, mean of the draws", alone(BLV | {"variation": "mean"})),
    ),
    baseline="baseline",
    paper="blv",
    table="table_8",
)

BLV_SCHEDULE = Experiment(
    name="blv_schedule",
    title="Does it help to let the variation grow and fade? (BLV, supplement, Table 1, supervised)",
    arms=(
        Arm("baseline", "cross entropy", alone(CE), {"variant": "baseline"}),
        Arm("blv", "BLV", alone(BLV), {"variant": "BLV"}),
        *(
            Arm(
                f"blv_{schedule}",
                f"BLV, σ(t) {words}",
                alone(BLV | {"schedule": schedule}),
                {"variant": "BLV + time-varying sigma"} if schedule == "linear" else None,
                moments={"loss__peak_step": 0.75, "loss__last_step": 1.0},
            )
            for schedule, words in (("linear", "piecewise linear"), ("cosine", "of half cosines"))
        ),
    ),
    baseline="baseline",
    paper="blv",
    table="supp_table_1",
)

BLV_READINGS = Experiment(
    name="blv_readings",
    title="What do formula, listing and release of BLV make of it?",
    arms=(
        Arm("baseline", "cross entropy", alone(CE)),
        Arm("blv", "BLV, by its formula", alone(BLV)),
        Arm("order_listing", "clipped before the absolute value", alone(BLV | {"order": "listing"})),
        Arm("coefficient_listing", "coefficient of the listing", alone(BLV | {"coefficient": "listing"})),
        Arm(
            "coefficient_release",
            "coefficient of the first release",
            alone(BLV | {"coefficient": "release"}),
        ),
        Arm("draws_pixel", "one draw for a pixel", alone(BLV | {"draws": "pixel"})),
        Arm("draws_class", "one draw for a class and step", alone(BLV | {"draws": "class"})),
    ),
    baseline="baseline",
)
