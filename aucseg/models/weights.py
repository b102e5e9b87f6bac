"""Pretrained weights of encoders from local files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from segmentation_models_pytorch.encoders import TimmUniversalEncoder
from torch import Tensor, nn

from aucseg.errors import DataError
from aucseg.models.state import load_exactly, read_weights_file

# Names under which training scripts save a network's weights beside other things, the first one found.
_CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "encoder", "backbone", "weights")
# What wrappers put before the names: DistributedDataParallel, torch.compile, Lightning modules, networks.
_WRAPPERS = re.compile(r"^(?:(?:module|_orig_mod|model|encoder|backbone)\.)+")
# The end of ImageNet networks in torchvision, timm and the collections that smp takes its encoders from.
_CLASSIFIERS = ("fc.", "head.", "classifier.", "last_linear.", "_fc.")


def load_encoder_weights(encoder: nn.Module, path: str | Path) -> None:
    """Load weights into an encoder from a local file, all or nothing; nothing is fetched.

    The file may hold the encoder's own ``state_dict``, or that of an ImageNet network as torchvision and timm
    name it. A dictionary that has it as ``state_dict``, ``model``, ``encoder`` or the like is opened, names
    may begin with ``module.``, ``model.``, ``encoder.``, ``backbone.`` or ``_orig_mod.``, and timm's
    ``stages.0`` is also found as the ``stages_0`` of its feature extractors. Left out is what classifies
    images: ``fc.``, ``head.``, ``classifier.``, ``last_linear.`` and ``_fc.``, and for a ``tu-`` encoder what
    timm itself drops of that network to extract features. Any other key must fit.

    Args:
        encoder: an encoder of smp, of timm (``tu-``) or of this package.
        path: a safetensors file (``*.safetensors``), or a torch file that holds tensors only.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file cannot be read or needs Python code to be read; or listing every key that is
            missing, unexpected, given twice or of another shape. The encoder is then unchanged. A first
            convolution for images of other channels is of another shape.
    """
    path = Path(path)
    state = _opened(read_weights_file(path), path)
    places = {_bare(key): key for key in encoder.state_dict()}
    found: dict[str, Any] = {}
    unexpected, twice = [], []
    left_out = _left_out(encoder)
    for key, value in state.items():
        place = places.get(_bare(key))
        if place is None:
            if _bare(key) not in left_out and not _WRAPPERS.sub("", key).startswith(_CLASSIFIERS):
                unexpected.append(key)
        elif place in found:
            twice.append(key)
        else:
            found[place] = value
    load_exactly(encoder, found, source=path, unexpected=unexpected, twice=twice)


def _opened(content: Any, path: Path) -> dict[str, Any]:
    """The dictionary of weights in what a file holds."""
    while isinstance(content, Mapping):
        inner = [content[name] for name in _CONTAINERS if isinstance(content.get(name), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds a {type(content).__name__}, not weights by name")
    if not any(isinstance(value, Tensor) for value in content.values()):
        names = ", ".join(map(repr, content)) or "nothing"
        raise DataError(
            f"{path} holds no weights by name but {names}; those of a network may be inside one of "
            f"{', '.join(_CONTAINERS)}"
        )
    return {str(key): value for key, value in content.items()}


def _bare(key: str) -> str:
    """A name without wrappers, and with timm's ``stages.0`` and ``stages_0`` the same."""
    return _WRAPPERS.sub("", key).replace(".", "_")


def _left_out(encoder: nn.Module) -> set[str]:
    """Bare names of what timm drops of a network to extract features: classifier, last convolutions."""
    if not isinstance(encoder, TimmUniversalEncoder):
        return set()
    with torch.device("meta"):
        whole = timm.create_model(encoder.name)
    return {_bare(key) for key in whole.state_dict()} - {_bare(key) for key in encoder.state_dict()}
