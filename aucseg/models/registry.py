"""Which networks there are, by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import segmentation_models_pytorch as smp

from aucseg.errors import OptionError, did_you_mean
from aucseg.models.networks.base import Network
from aucseg.models.networks.bisenetv2 import BiSeNetV2
from aucseg.models.networks.danet import DANet
from aucseg.models.networks.dnlnet import DNLNet
from aucseg.models.networks.emanet import EMANet
from aucseg.models.networks.encnet import EncNet
from aucseg.models.networks.fastfcn import FastFCN
from aucseg.models.networks.hrnet import HRNet
from aucseg.models.networks.isanet import ISANet
from aucseg.models.networks.ocrnet import OCRNet
from aucseg.models.networks.pointrend import PointRend
from aucseg.models.networks.segnext import SegNeXt
from aucseg.models.networks.stdc import STDC

# In the order of AUCSeg's Table 1, whose first, DeepLabV3+, is smp's.
NETWORKS: dict[str, type[Network]] = {
    "encnet": EncNet,
    "fastfcn": FastFCN,
    "emanet": EMANet,
    "danet": DANet,
    "hrnet": HRNet,
    "ocrnet": OCRNet,
    "dnlnet": DNLNet,
    "pointrend": PointRend,
    "bisenetv2": BiSeNetV2,
    "isanet": ISANet,
    "stdc": STDC,
    "segnext": SegNeXt,
}

# smp's networks that Table 1 compares, at the encoder that it takes.
_STANDARD = {"deeplabv3plus": "resnet50"}


def list_models() -> tuple[str, ...]:
    """Names that :func:`create_model` takes, sorted: those of smp, and those of this package."""
    return tuple(sorted({*smp.MODEL_ARCHITECTURES_MAPPING, *NETWORKS}))


def network_class(name: str) -> type[smp.base.SegmentationModel]:
    """The class behind a name of :func:`list_models`."""
    cls: type[smp.base.SegmentationModel] = NETWORKS.get(name) or smp.MODEL_ARCHITECTURES_MAPPING[name]
    return cls


def standard_encoder(name: str) -> str | None:
    """The encoder that a network has if none is named; None where the network is one whole.

    For a network of AUCSeg's Table 1 it is the one that its published parameter count belongs to, and for any
    other the default of smp.
    """
    if name in NETWORKS:
        return NETWORKS[name].standard_encoder
    default: str = inspect.signature(network_class(name)).parameters["encoder_name"].default
    return _STANDARD.get(name, default)


def check_options(
    architecture: type[smp.base.SegmentationModel],
    encoder: str | None,
    options: Iterable[str],
    without: Sequence[str] = (),
) -> None:
    """Refuse options that a network would not take.

    An encoder of timm may know what its network does not; for its own encoders smp drops such an option.

    Args:
        architecture: class of the network.
        encoder: name of its encoder.
        options: names of the arguments that somebody gives.
        without: arguments of the class that are none of their business.

    Raises:
        ValueError: with the nearest option that the network has.
    """
    parameters = inspect.signature(architecture).parameters.values()
    known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name not in without]
    for option in options:
        if option not in known and not (encoder or "").startswith("tu-"):
            hint = did_you_mean(option, known)
            raise OptionError(
                f"{architecture.__name__} on encoder {encoder!r} takes no option {option!r}; {hint}"
            )


def small_options(name: str) -> dict[str, Any]:
    """Arguments of :func:`create_model` that make the smallest useful variant of a network, for a laptop.

    >>> small_options("unet")
    {'encoder': 'resnet18'}
    """
    return dict(NETWORKS[name].small) if name in NETWORKS else {"encoder": "resnet18"}
