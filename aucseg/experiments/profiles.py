"""One experiment at four sizes: the base configuration for each data set and profile."""

from __future__ import annotations

from typing import Any

from aucseg.catalog import DATASETS, find_dataset, resolve
from aucseg.models import small_options
from aucseg.training import ConfigError, RunConfig
from aucseg.training.section import Choice

PROFILES = ("smoke", "laptop", "gpu", "paper")

# Full-resolution decoder, because a traffic light is two pixels wide at this size; half a million parameters.
_SMALL_UNET = {
    "name": "unet",
    "encoder": "tu-mobilenetv4_conv_small_035",
    "options": {"decoder_channels": (64, 48, 32, 24, 16)},
}
_RESNET_UNET = {"name": "unet", "encoder": "resnet34"}

CHOSEN = "chosen"
"""In a change for :func:`make_config`: the weight or the ratio that was chosen for the data set."""

# Street: what the experiment "sensitivity" tried on validation images, the best lambda and the ratios with
# the best tail; CamVid and folders have them from there. The other three: AUCSeg's released configurations.
# Their AUC and cross entropy stand 4:1 on ADE20K and 1:1 elsewhere, but that AUC is of half the square of
# Eq. 7, so that lambda doubles.
_CHOICES = {
    "streets": {"ce_weight": 1.0, "sample_ratio": 1.0, "resize_ratio": 1.0},
    "camvid": {"ce_weight": 1.0, "sample_ratio": 1.0, "resize_ratio": 1.0},
    "cityscapes": {"ce_weight": 2.0, "sample_ratio": 1.0, "resize_ratio": 1.0},
    "ade20k": {"ce_weight": 0.5, "sample_ratio": 0.05, "resize_ratio": 0.4},
    "coco_stuff": {"ce_weight": 2.0, "sample_ratio": 0.05, "resize_ratio": 0.1},
    "folder": {"ce_weight": 1.0, "sample_ratio": 1.0, "resize_ratio": 1.0},
}


def _published(resize: tuple[int, int], crop: int, batch_size: int, steps: int, name: str) -> dict[str, Any]:
    """AUCSeg F.2, with what its released configurations add: crops, colours, rate, and norms not decayed."""
    chosen = dict(_CHOICES[name])
    data = {
        "name": name,
        "size": resize,
        "resize": resize,
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
    # Images and masks of one's own, and all others of the catalogue: those of the two large sets.
    ("folder", "paper"): _published((512, 2048), 512, 4, 160_000, "folder"),
}

# Networks of ten million parameters and more want a lower rate than the small U-Net of these profiles, and
# a step costs several times as much.
_NETWORK_OPTIM: dict[str, dict[str, Any]] = {
    "laptop": {"lr": 3e-3, "steps": 400},
}

# How many seeds a table takes by default: as many as the profile's machine makes in reasonable time; for the
# whole data sets of the papers that is one.
_SEEDS = {
    ("streets", "smoke"): 2,
    ("camvid", "smoke"): 2,
    ("streets", "laptop"): 5,
    ("camvid", "laptop"): 3,
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
    _settings(name, profile)
    return tuple(range(_SEEDS.get((name, profile), 1)))


def _located(dataset: str, root: str | None) -> tuple[str, str | None]:
    """Name and folder of a data set by its name or by the path of a folder."""
    if dataset in DATASETS or root is not None:
        return find_dataset(dataset).name, root
    located = resolve(dataset)
    return located.entry.name, located.label


def _settings(name: str, profile: str) -> dict[str, Any]:
    """The settings of a data set and a profile; a set of files without its own has those of a folder."""
    own = any(known == name for known, _ in BASE)
    settings = BASE.get((name if own else "folder", profile))
    if settings is None:
        there = ", ".join([f"{d}/{p}" for d, p in BASE] + ([] if own else [f"{name}/paper"]))
        raise ConfigError(f"no profile {profile!r} for data set {name!r}; there are {there}")
    copy = {key: dict(value) for key, value in settings.items()}
    copy["data"]["name"] = name
    return copy


def base_config(dataset: str, profile: str, *, root: str | None = None) -> dict[str, Any]:
    """The configuration that every arm of an experiment changes, as plain values.

    Args:
        dataset: one of :func:`aucseg.catalog.list_datasets`, or a folder. ``"streets"`` and ``"camvid"`` have
            the first three profiles, all others the last.
        profile: ``"smoke"`` (seconds, proves that the pipe holds), ``"laptop"`` (minutes on two cores),
            ``"gpu"`` (real size on one GPU) or ``"paper"`` (the published settings).
        root: folder of the data set, for ``"folder"`` or where a data set is not found by itself.

    Raises:
        ConfigError: if the data set has no such profile, with those that exist.
        DataError, OptionError: if there is neither such a data set nor such a folder.
    """
    name, root = _located(dataset, root)
    content = _settings(name, profile)
    if root is not None:
        content["data"]["root"] = root
    return content | {"profile": profile}


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
    dataset: str, profile: str, *, seed: int = 0, name: str = "run", root: str | None = None, **changes: Any
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
        changes: values for keys of :class:`~aucseg.training.RunConfig`; ``CHOSEN`` for ``ce_weight``,
            ``sample_ratio`` and ``resize_ratio`` is what was chosen for the data set.

    >>> config = make_config("streets", "smoke", seed=1, bank=None, optim={"lr": 0.5})
    >>> config.optim.lr, config.optim.steps
    (0.5, 4)
    """
    content = base_config(dataset, profile, root=root) | {"seed": seed, "name": name}
    choices, chosen_for = RunConfig.choices, _CHOICES.get(content["data"]["name"], _CHOICES["folder"])
    for key, value in changes.items():
        if isinstance(value, dict):
            before = content.get(key, {})
            if "kind" in value or (key in choices and _another(value, before, choices[key])):
                before = {}
            chosen = {name: chosen_for[name] for name, given in value.items() if given == CHOSEN}
            value = before | value | chosen
        content[key] = value
    return RunConfig.from_dict(content)


def _another(value: dict[str, Any], before: dict[str, Any], choice: Choice) -> bool:
    name = before.get("name", choice.default)
    return bool(value.get("name", name) != name)
