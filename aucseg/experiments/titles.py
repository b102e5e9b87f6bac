"""What networks and encoders are called in a sentence."""

from __future__ import annotations

import re

from aucseg.experiments.catalogue.networks import TABLE_1_TITLES

_NETWORKS = TABLE_1_TITLES | {
    "unet": "U-Net",
    "unetplusplus": "U-Net++",
    "deeplabv3": "DeepLabV3",
    "segformer": "SegFormer",
    "pspnet": "PSPNet",
    "upernet": "UPerNet",
    "fpn": "FPN",
    "linknet": "LinkNet",
    "manet": "MA-Net",
    "pan": "PAN",
    "dpt": "DPT",
}
_ENCODERS = (
    (r"resnet(\d+)", r"ResNet-\1"),
    ("tu-mobilenetv4_conv_small_035", "MobileNetV4 (small, 0.35)"),
    (r"tu-tf_efficientnet_lite(\d)", r"EfficientNet-Lite\1"),
    (r"tu-hrnet_w(\d+)", r"HRNet-W\1"),
    (r"tu-hrnet_w(\d+)_small", r"HRNet-W\1-Small"),
    (r"mit_b(\d)", r"MiT-B\1"),
    *((f"mscan_{size}", f"MSCAN-{size.upper()}") for size in ("xt", "t", "s", "b", "l")),
)


def network_title(name: str, encoder: str | None = None) -> str:
    """A network as a sentence calls it.

    Args:
        name: as :func:`aucseg.models.create_model` takes it.
        encoder: the same; left out if None.

    Returns:
        The name in print; one that is not known here as it is.

    Example:
        >>> network_title("unet", "tu-tf_efficientnet_lite0")
        'U-Net on EfficientNet-Lite0'
    """
    network = _NETWORKS.get(name, name)
    return network if encoder is None else f"{network} on {encoder_title(encoder)}"


def encoder_title(name: str) -> str:
    """An encoder as a sentence calls it.

    Args:
        name: as :func:`aucseg.models.create_model` takes it.

    Returns:
        The name in print; one that is not known here as it is.

    Example:
        >>> encoder_title("resnet18")
        'ResNet-18'
    """
    for pattern, title in _ENCODERS:
        if found := re.fullmatch(pattern, name):
            return found.expand(title)
    return name
