"""Segmentation networks by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import timm
from torch import nn

from aucseg.errors import HubError, MissingFileError, OptionError, did_you_mean
from aucseg.models.encoders import encoders
from aucseg.models.registry import check_options, list_models, network_class, standard_encoder
from aucseg.models.weights import load_encoder_weights

# Arguments of an architecture that have names of their own here, or take "everything else".
_OURS = ("encoder_name", "encoder_weights", "classes")
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def create_model(
    name: str = "unet",
    encoder: str | None = None,
    *,
    num_classes: int,
    encoder_weights: str | Path | None = None,
    **options: Any,
) -> nn.Module:
    """A segmentation network by name and encoder.

    Args:
        name: architecture, one of :func:`list_models`.
        encoder: any encoder of smp, one of this package (``mscan_t`` to ``mscan_l``, ``stdc1``, ``stdc2``),
            or of timm with the prefix ``tu-``. ``None`` takes the network's own: see
            :func:`standard_encoder`.
        num_classes: number of classes K; the network maps (B,3,H,W) images to (B,K,H,W) logits.
        encoder_weights: ``None`` starts from random weights; the path of a safetensors or torch file loads
            it (see :func:`load_encoder_weights`); a name such as ``"imagenet"`` is fetched from the hub by
            smp or timm, which needs a network. For a ``tu-`` encoder ``"imagenet"`` is what timm has for it;
            which that is, its name says (``tu-resnet50.a1_in1k``). Nothing is fetched unless asked.
        options: passed on to the architecture, for example ``decoder_channels``.

    Returns:
        The network. Those of this package return more than logits in training mode: see :class:`Network`.

    Raises:
        ValueError: for an unknown name (with the nearest one), fewer than two classes, an unknown encoder or
            one that the network cannot take, an option that the architecture does not take, or weights that
            do not fit the encoder.
        FileNotFoundError: if ``encoder_weights`` is a path to nothing.
        ConnectionError: if ``encoder_weights`` is a name and the hub cannot be reached.
    """
    if num_classes < 2:
        raise OptionError(f"num_classes must be at least 2, got {num_classes}")
    if name not in list_models():
        raise OptionError(f"unknown model {name!r}; {did_you_mean(name, list_models())}")
    own = standard_encoder(name)
    if own is None and encoder is not None:
        raise OptionError(f"{name!r} is one whole and takes no encoder, got {encoder!r}; leave it out (None)")
    encoder = encoder or own
    if encoder is not None:
        _check_encoder(encoder)
    architecture = network_class(name)
    check_options(architecture, encoder, options, without=_OURS)
    # A YAML file has lists where smp compares with tuples.
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    local = _local_file(encoder_weights)
    if encoder is not None:
        fetched = None if local or encoder_weights is None else _on_hub(encoder, encoder_weights)
        options |= {"encoder_name": encoder, "encoder_weights": fetched}
    elif encoder_weights is not None and local is None:
        raise OptionError(f"{name!r} has no published weights of the name {encoder_weights!r}; give a file")
    try:
        model: Any = architecture(classes=num_classes, **options)
    except OSError as error:
        raise HubError(
            f"cannot fetch the weights {encoder_weights!r} of {encoder!r} ({error}); with a file of them "
            "give its path, or None for random weights"
        ) from error
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        # timm and smp each raise their own type for an unknown encoder or option.
        raise OptionError(f"cannot build {name!r} with encoder {encoder!r}: {error}") from error
    if local is not None:
        load_encoder_weights(model.encoder, local)
    built: nn.Module = model
    return built


def _check_encoder(encoder: str) -> None:
    """Refuse an encoder that nobody has, with the nearest name."""
    if encoder.startswith("tu-"):
        name = encoder[3:]
        if not timm.is_model(name):
            hint = _nearest(name.partition(".")[0], timm.list_models())
            raise OptionError(f"timm has no encoder {name!r}; {hint}")
    elif encoder not in encoders:
        raise OptionError(f"unknown encoder {encoder!r}; {_nearest(encoder, encoders)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    # all of them would be a page
    hint = did_you_mean(name, known)
    return hint if "did you mean" in hint else "smp's encoders, or timm's with the prefix 'tu-', can be named"


def _local_file(weights: str | Path | None) -> Path | None:
    """The file that weights are in, None where they are a name of smp or timm."""
    if weights is None:
        return None
    path = Path(weights)
    named = isinstance(weights, str) and len(path.parts) == 1 and path.suffix not in _SUFFIXES
    # a folder of data that happens to be called imagenet is not meant
    if named and not path.is_file():
        return None
    if not path.is_file():
        raise MissingFileError(f"no file of encoder weights at {path}")
    return path


def _on_hub(encoder: str, weights: str | Path) -> str | bool:
    """Published weights in the words of smp, which wants True for an encoder of timm."""
    if not encoder.startswith("tu-"):
        return str(weights)
    if weights != "imagenet":
        raise OptionError(
            f"weights of timm are part of an encoder's name, as in 'tu-resnet50.a1_in1k', got {weights!r} "
            f"for {encoder!r}; put them there and pass 'imagenet', or give the path of a file"
        )
    return True
