"""Networks saved in a folder, as smp's ``save_pretrained`` writes them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
from torch import nn

import aucseg.models.encoders  # noqa: F401 - registers its encoders with smp
from aucseg.errors import DataError, MissingFileError, OptionError, did_you_mean
from aucseg.models.registry import NETWORKS, check_options
from aucseg.models.state import load_exactly, read_weights_file


def from_pretrained(
    folder: str | Path, *, download: bool = False, revision: str | None = None, **options: Any
) -> nn.Module:
    """A network that ``save_pretrained`` wrote, of this package or of smp, with its weights.

    ``smp.from_pretrained`` does this for smp's networks only, takes any name that is no folder to be one of
    the hub, and first fetches the ImageNet weights of an encoder that once started from them.

    Args:
        folder: holds ``config.json``, with the class in ``_model_class``, and ``model.safetensors``.
        download: if there is no such folder, fetch the repository of that name from the Hugging Face hub.
        revision: its branch, tag or commit, the main branch if None.
        options: arguments of the network to replace those of the file, for example ``eval_points``.

    Returns:
        The network, in evaluation mode.

    Raises:
        FileNotFoundError: if the folder or one of its files is missing.
        ValueError: if a file is damaged, the class unknown, an argument not one of the class, the weights do
            not fit (listing every key), or a revision is asked of a folder.

    Example:
        >>> network = create_model("hrnet", "resnet18", num_classes=19)  # doctest: +SKIP
        >>> network.save_pretrained("street")  # doctest: +SKIP
        >>> same = from_pretrained("street")  # doctest: +SKIP
    """
    path = Path(folder)
    if path.is_dir() and revision is not None:
        raise OptionError(f"a folder has no revisions, got {revision!r} for {path}; leave revision out")
    if not path.is_dir():
        if not download:
            raise MissingFileError(
                f"no folder of a saved network at {path}; if it is the name of a repository on the Hugging "
                "Face hub, pass download=True"
            )
        path = _fetched(str(folder), revision)
    config = _config(path / "config.json")
    architecture = _architecture(config["_model_class"], path / "config.json")
    arguments = {key: value for key, value in config.items() if not key.startswith("_")} | options
    check_options(architecture, arguments.get("encoder_name"), arguments)
    # JSON has lists where smp compares with tuples
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    if "encoder_weights" in inspect.signature(architecture).parameters:
        arguments["encoder_weights"] = None  # the file has all weights: fetch none to be replaced
    try:
        network = architecture(**arguments)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise OptionError(
            f"cannot build {architecture.__name__} as {path / 'config.json'} says: {error}"
        ) from error
    file = path / "model.safetensors"
    load_exactly(network, read_weights_file(file), source=file)
    built: nn.Module = network.eval()
    return built


def _fetched(repository: str, revision: str | None) -> Path:
    """The two files of a repository of the Hugging Face hub, in its cache."""
    from huggingface_hub import snapshot_download

    files = ["config.json", "model.safetensors"]
    return Path(snapshot_download(repository, revision=revision, allow_patterns=files))


def _config(file: Path) -> dict[str, Any]:
    """A configuration that names its class."""
    if not file.is_file():
        raise MissingFileError(f"no {file.name} in {file.parent}: save a network there with save_pretrained")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is no JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("_model_class"), str):
        raise DataError(f"{file} does not say which network it is: '_model_class' is missing")
    return config


def _architecture(name: str, file: Path) -> type[smp.base.SegmentationModel]:
    """The class of a network by its own name, and not by that of ``create_model``."""
    classes = {cls.__name__: cls for cls in (*smp.MODEL_ARCHITECTURES_MAPPING.values(), *NETWORKS.values())}
    if name not in classes:
        raise OptionError(f"{file} is of an unknown network {name!r}; {did_you_mean(name, classes)}")
    found: type[smp.base.SegmentationModel] = classes[name]
    return found
