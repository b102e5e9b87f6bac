"""The networks of AUCSeg's Tables 1, 2 and 12, with and without AUCSeg."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aucseg.experiments.catalogue.experiment import AUC, BANK, CE, Arm, Experiment

TABLE_1_TITLES = {
    "deeplabv3plus": "DeepLabV3+",
    "encnet": "EncNet",
    "fastfcn": "FastFCN",
    "emanet": "EMANet",
    "danet": "DANet",
    "hrnet": "HRNet",
    "ocrnet": "OCRNet",
    "dnlnet": "DNLNet",
    "pointrend": "PointRend",
    "bisenetv2": "BiSeNetV2",
    "isanet": "ISANet",
    "stdc": "STDC",
    "segnext": "SegNeXt",
}
"""Networks of AUCSeg's Table 1: name here, name in print."""

# STDC is trained on its hard pixels, as its authors do.
_OWN_LOSS = {"stdc": {"ohem": True}}


def _pair(name: str, label: str, network: str) -> Iterator[Arm]:
    """A network with cross entropy, and with AUCSeg."""
    for suffix, words, loss, bank in (("", "", CE, None), ("_aucseg", " + AUCSeg", AUC, BANK)):
        changes: dict[str, Any] = {"loss": loss, "bank": bank}
        printed = {"backbone": label, "aucseg": int(bool(suffix))}
        yield Arm(name + suffix, label + words, changes, printed, versus=name, network=network)


NETWORKS = Experiment(
    name="networks",
    title="Thirteen networks, and AUCSeg on the last (AUCSeg, Table 1)",
    arms=(
        *(
            Arm(name, label, {"loss": CE | _OWN_LOSS.get(name, {}), "bank": None}, label, network=name)
            for name, label in TABLE_1_TITLES.items()
        ),
        Arm("segnext_aucseg", "SegNeXt + AUCSeg", {"loss": AUC, "bank": BANK}, "AUCSeg", network="segnext"),
    ),
    baseline="segnext",
    paper="aucseg",
    table="table_01",
)

BACKBONES = Experiment(
    name="backbones",
    title="Does AUCSeg help older networks? (AUCSeg, Table 2)",
    arms=tuple(
        arm
        for name in ("deeplabv3plus", "emanet", "ocrnet", "isanet")
        for arm in _pair(name, TABLE_1_TITLES[name], name)
    ),
    baseline="deeplabv3plus",
    paper="aucseg",
    table="table_02",
)

SEGNEXT_SIZES = Experiment(
    name="segnext_sizes",
    title="Does AUCSeg help SegNeXt of any size? (AUCSeg, Table 12)",
    arms=tuple(
        arm
        for size, label in {"t": "Tiny", "s": "Small", "b": "Base", "l": "Large"}.items()
        for arm in _pair(f"segnext_{size}", f"SegNeXt-{label}", f"segnext/mscan_{size}")
    ),
    baseline="segnext_t",
    paper="aucseg",
    table="table_12",
)
