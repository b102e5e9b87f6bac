"""Networks by name, and from folders that ``save_pretrained`` wrote."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from aucseg.errors import DataError, HubError, MissingFileError, OptionError, did_you_mean
from aucseg.functional.checks import check_count
from aucseg.models.encoders import encoders  # those of this package among smp's
from aucseg.models.networks.base import SMP_OPTIONS, Network, check_smp_options
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
from aucseg.models.normalization import Normalization, encoder_normalization
from aucseg.models.weights import (
    PACKAGES,
    load_encoder_weights,
    load_exactly,
    load_package_weights,
    load_what_fits,
    package_weights,
    read_weights_file,
)

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

# smp's networks that AUCSeg's Table 1 and Region Rebalance's Table 3 compare, at the encoder that they take.
_STANDARD = dict.fromkeys(("deeplabv3plus", "pspnet", "upernet"), "resnet50")

# Arguments of an architecture that have names of their own here, or take "everything else".
_OURS = ("encoder_name", "encoder_weights", "classes")
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def list_models() -> tuple[str, ...]:
    """Names that :func:`create_model` takes, sorted: those of smp, and those of this package."""
    return tuple(sorted({*smp.MODEL_ARCHITECTURES_MAPPING, *NETWORKS}))


def network_class(name: str) -> type[smp.base.SegmentationModel]:
    """The class behind a name of :func:`list_models`."""
    cls: type[smp.base.SegmentationModel] = NETWORKS.get(name) or smp.MODEL_ARCHITECTURES_MAPPING[name]
    return cls


def standard_encoder(name: str) -> str | None:
    """The encoder that a network has if none is named; None where the network is one whole.

    For a network of AUCSeg's Table 1 it is the one that its published parameter count belongs to, for PSPNet
    and UPerNet that of Region Rebalance's Table 3, and for any other the default of smp.
    """
    if name in NETWORKS:
        return NETWORKS[name].standard_encoder
    default: str = inspect.signature(network_class(name)).parameters["encoder_name"].default
    return _STANDARD.get(name, default)


def check_options(
    architecture: type[smp.base.SegmentationModel],
    encoder: str | None,
    options: Mapping[str, Any],
    without: Sequence[str] = (),
) -> None:
    """Refuse options that a network would not take.

    An encoder of timm may know what its network does not; for its own encoders smp drops such an option. The
    networks of this package take some options of smp's at one value only (:data:`SMP_OPTIONS`).

    Args:
        architecture: class of the network.
        encoder: name of its encoder.
        options: arguments that somebody gives.
        without: arguments of the class that are none of their business.

    Raises:
        ValueError: with the nearest option that the network has.
    """
    parameters = inspect.signature(architecture).parameters.values()
    known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name not in without]
    fixed: Iterable[str] = ()
    if issubclass(architecture, Network) and encoder is not None:
        check_smp_options(architecture.__name__, options)
        fixed = SMP_OPTIONS
    for option in options:
        if option not in (*known, *fixed) and not (encoder or "").startswith("tu-"):
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


def create_model(
    name: str = "unet",
    encoder: str | None = None,
    *,
    num_classes: int,
    encoder_weights: str | Path | None = None,
    normalization: Normalization | None = None,
    **options: Any,
) -> nn.Module:
    """A segmentation network by name and encoder.

    Args:
        name: architecture, one of :func:`list_models`.
        encoder: any encoder of smp, one of this package (``mscan_t`` to ``mscan_l``, ``stdc1``, ``stdc2``),
            or of timm with the prefix ``tu-``. ``None`` takes the network's own: see
            :func:`standard_encoder`.
        num_classes: number of classes K; the network maps (B,3,H,W) images to (B,K,H,W) logits. 1 for two
            classes by one logit, that of class 1, which the losses take as well.
        encoder_weights: ``None`` starts from random weights; the path of a safetensors or torch file loads
            it (see :func:`load_encoder_weights`); ``"package"`` takes the ImageNet weights that an installed
            package brings, for ``tu-tf_efficientnet_lite0`` and ``tu-tf_efficientnet_lite2`` with the extra
            ``pretrained``; a name such as ``"imagenet"`` is fetched from the hub by smp or timm, which needs
            a network. For a ``tu-`` encoder ``"imagenet"`` is what timm has for it; which that is, its name
            says (``tu-resnet50.a1_in1k``). Nothing is fetched unless asked.
        normalization: what images are normalised by, for weights in a file that want something of their own;
            by default what is published for encoder and weights, see :func:`encoder_normalization`.
        options: passed on to the architecture, for example ``decoder_channels``.

    Returns:
        The network. Those of this package return more than logits in training mode: see :class:`Network`.
        Its attribute ``normalization`` is what it wants its images normalised by:
        ``aucseg.data.normalize(images, *model.normalization)``. ``save_pretrained`` keeps it.

    Raises:
        ValueError: for an unknown name (with the nearest one), no class, an unknown encoder or
            one that the network cannot take, an option that the architecture does not take, or weights that
            do not fit the encoder.
        FileNotFoundError: if ``encoder_weights`` is a path to nothing.
        ImportError: if it is ``"package"`` and the package is not installed.
        ConnectionError: if ``encoder_weights`` is a name and the hub cannot be reached.
    """
    num_classes = check_count("num_classes", num_classes, 1)
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
    asked = _tuples(options)
    options = dict(asked)
    local = _local_file(encoder_weights)
    packaged = encoder is not None and local is None and encoder_weights == "package"
    if encoder is not None:
        fetched: str | bool | None = None
        if packaged:
            package_weights(encoder)  # what is wrong shows before a network is built
        elif encoder_weights is not None and local is None:
            fetched = _on_hub(encoder, encoder_weights)
        options |= {"encoder_name": encoder, "encoder_weights": fetched}
    elif encoder_weights is not None and local is None:
        raise OptionError(f"{name!r} has no published weights of the name {encoder_weights!r}; give a file")
    _check_size(architecture, num_classes, options)
    try:
        model: Any = architecture(classes=num_classes, **options)
    except OSError as error:
        packed = "'package' takes those of the extra 'pretrained', " if encoder in PACKAGES else ""
        raise HubError(
            f"cannot fetch the weights {encoder_weights!r} of {encoder!r} ({error}); {packed}with a file of "
            "them give its path, or None for random weights"
        ) from error
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        # timm and smp each raise their own type for an unknown encoder or option.
        what = f"cannot build {name!r} with encoder {encoder!r}"
        if not asked:
            raise OptionError(f"{what}: {error}") from error
        told = ", ".join(f"{key}={list(v) if isinstance(v, tuple) else v}" for key, v in asked.items())
        raise OptionError(
            f"{what} and {told}: {error}",
            remedy="if the options are another network's, leave them out (model.options={})",
        ) from error
    if local is not None:
        load_encoder_weights(model.encoder, local)
    elif packaged:
        load_package_weights(model.encoder)
    return _normalized(model, normalization or encoder_normalization(encoder, encoder_weights))


# No published network has a layer of so many channels; below it no count is needed.
_WIDE = 8192
# Channels of BiSeNetV2's widest layer, which its option `width` is a factor of.
_FULL = 1024


# A parameter in training: itself, its gradient and the two moments of Adam.
_COPIES = 4


def _check_size(
    architecture: type[smp.base.SegmentationModel], num_classes: int, options: Mapping[str, Any]
) -> None:
    """Refuse a network that the memory of this machine cannot train, before any of it is allocated.

    Raises:
        OptionError: naming the largest of the numbers, the parameters that it makes and their size.
    """
    sizes = {
        f"{key}={value!r}": max(_numbers(value), default=0.0) * (_FULL if key == "width" else 1)
        for key, value in options.items()
    }
    sizes[f"num_classes={num_classes}"] = num_classes
    name = max(sizes, key=sizes.__getitem__)
    if sizes[name] <= _WIDE:
        return
    try:
        with torch.device("meta"):
            model = architecture(classes=num_classes, **{**options, **_without_weights(options)})
        parameters = sum(value.numel() for value in (*model.parameters(), *model.buffers()))
    except RuntimeError as error:
        # more elements than a 64-bit integer counts
        raise OptionError(
            f"{name} makes a network that no machine can hold ({error})", remedy=_SMALLER
        ) from error
    except (KeyError, ValueError, TypeError, OverflowError):
        return  # another defect, which building it tells
    needed, memory = _COPIES * 4 * parameters, _memory()
    if needed > memory:
        raise OptionError(
            f"{name} makes a network of {parameters:.3g} parameters, {needed / 1e9:.3g} GB with gradients "
            f"and moments, and this machine has {memory / 1e9:.3g} GB of memory",
            remedy=_SMALLER,
        )


def _memory() -> int:
    """Bytes of memory of this machine; a terabyte where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**40


