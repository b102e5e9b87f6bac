"""Weights of files for encoders and networks: reading, comparing all of it, then loading all or nothing."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from segmentation_models_pytorch.encoders import TimmUniversalEncoder
from torch import Tensor, nn

from aucseg.errors import DataError, MissingFileError


def read_weights_file(path: Path) -> Any:
    """What a safetensors or torch file holds, on the CPU; code in it is never run.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, damaged, of another format, or needs Python code to be read.
    """
    if not path.is_file():
        raise MissingFileError(f"no file of weights at {path}")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: copy or fetch it again")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise DataError(
                f"{path} is no readable safetensors file, perhaps cut short ({error}): copy or fetch it again"
            ) from error
    try:
        with warnings.catch_warnings():
            # torch warns about an archive of TorchScript before it refuses it
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, OSError) as error:
        code = sorted(set(re.findall(r"GLOBAL (\S+)", str(error))))
        if code or "TorchScript" in str(error):
            raise DataError(
                f"{path} holds Python code ({', '.join(code) or 'TorchScript'}) besides tensors, which is "
                "not run: if you trust the file, load it with torch.load(..., weights_only=False) and save "
                "its tensors alone, as torch.save(model.state_dict(), ...) does"
            ) from error
        # the rest of torch's words is about loading it without weights_only, which would not help
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise DataError(
            f"{path} is no readable torch file of weights, perhaps cut short ({reason}): copy or fetch it "
            "again; a safetensors file must be named *.safetensors"
        ) from error


def load_exactly(
    module: nn.Module,
    state: Mapping[str, Any],
    *,
    source: Path,
    unexpected: Sequence[str] = (),
    twice: Sequence[str] = (),
) -> None:
    """Load a state into a module if every key and shape is right, else change nothing.

    Counts of batches (``num_batches_tracked``) may all be missing, as in files of before 2018: only batch
    norm without momentum reads them.

    Args:
        module: gets the weights, in its own types.
        state: values by the names that the module gives them.
        source: file that they come from, for the message.
        unexpected: further keys of that file that have no place in the module.
        twice: further keys of that file whose place another one has taken.

    Raises:
        ValueError: listing every key that is missing, unexpected, given twice, of another shape or no tensor.
    """
    own = module.state_dict()
    counts = {key for key in own if key.rpartition(".")[2] == "num_batches_tracked"}
    complete = dict(state) if counts & state.keys() else {key: own[key] for key in counts} | dict(state)
    shared = [key for key in own if key in complete]
    tensors = [key for key in shared if isinstance(complete[key], Tensor)]
    wrong = [key for key in tensors if complete[key].shape != own[key].shape]
    problems = {
        "missing": [key for key in own if key not in complete],
        "unexpected": [*(key for key in complete if key not in own), *unexpected],
        "given twice": list(twice),
        "no tensor": [key for key in shared if key not in tensors],
        "of another shape": [
            f"{key} is {tuple(complete[key].shape)} and should be {tuple(own[key].shape)}" for key in wrong
        ],
    }
    if not any(problems.values()):
        # nn.Module's own: encoders of smp override it to rename keys, which are right by now
        nn.Module.load_state_dict(module, complete)
        return
    lines = [f"  {kind}: {', '.join(keys)}" for kind, keys in problems.items() if keys]
    if any(_differs_in_channels_of_images(complete[key], own[key]) for key in wrong):
        lines.append(
            "  a first convolution is not adapted to other channels: build the network with the in_channels "
            "of the file, or convert the file"
        )
    raise DataError("\n".join([f"{source} does not fit {type(module).__name__}, nothing loaded:", *lines]))


def _differs_in_channels_of_images(value: Tensor, own: Tensor) -> bool:
    """Whether two kernels of a first convolution are for images of different numbers of channels."""
    kernels = value.ndim == own.ndim == 4 and 3 in (value.shape[1], own.shape[1])
    return kernels and value.shape[0] == own.shape[0] and value.shape[2:] == own.shape[2:]


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
