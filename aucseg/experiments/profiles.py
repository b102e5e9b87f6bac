"""One experiment at four sizes: the base configuration for each data set and profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from aucseg.catalog import DATASETS, FolderEntry, find_dataset, resolve
from aucseg.errors import MissingExtraError, did_you_mean
from aucseg.experiments.folders import SCALES, folder_profile
from aucseg.models import small_options
from aucseg.models.weights import PACKAGES, package_weights
from aucseg.training import ConfigError, RunConfig
from aucseg.training.section import Choice

PROFILES = ("smoke", "laptop", "gpu", "paper")

STARTS = {"random": "random weights", "imagenet": "ImageNet weights"}
"""What encoders start from: an axis of every experiment, beside data set and profile. A table has one."""

Start = Literal["random", "imagenet"]

# Full-resolution decoder, because a traffic light is two pixels wide at this size; half a million parameters.
_SMALL_UNET = {
    "name": "unet",
    "encoder": "tu-mobilenetv4_conv_small_035",
    "options": {"decoder_channels": (64, 48, 32, 24, 16)},
}
_RESNET_UNET = {"name": "unet", "encoder": "resnet34"}
# The smallest encoder whose ImageNet weights come in a package, under the slim decoder.
_LITE_UNET = {
    "name": "unet",
    "encoder": "tu-tf_efficientnet_lite0",
    "options": {"decoder_channels": (64, 48, 32, 24, 16)},
}

CHOSEN = "chosen"
"""In a change for :func:`make_config`: the weight or the ratio that was chosen for the data set."""

# Street: what the experiment "sensitivity" tried on validation images, the best lambda and the ratios with
# the best tail; CamVid has them from there. Three others: AUCSeg's released configurations. Their AUC and
# cross entropy stand 4:1 on ADE20K and 1:1 elsewhere, but that AUC is of half the square of Eq. 7, so that
# lambda doubles. None of these has a budget. CCP, CARLA and ECSSD have what `recommend_ratios` makes of their
# training masks (a test holds it); a folder has the ratios of ADE20K at the published settings.
_CHOICES = {
    "streets": {"ce_weight": 1.0, "sample_ratio": 1.0, "resize_ratio": 1.0},
    "camvid": {"ce_weight": 1.0, "sample_ratio": 1.0, "resize_ratio": 1.0},
    "cityscapes": {"ce_weight": 2.0, "sample_ratio": 1.0, "resize_ratio": 1.0},
    "ade20k": {"ce_weight": 0.5, "sample_ratio": 0.05, "resize_ratio": 0.4},
    "coco_stuff": {"ce_weight": 2.0, "sample_ratio": 0.05, "resize_ratio": 0.1},
    "ccp": {"ce_weight": 1.0, "sample_ratio": 0.025, "resize_ratio": 1.0, "budget": 0.05},
    "carla": {"ce_weight": 1.0, "sample_ratio": 0.555, "resize_ratio": 1.0, "budget": 0.05},
    "ecssd": {"ce_weight": 1.0, "sample_ratio": 1.0, "resize_ratio": 1.0, "budget": 0.05},
    "folder": {"ce_weight": 1.0, "sample_ratio": 0.05, "resize_ratio": 0.4},
}


def _published(resize: tuple[int, int], crop: int, batch_size: int, steps: int, name: str) -> dict[str, Any]:
    """AUCSeg F.2, with what its released configurations add: crops, colours, rate, and norms not decayed."""
    chosen = dict(_CHOICES[name])
    data = {
        "name": name,
        "size": resize,
        "resize": resize,
        "resize_rule": "mmseg",
        "crop_size": (crop, crop),
        "scale": (0.5, 2.0),
        "photometric": "mmseg",
        "max_class_share": 0.75,
        "batch_size": batch_size,
        "eval_batch_size": 1,
        "num_workers": 8,
    }
    # Its encoders start from ImageNet: model.encoder_weights takes their file.
    model = {"name": "segnext", "encoder": "mscan_l"}
    optim = {"lr": 6e-5, "weight_decay": 0.01, "steps": steps, "warmup_steps": 1_500, "warmup_lr": 1e-6}
    return {
        "data": data,
        "model": model,
        "loss": {"ce_weight": chosen.pop("ce_weight")},
        "bank": chosen,
        "optim": optim | {"decoder_factor": 10.0, "decay_norm": False},
    }


BASE: dict[tuple[str, str], dict[str, Any]] = {
    ("streets", "smoke"): {
        "data": {"name": "streets", "size": (64, 128), "train_images": 8, "eval_images": 4, "batch_size": 4},
        "model": _SMALL_UNET,
        "optim": {"lr": 1e-3, "steps": 4, "warmup_steps": 1},
    },
    ("streets", "laptop"): {
        "data": {
            "name": "streets",
            "size": (64, 128),
            "eval_split": "test",
            "train_images": 600,
            "eval_images": 300,
        },
        "model": _SMALL_UNET,
        "optim": {"lr": 1e-2, "steps": 800, "warmup_steps": 50},
    },
    ("streets", "gpu"): {
        "data": {
            "name": "streets",
            "size": (256, 512),
            "crop_size": (256, 256),
            "eval_split": "test",
            "train_images": 2975,
            "eval_images": 500,
            "batch_size": 16,
            "num_workers": 8,
        },
        "model": _RESNET_UNET,
        "optim": {"lr": 1e-3, "steps": 10_000, "warmup_steps": 500},
    },
    ("camvid", "smoke"): {
        "data": {
            "name": "camvid",
            "size": (60, 80),
            "crop_size": (32, 64),
            "eval_split": "test",
            "train_images": 8,
            "eval_images": 4,
            "batch_size": 2,
        },
        "model": _SMALL_UNET,
        "optim": {"lr": 1e-3, "steps": 4, "warmup_steps": 1},
    },
    ("camvid", "laptop"): {
        "data": {
            "name": "camvid",
            "size": (120, 160),
            "crop_size": (96, 128),
            "scale": (0.75, 1.5),
            "eval_split": "test",
        },
        "model": _SMALL_UNET,
        "optim": {"lr": 2e-3, "steps": 1_500, "warmup_steps": 50},
    },
    ("camvid", "gpu"): {
        "data": {
            "name": "camvid",
            "size": (360, 480),
            "crop_size": (352, 352),
            "scale": (0.5, 2.0),
            "photometric": True,
            "eval_split": "test",
            "num_workers": 4,
        },
        "model": _RESNET_UNET,
        "optim": {"lr": 1e-3, "steps": 6_000, "warmup_steps": 300},
    },
    ("cityscapes", "paper"): _published((1024, 2048), 1024, 2, 160_000, "cityscapes"),
    ("ade20k", "paper"): _published((512, 2048), 512, 4, 160_000, "ade20k"),
    ("coco_stuff", "paper"): _published((512, 2048), 512, 4, 80_000, "coco_stuff"),
    # Images and masks of one's own, and all others of the catalogue: those of the two large sets. Their
    # smaller profiles are computed from what is in the folder, see `folder_profile`.
    ("folder", "paper"): _published((512, 2048), 512, 4, 160_000, "folder"),
}

# Networks of ten million parameters and more want a lower rate than the small U-Net of these profiles, and
# a step costs several times as much.
_NETWORK_OPTIM: dict[str, dict[str, Any]] = {
    "laptop": {"lr": 3e-3, "steps": 400},
}

# The same at a given start: one network that has ImageNet weights, so that nothing but its first weights
# differs. The rate is the decoder's, and from random weights the encoder's too. Size, rate and steps were
# tried on validation images of CamVid, as often for cross entropy as for AUC; the others follow.
_LITE_OPTIM = {"lr": 5e-3, "steps": 800, "warmup_steps": 50}
_LITE_SMOKE = {"lr": 1e-3, "steps": 4, "warmup_steps": 1}


def _lite(name: str, size: tuple[int, int], crop: tuple[int, int], **data: Any) -> dict[str, Any]:
    shared = {"name": name, "size": size, "crop_size": crop, "scale": (0.75, 1.5), "eval_split": "test"}
    settings = {"data": shared | data, "model": _LITE_UNET, "optim": _LITE_OPTIM}
    if "budget" in (chosen := _CHOICES[name]):
        settings |= {"bank": {key: value for key, value in chosen.items() if key != "ce_weight"}}
    return settings


def _few(settings: dict[str, Any], **data: Any) -> dict[str, Any]:
    """The smoke profile of some settings: a handful of small images."""
    few = {"train_images": 8, "eval_images": 4, "batch_size": 2}
    return settings | {"data": settings["data"] | few | data, "optim": _LITE_SMOKE}


# Salient is the rarer of two classes, if no tail; in its splits there is nothing to choose on.
_ECSSD = {"train_split": "train800_seed0", "eval_split": "test200_seed0", "tail_classes": ("salient",)}

STARTED: dict[tuple[str, str], dict[str, Any]] = {
    ("streets", "laptop"): BASE["streets", "laptop"] | {"model": _LITE_UNET, "optim": _LITE_OPTIM},
    ("camvid", "laptop"): _lite("camvid", (180, 240), (128, 160)),
    ("carla", "laptop"): _lite("carla", (180, 240), (128, 160)),
    ("ccp", "laptop"): _lite("ccp", (240, 160), (160, 128)),
    ("ecssd", "laptop"): _lite("ecssd", (160, 240), (144, 144), resize=(160, 240), **_ECSSD),
    ("streets", "smoke"): BASE["streets", "smoke"] | {"model": _LITE_UNET},
    ("camvid", "smoke"): BASE["camvid", "smoke"] | {"model": _LITE_UNET},
}
STARTED |= {
    ("carla", "smoke"): _few(STARTED["carla", "laptop"], size=(60, 80), crop_size=(32, 64)),
    ("ccp", "smoke"): _few(STARTED["ccp", "laptop"], size=(72, 48), crop_size=(64, 32)),
    ("ecssd", "smoke"): _few(STARTED["ecssd", "laptop"], size=(48, 72), resize=(48, 72), crop_size=(32, 32)),
}
# Data sets of which no run was recorded without a start have the same network then, from random weights.
BASE |= {key: settings for key, settings in STARTED.items() if key not in BASE}
BASE |= {(name, "paper"): BASE["folder", "paper"] for name in ("carla", "ccp", "ecssd")}

# Network and the decoder's rate of the profiles that are computed: where no start is asked for and ImageNet
# weights are not installed, and for a start.
_COMPUTED: dict[str, tuple[tuple[dict[str, Any], float], tuple[dict[str, Any], float]]] = {
    "smoke": ((_SMALL_UNET, 1e-3), (_LITE_UNET, _LITE_SMOKE["lr"])),
    "laptop": ((_SMALL_UNET, 2e-3), (_LITE_UNET, _LITE_OPTIM["lr"])),
    "gpu": ((_RESNET_UNET, 1e-3), ({"name": "unet", "encoder": "tu-tf_efficientnet_lite2"}, 2e-3)),
}

# How many seeds a table takes by default: as many as the profile's machine makes in reasonable time; for the
# whole data sets of the papers that is one.
_SEEDS = {
    ("streets", "smoke"): 2,
    ("camvid", "smoke"): 2,
    ("streets", "laptop"): 5,
    ("camvid", "laptop"): 3,
    ("carla", "laptop"): 3,
    ("ccp", "laptop"): 3,
    ("ecssd", "laptop"): 3,
    ("streets", "gpu"): 3,
    ("camvid", "gpu"): 3,
}


def default_seeds(dataset: str, profile: str) -> tuple[int, ...]:
    """Seeds of a table for which the reader names none.

    Args:
        dataset: as for :func:`base_config`.
        profile: as for :func:`base_config`.

    Raises:
        ConfigError: if the data set has no such profile, with those that exist.
    """
    name, _ = _located(dataset, None)
    if not _is_computed(name, profile):
        _settings(name, profile)
    computed = {"smoke": 2}.get(profile, 3) if _is_computed(name, profile) else 1
    return tuple(range(_SEEDS.get((name, profile), computed)))


def _located(dataset: str, root: str | None) -> tuple[str, str | None]:
    """Name and folder of a data set by its name or by the path of a folder."""
    if dataset in DATASETS or root is not None:
        entry = find_dataset(dataset)
        return entry.name, None if root is None else entry.at(root).label
    located = resolve(dataset)
    return located.entry.name, located.label


def _is_computed(name: str, profile: str) -> bool:
    """Whether the profile of a data set is computed from its files: it has none that is written out."""
    return profile in SCALES and isinstance(DATASETS[name], FolderEntry) and (name, profile) not in BASE


def _settings(name: str, profile: str, start: Start | None = None) -> dict[str, Any]:
    """The settings of a data set and a profile; a set of files without its own has those of a folder."""
    own = any(known == name for known, _ in BASE)
    place = (name if own else "folder", profile)
    settings = BASE.get(place) if start is None else STARTED.get(place, BASE.get(place))
    if settings is None:
        has = [p for p in PROFILES if (name if own else "folder", p) in BASE or _is_computed(name, p)]
        there = ", ".join(f"{name}/{p}" for p in has)
        raise ConfigError(f"no profile {profile!r} for data set {name!r}; there are {there}")
    copy = {key: dict(value) for key, value in settings.items()}
    copy["data"]["name"] = name
    return copy


def base_config(
    dataset: str, profile: str, *, root: str | None = None, start: Start | None = None
) -> dict[str, Any]:
    """The configuration that every arm of an experiment changes, as plain values.

    Args:
        dataset: one of :func:`aucseg.catalog.list_datasets`, or a folder. ``"streets"`` and ``"camvid"`` have
            the first three profiles, all others all. Those below ``"paper"`` are computed from the files
            where they are not written out; see :func:`aucseg.experiments.folder_profile`.
        profile: ``"smoke"`` (seconds, proves that the pipe holds), ``"laptop"`` (minutes on two cores),
            ``"gpu"`` (real size on one GPU) or ``"paper"`` (the published settings).
        root: folder of the data set, for ``"folder"`` or where a data set is not found by itself.
        start: one of ``STARTS``: what encoders start from. At ``"smoke"`` and ``"laptop"`` it is U-Net on
            EfficientNet-Lite0 for both, elsewhere the profile's own network. From ImageNet the encoder's rate
            is a tenth of the decoder's, and its weights are those of the extra ``pretrained`` if they are for
            it, else the hub's. ``None`` is the profile's own network from random weights; where the profile
            is computed, it is ``"imagenet"`` if the extra ``pretrained`` is installed.

    Raises:
        ConfigError: if the data set has no such profile, with those that exist, or there is no such start.
        DataError, OptionError: if there is neither such a data set nor such a folder.
    """
    return _from(*_base(dataset, profile, root, start, {}))


def _base(
    dataset: str, profile: str, root: str | None, start: Start | None, data: Mapping[str, Any]
) -> tuple[Start | None, dict[str, Any]]:
    """The same before a start acts on it, and that start: the rate is the decoder's."""
    if start is not None and start not in STARTS:
        raise ConfigError(f"no start {start!r}; {did_you_mean(start, STARTS)}")
    name, root = _located(dataset, root)
    if _is_computed(name, profile):
        asked = {key: data[key] for key in _ASKED if key in data}
        content = dict(folder_profile(name, profile, root, **asked).content)
        if start is None and profile != "smoke" and _weights_installed():
            start = "imagenet"
        model, lr = _COMPUTED[profile][start is not None]
        content |= {"model": model, "optim": content["optim"] | {"lr": lr}}
    else:
        content = _settings(name, profile, start)
        if root is not None:
            content["data"]["root"] = root
    return start, content | {"profile": profile}


