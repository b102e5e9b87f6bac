"""What an encoder wants its images normalised by: that belongs to the weights it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

Channels = tuple[float, float, float]


class Normalization(NamedTuple):
    """Mean and standard deviation of the channels red, green, blue, in parts of the full scale.

    A network sees ``(x / 255 - mean) / std`` of images of bytes x:
    ``aucseg.data.normalize(images, *model.normalization)``.
    """

    mean: Channels
    std: Channels


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# The other two that published weights use. Inception's is x / 127.5 - 1.
_INCEPTION = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_DPN = Normalization((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3)
# EfficientNet-Lite as Google trained it: (x - 127) / 128.
LITE = Normalization((127 / 255,) * 3, (128 / 255,) * 3)

# smp's encoders whose weights are not of ImageNet's usual figures, by how their names begin, and its weights
# by that name. smp itself asks the hub for them, which a run's identity cannot.
_ENCODERS = {
    "inception": _INCEPTION,
    "xception": _INCEPTION,
    "timm-tf_efficientnet_lite": _INCEPTION,
    "dpn": _DPN,
}
_WEIGHTS = {"advprop": _INCEPTION}


def encoder_normalization(encoder: str | None, weights: str | Path | None) -> Normalization:
    """What an encoder wants its images normalised by.

    The figures are those of timm's and smp's own configuration of the weights; nothing is fetched for them.

    Args:
        encoder: its name, as for :func:`aucseg.models.create_model`; ``None`` for a network that is one
            whole.
        weights: what it starts from. ``None``, random weights, has no wish, and takes ImageNet's figures. A
            file is taken to hold what is published for the encoder; where nothing is, they are ImageNet's.

    Returns:
        ImageNet's figures for most.

    Example:
        >>> encoder_normalization("tu-tf_efficientnet_lite0", "package").mean[0] * 255
        127.0
    """
    if encoder is None or weights is None:
        return IMAGENET
    if weights == "package":
        return LITE
    if encoder.startswith("tu-"):
        return _of_timm(encoder[3:])
    if str(weights) in _WEIGHTS:
        return _WEIGHTS[str(weights)]
    return next((found for start, found in _ENCODERS.items() if encoder.startswith(start)), IMAGENET)


def _of_timm(name: str) -> Normalization:
    """What timm says; ImageNet's where it has no weights (and its figures are nobody's), or no such model."""
    import timm  # takes seconds, and most runs start from random weights

    if not timm.is_model(name) or not timm.is_model_pretrained(name):
        return IMAGENET
    settings = timm.get_pretrained_cfg(name)
    return Normalization(tuple(settings.mean), tuple(settings.std))