_SMALLER = "take a smaller one; the networks of the papers have up to 1,024 channels"


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in an option, those in lists and tuples too."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield abs(float(value))


def _without_weights(options: Mapping[str, Any]) -> dict[str, None]:
    return {"encoder_weights": None} if "encoder_weights" in options else {}


# Where config.json of a saved network has it: smp hands no key that begins so on to the architecture.
_SAVED_NORMALIZATION = "_normalization"


def _normalized(model: Any, normalization: Normalization) -> nn.Module:
    """A network that knows what its images are normalised by, saved and loaded too."""
    for layer in model.modules():
        if isinstance(layer, _BatchNorm):
            layer.register_forward_pre_hook(_check_values)
    model.normalization = Normalization(*normalization)
    model.config[_SAVED_NORMALIZATION] = [list(figures) for figures in normalization]
    built: nn.Module = model
    return built


def _check_values(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Say what PyTorch says in words of its own: a batch of one, pooled to a point, cannot be normalised.

    Raises:
        OptionError: in training, where a channel has a single value.
    """
    if layer.training and inputs[0].numel() == inputs[0].shape[1]:
        raise OptionError(
            f"a batch of one image leaves one value to each of {inputs[0].shape[1]} channels, from which "
            "batch normalisation has no variance",
            remedy="train on batches of 2 or more (data.batch_size), call model.eval() to predict, or take "
            "another network",
        )


def _tuples(options: dict[str, Any]) -> dict[str, Any]:
    """Options with tuples for lists: YAML and JSON have these where smp compares with those."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}


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


def from_pretrained(
    folder: str | Path,
    *,
    download: bool = False,
    revision: str | None = None,
    strict: bool = True,
    **options: Any,
) -> nn.Module:
    """A network that ``save_pretrained`` wrote, of this package or of smp, with its weights.

    ``smp.from_pretrained`` does this for smp's networks only, takes any name that is no folder to be one of
    the hub, and first fetches the ImageNet weights of an encoder that once started from them.

    Args:
        folder: holds ``config.json``, with the class in ``_model_class``, and ``model.safetensors``.
        download: if there is no such folder, fetch the repository of that name from the Hugging Face hub.
        revision: its branch, tag or commit, the main branch if None.
        strict: whether every weight must fit. ``False`` loads those that do and warns of the others by name,
            for other ``classes`` or a network that has become another; it is an error if none fits.
        options: arguments of the network to replace those of the file, for example ``eval_points``.

    Returns:
        The network, in evaluation mode, with ``normalization`` as :func:`create_model` gives it.

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
    arguments = _tuples(arguments)
    if "encoder_weights" in inspect.signature(architecture).parameters:
        arguments["encoder_weights"] = None  # the file has all weights: fetch none to be replaced
    try:
        network = architecture(**arguments)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise OptionError(
            f"cannot build {architecture.__name__} as {path / 'config.json'} says: {error}"
        ) from error
    file = path / "model.safetensors"
    load = load_exactly if strict else load_what_fits
    load(network, read_weights_file(file), source=file)
    return _normalized(network.eval(), _saved_normalization(config, path / "config.json"))


def _saved_normalization(config: dict[str, Any], file: Path) -> Normalization:
    """What a saved network says, or what its encoder wants where smp itself saved it."""
    if _SAVED_NORMALIZATION not in config:
        return encoder_normalization(config.get("encoder_name"), config.get("encoder_weights"))
    try:
        mean, std = (tuple(float(value) for value in figures) for figures in config[_SAVED_NORMALIZATION])
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{_SAVED_NORMALIZATION} is [mean, std] of three channels each, got "
            f"{config[_SAVED_NORMALIZATION]!r}",
            file=file,
        ) from error
    return Normalization(mean, std)  # type: ignore[arg-type]


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
