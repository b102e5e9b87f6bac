"""Predictions beside a record: what its network says of a few fixed images, so that a page needs no training.

They are the images of the evaluation split that hold most classes of the tail, among its first ones, the same
for every run on a data set. Each is a small PNG of train ids with the classes' colours as its palette, in
``<records>/<profile>/predictions/<identity>/<position in the split>.png``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from aucseg.data import normalize
from aucseg.data.files import path_part, write_file
from aucseg.data.palette import indexed_mask
from aucseg.errors import DataError
from aucseg.training import RunConfig, SegmentationModule, build_dataset

PREDICTED_IMAGES = 4
"""How many images of a data set are predicted."""
_LOOKED_AT = 64  # images of the split among which those are chosen: all masks of a large one take minutes


def predictions_folder(root: Path, profile: str, identity: str) -> Path:
    """Where the predictions of a run lie or would lie.

    Args:
        root: folder of the records.
        profile: name of the profile.
        identity: of the run.
    """
    return root / path_part(profile, "profile") / "predictions" / path_part(identity, "run")


def shares_predictions(config: RunConfig) -> bool:
    """Whether predictions of a run are kept: not of somebody's own images, whose record may be passed on.

    Args:
        config: the run.
    """
    return config.data.name != "folder"


def predicted_positions(dataset: Any, tail: tuple[int, ...]) -> tuple[int, ...]:
    """Positions of the images that are predicted: with most classes of the tail, the first of equal ones.

    Args:
        dataset: the evaluation split, with ``mask``.
        tail: train ids.
    """
    first = range(min(_LOOKED_AT, len(dataset)))
    held = [np.isin(tail, np.asarray(dataset.mask(i))).sum() for i in first]
    return tuple(int(i) for i in np.argsort(-np.array(held), kind="stable")[:PREDICTED_IMAGES])


def predict_fixed(module: SegmentationModule, config: RunConfig) -> dict[int, np.ndarray]:
    """What a network says of the fixed images of its evaluation split, as it is evaluated there.

    Args:
        module: the network, in evaluation mode.
        config: of its run.

    Returns:
        Train ids (H,W) uint8, by the position of the image in the split.
    """
    data = build_dataset(config.data, config.data.eval_split, config.data.eval_images)
    found = {}
    for position in predicted_positions(data, data.spec.tail):
        image = torch.as_tensor(np.asarray(data[position][0]))[None]
        with torch.inference_mode():
            ids = module.predict_scores(normalize(image, *config.model.figures).to(module.device))[0][0]
        found[position] = ids.to(torch.uint8).cpu().numpy()
    return found


def write_fixed(predicted: Mapping[int, np.ndarray], palette: np.ndarray, folder: Path) -> list[Path]:
    """Write predictions, each file whole or not at all.

    Args:
        predicted: as :func:`predict_fixed` returns them.
        palette: colours (256,3) of the train ids.
        folder: where to; see :func:`predictions_folder`.

    Returns:
        The files.

    Raises:
        DataError: if the system refuses.
    """
    written = []
    for position, ids in predicted.items():
        save = partial(indexed_mask(ids, palette).save, format="PNG", optimize=True)
        written.append(write_file(folder / f"{position:05d}.png", save))
    return written


def read_fixed(folder: Path) -> dict[int, np.ndarray]:
    """Predictions of a run, by the position of the image; empty if there are none.

    Args:
        folder: see :func:`predictions_folder`.

    Raises:
        DataError: if a file is no indexed PNG, or has another name.
    """
    found = {}
    for path in sorted(folder.glob("*.png")):
        try:
            with Image.open(path) as mask:
                if mask.mode != "P" or not path.stem.isdigit():
                    raise ValueError(f"mode {mask.mode}")
                found[int(path.stem)] = np.asarray(mask, dtype=np.uint8)
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(
                f"is no kept prediction ({error})",
                file=path,
                remedy="delete it; `aucseg sweep EXPERIMENT --evaluate-again` writes it from a checkpoint",
            ) from error
    return found
