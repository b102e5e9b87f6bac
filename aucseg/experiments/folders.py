"""Profiles for images and masks of one's own: size, crop, length and bank, from what is in the folder.

Everything is computed once, from the files as they are, and written out in the configuration: a run reads
numbers and no rules.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from aucseg.catalog import DATASETS, Folder
from aucseg.errors import OptionError
from aucseg.longtail import MaskFiles, Tally, choose_tail, recommend_ratios
from aucseg.training import ConfigError


@dataclass(frozen=True)
class Scale:
    """How large a profile is.

    Args:
        area: pixels of an image at working size.
        batch_size: images in a step.
        epochs: how often an image is seen.
        steps: the fewest and the most steps of a run.
        data: other keys of the section ``data``.
        warmup: steps of the warm-up.
        images: the most images for training and for evaluation; all if None.
    """

    area: int
    batch_size: int
    epochs: int
    steps: tuple[int, int]
    data: dict[str, Any]
    warmup: int = 50
    images: tuple[int, int] | None = None


SCALES = {
    "smoke": Scale(48 * 64, 2, 1, (4, 4), {}, warmup=1, images=(8, 4)),
    "laptop": Scale(128 * 160, 8, 20, (300, 1_500), {"scale": (0.75, 1.5)}),
    "gpu": Scale(
        512 * 640,
        16,
        60,
        (2_000, 20_000),
        {"scale": (0.5, 2.0), "photometric": True, "num_workers": 4},
    ),
}
"""The profiles that are computed."""

_LOOKED_AT = 32  # masks whose sizes are looked at
_LEAST_OBJECT = 16  # pixels that the objects of a middling tail class should have
_MOST_ENLARGED = 4.0  # times the area, for data whose tail is tiny

_KEPT: dict[str, FolderProfile] = {}


@dataclass(frozen=True)
class FolderProfile:
    """What a profile is for one folder, beside the network.

    Args:
        content: the sections ``data``, ``loss``, ``bank`` and ``optim`` as plain values.
        words: how they came about, a sentence for each choice.
    """

    content: dict[str, Any]
    words: tuple[str, ...]


def folder_profile(
    name: str,
    profile: str,
    root: str | None = None,
    *,
    images: str | None = None,
    masks: str | None = None,
    train_split: str | None = None,
    eval_split: str | None = None,
    tail_classes: Any = "spec",
) -> FolderProfile:
    """The profile of a data set of files, from its files.

    ``"smoke"`` is four steps on eight small images, which proves that the pipe holds. Of the others:

    - **Size**: about 20,000 pixels (``"laptop"``) or 330,000 (``"gpu"``) in the shape of the middle image,
      not more than that has. Where the objects of the middling tail class would have fewer than 16 pixels, up
      to four times as many. The crop has four fifths of the sides, in multiples of 32, and four fifths of
      what it would be without such an enlargement.
    - **Length**: 20 or 60 times through the images in batches of 8 or 16, within 300 to 1,500 or 2,000 to
      20,000 steps.
    - **Bank**: by :func:`aucseg.longtail.recommend_ratios`; none where no tail class occurs.

    It is computed once in a process, until a mask or the table of the classes changes.

    Args:
        name: of the data set, ``"folder"`` for one's own.
        profile: one of ``SCALES``.
        root: its folder; searched for if None.
        images: pattern of the images of a folder in another layout.
        masks: pattern of its masks.
        train_split: the split that trains; see :attr:`aucseg.catalog.Located.training_split`.
        eval_split: the split that is evaluated; ``"val"`` if None, or ``"test"`` where there is none.
        tail_classes: as in :class:`aucseg.training.splits.DataConfig`.

    Raises:
        ConfigError: if there is no split to evaluate on.
        DataError: if the folder is not there, a mask cannot be read, or it is not clear which split trains.
    """
    located = DATASETS[name].at(root, images=images, masks=masks, train_split=train_split)
    assert isinstance(located, Folder)
    train = located.training_split
    held_out = _held_out(located, train) if eval_split is None else eval_split
    files, spec = located.masks(train), located.spec
    options = {"root": root, "images": images, "masks": masks}
    states = [files.state(place) for place in files.places]
    asked = repr((name, profile, options, tail_classes, spec, held_out, states))
    key = hashlib.sha256(asked.encode()).hexdigest()
    if key not in _KEPT:
        try:
            tail = choose_tail(tail_classes, spec).tail
        except OptionError as error:
            raise ConfigError(f"data.tail_classes: {error}") from error
        made = _compute(profile, files, located.known(train).tally, tail)
        data = {"name": name, **made.content["data"], "train_split": train, "eval_split": held_out}
        if (most := SCALES[profile].images) is not None:
            there = len(files), len(located.masks(held_out))
            data |= dict(zip(("train_images", "eval_images"), map(min, most, there), strict=True))
        data |= {key: value for key, value in options.items() if value is not None}
        if tail_classes != "spec":
            data["tail_classes"] = tail_classes
        _KEPT[key] = FolderProfile(made.content | {"data": data}, made.words)
    return _KEPT[key]


def _compute(profile: str, masks: MaskFiles, tally: Tally, tail: tuple[int, ...]) -> FolderProfile:
    scale = SCALES[profile]
    number = tally.num_images if scale.images is None else min(tally.num_images, scale.images[0])
    full = _middle(masks)
    size = _fitted(full, scale.area)
    crop = tuple(_crop(side) for side in size)
    words = [f"Images of about {full[0]} x {full[1]} pixels are worked on at {size[0]} x {size[1]}."]
    occurring = [c for c in tail if tally.images[c]]
    if occurring:
        pixels = float(np.median(tally.area_share[occurring])) * size[0] * size[1]
        larger = _fitted(full, round(scale.area * min(max(_LEAST_OBJECT / pixels, 1.0), _MOST_ENLARGED)))
        if larger != size:
            words[0] = (
                f"Images of about {full[0]} x {full[1]} pixels are worked on at {larger[0]} x {larger[1]}: "
                f"the objects of a middling tail class would have {pixels:.1f} pixels at "
                f"{size[0]} x {size[1]}."
            )
            size = larger
    batch_size = min(scale.batch_size, number)
    wanted = 50 * math.ceil(scale.epochs * number / batch_size / 50)
    steps = min(max(wanted, scale.steps[0]), scale.steps[1])
    words.append(
        f"{number} training images in batches of {batch_size}: {steps} steps, each image "
        f"{steps * batch_size / number:.0f} times."
    )
    bank = None
    if occurring:
        ratios = recommend_ratios(tally, tail=tail)
        bank = {
            "sample_ratio": ratios.sample_ratio,
            "resize_ratio": ratios.resize_ratio,
            "budget": ratios.budget,
        }
        words.append(ratios.explanation)
    else:
        words.append(f"No tail class of {tally.name!r} is in any image: there is no memory bank.")
    content = {
        "data": {"size": size, "crop_size": crop, **scale.data, "batch_size": batch_size},
        "loss": {"ce_weight": 1.0},
        "bank": bank,
        "optim": {"steps": steps, "warmup_steps": scale.warmup},
    }
    return FolderProfile(content, tuple(words))


def _held_out(located: Folder, train: str) -> str:
    """The split that is evaluated where none is asked for."""
    found = next((name for name in ("val", "test") if name in located.splits and name != train), None)
    if found is None:
        raise ConfigError(
            f"{located.label} has no split 'val' or 'test' to evaluate on, only {', '.join(located.splits)}: "
            "list some of its images in splits/val.txt, or say which with data.eval_split"
        )
    return found


def _middle(masks: MaskFiles) -> tuple[int, int]:
    """Median height and width of up to 32 images, evenly chosen."""
    positions = np.unique(np.linspace(0, len(masks) - 1, _LOOKED_AT).astype(int))
    shapes = [masks.read(masks.places[position]).shape for position in positions]
    height, width = np.median(np.array(shapes), axis=0).astype(int).tolist()
    return height, width


def _fitted(full: tuple[int, int], area: int) -> tuple[int, int]:
    """Sides of about ``area`` pixels, multiples of 8, in the shape of an image; its own if it has fewer."""
    height, width = full
    if height * width <= area:
        return full
    rows = max(8, 8 * round(math.sqrt(area * height / width) / 8))
    columns = max(8, 8 * round(rows * width / height / 8))  # from the rows, lest both be rounded apart
    return min(rows, height), min(columns, width)


def _crop(side: int) -> int:
    """Four fifths of a side in whole steps of a network's 32; a short side as it is."""
    wanted = 32 * round(0.8 * side / 32)
    return wanted if 32 <= wanted <= side else side
