"""Segmentation networks by name."""

from __future__ import annotations

import inspect
from typing import Any

import segmentation_models_pytorch as smp
from torch import nn

from aucseg.hints import did_you_mean

# Arguments of an architecture that have names of their own here, or take "everything else".
_OURS = ("encoder_name", "encoder_weights", "classes", "kwargs")


def list_models() -> tuple[str, ...]:
    """Names that :func:`create_model` takes, sorted."""
    return tuple(sorted(smp.MODEL_ARCHITECTURES_MAPPING))


def create_model(
    name: str = "unet",
    encoder: str = "resnet18",
    *,
    num_classes: int,
    encoder_weights: str | None = None,
    **options: Any,
) -> nn.Module:
    """A segmentation network of segmentation-models-pytorch, by name and encoder.

    Args:
        name: architecture, one of :func:`list_models`.
        encoder: any encoder of smp, or of timm with the prefix ``tu-``.
        num_classes: number of classes K; the network maps (B,3,H,W) images to (B,K,H,W) logits.
        encoder_weights: ``None`` starts from random weights; a name such as ``"imagenet"`` is fetched from
            the hub by smp, which needs a network. Nothing is fetched unless asked.
        options: passed on to the architecture, for example ``decoder_channels``.

    Returns:
        The network.

    Raises:
        ValueError: for an unknown name (with the nearest one), fewer than two classes, an unknown encoder or
            an option that the architecture does not take.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}")
    if name not in list_models():
        raise ValueError(f"unknown model {name!r}; {did_you_mean(name, list_models())}")
    architecture = smp.MODEL_ARCHITECTURES_MAPPING[name]
    known = [key for key in inspect.signature(architecture).parameters if key not in _OURS]
    for option in options:
        # smp hands what it does not know to timm encoders and drops it for its own.
        if option not in known and not encoder.startswith("tu-"):
            hint = did_you_mean(option, known)
            raise ValueError(f"{name!r} on {encoder!r} takes no option {option!r}; {hint}")
    # A YAML file has lists where smp compares with tuples.
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    try:
        model: nn.Module = smp.create_model(
            name, encoder_name=encoder, encoder_weights=encoder_weights, classes=num_classes, **options
        )
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        # timm and smp each raise their own type for an unknown encoder or option.
        raise ValueError(f"cannot build {name!r} with encoder {encoder!r}: {error}") from error
    return model