# Keys of the section data that a computed profile follows.
_ASKED = ("images", "masks", "train_split", "eval_split", "tail_classes")


def _weights_installed() -> bool:
    try:
        return all(package_weights(encoder) for encoder in PACKAGES)
    except MissingExtraError:
        return False


def explain_config(
    dataset: str,
    profile: str,
    *,
    root: str | None = None,
    start: Start | None = None,
    data: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """How a profile came about that was computed from the files of a data set, a sentence for each choice.

    Args:
        dataset: as for :func:`base_config`.
        profile: as for :func:`base_config`.
        root: folder of the data set.
        start: as for :func:`base_config`.
        data: keys of the section ``data`` that are asked for.

    Returns:
        Nothing for a profile that is written out.
    """
    name, root = _located(dataset, root)
    if not _is_computed(name, profile):
        return ()
    asked = {key: value for key, value in (data or {}).items() if key in _ASKED}
    begun, _ = _base(name, profile, root, start, asked)
    words = f"Encoders start from {STARTS[begun or 'random']}."
    if begun is None and profile != "smoke":
        words = f"{words[:-1]}; ImageNet's are in the extra pretrained, which is not installed."
    return (*folder_profile(name, profile, root, **asked).words, words)


def _from(start: Start | None, content: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the first weights, and the rates that they want."""
    model, optim = content["model"], content["optim"]
    if start is None:
        return content
    if start == "random":
        return content | {"model": model | {"encoder_weights": None}}
    weights = "package" if model.get("encoder") in PACKAGES else "imagenet"
    if optim.get("decoder_factor", 1.0) == 1.0:
        optim = optim | {"lr": optim["lr"] / _DECODER_FACTOR, "decoder_factor": _DECODER_FACTOR}
    return content | {"model": model | {"encoder_weights": weights}, "optim": optim}


# AUCSeg's released configurations have it too.
_DECODER_FACTOR = 10.0


def network_changes(profile: str, network: str) -> dict[str, Any]:
    """Changes for :func:`make_config` that put another network in the place of the profile's own.

    On a CPU (``"smoke"`` and ``"laptop"``) it is the smallest useful variant of the network, unless an
    encoder is named.

    Args:
        profile: one of ``PROFILES``.
        network: ``name`` or ``name/encoder``, as for :func:`aucseg.models.create_model`.
    """
    name, _, encoder = network.partition("/")
    options: dict[str, Any] = {}
    if not encoder and profile in ("smoke", "laptop"):
        options = small_options(name)
        encoder = options.pop("encoder", "")
    model = {"name": name, "encoder": encoder or None, "encoder_weights": None, "options": options}
    return {"model": model, "optim": _NETWORK_OPTIM.get(profile, {})}


def make_config(
    dataset: str,
    profile: str,
    *,
    seed: int = 0,
    name: str = "run",
    root: str | None = None,
    start: Start | None = None,
    **changes: Any,
) -> RunConfig:
    """A validated configuration: the base of data set and profile, with some keys changed.

    A change that is a mapping changes only the keys it names, but another kind of bank is another bank, and
    another name of a loss or a method begins that section anew.

    Args:
        dataset: as for :func:`base_config`.
        profile: as for :func:`base_config`.
        seed: seed of the run.
        name: label of the run.
        root: folder of the data set.
        start: as for :func:`base_config`; a rate among the changes is the decoder's.
        changes: values for keys of :class:`~aucseg.training.RunConfig`; ``CHOSEN`` for ``ce_weight``,
            ``sample_ratio``, ``resize_ratio`` and ``budget`` is what was chosen for the data set.

    >>> config = make_config("streets", "smoke", seed=1, bank=None, optim={"lr": 0.5})
    >>> config.optim.lr, config.optim.steps
    (0.5, 4)
    """
    start, base = _base(dataset, profile, root, start, changes.get("data", {}))
    content = base | {"seed": seed, "name": name}
    choices, chosen_for = RunConfig.choices, {"budget": None} | _choices_of(content, profile)
    for key, value in changes.items():
        if isinstance(value, dict):
            before = content.get(key) or {}
            if "kind" in value or (key in choices and _another(value, before, choices[key])):
                before = {}
            value = before | _chosen(value, chosen_for)
        content[key] = value
    return RunConfig.from_dict(_from(start, content))


def _chosen(value: dict[str, Any], choices: dict[str, Any]) -> dict[str, Any]:
    """The same with what was chosen in the place of ``CHOSEN``, in sections within it too."""

    def replaced(key: str, given: Any) -> Any:
        if isinstance(given, dict):
            return _chosen(given, choices)
        return choices[key] if given == CHOSEN else given

    return {key: replaced(key, given) for key, given in value.items()}


def _choices_of(content: dict[str, Any], profile: str) -> dict[str, Any]:
    """Weight and ratios for a data set: its own, those computed for it, or published ones."""
    name = content["data"]["name"]
    if _is_computed(name, profile):
        return _CHOICES["folder"] | content["loss"] | (content["bank"] or {})
    own = BASE.get((name, profile)) is not BASE["folder", "paper"]
    return _CHOICES.get(name, _CHOICES["folder"]) if own else _CHOICES["folder"]


def _another(value: dict[str, Any], before: dict[str, Any], choice: Choice) -> bool:
    name = before.get("name", choice.default)
    return bool(value.get("name", name) != name)
