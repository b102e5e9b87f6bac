"""Write ``data/records/pseudo_labels``: what a teacher says of images as it improves, for pictures.

Run it where the networks are, or can be trained::

    python book/pseudo_labels.py                                   # all of them
    python book/pseudo_labels.py domain_adaptation/self_training   # some
    python book/pseudo_labels.py --record                          # the records too, where they differ

Each file is of one recorded run on drawn streets. It has the predictions of the trained network for a few
evaluation images, those with most classes of the tail, and of a run with a teacher what that said of as many
images without labels at some moments of the training, and where it counted. A run with a teacher is trained
anew for that, and its record compared: another processor adds in another order and comes to other numbers,
and then the pictures are not those of the record. The chapters read the files.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from aucseg import paths
from aucseg.data import normalize
from aucseg.experiments import RecordStore, get_experiment
from aucseg.functional.pseudo_labels import predicted
from aucseg.training import (
    RunConfig,
    SegmentationDataModule,
    SegmentationModule,
    checkpoint_path,
    load_module,
    train,
)

RUNS = {
    "semi_supervised_16": ("labelled_only", "self_training"),
    "domain_adaptation": ("source_only", "self_training", "blv"),
}
SEED = 0
MOMENTS = (0.05, 0.1, 0.25, 0.5, 1.0)
IMAGES = 3


def most_tail(dataset: Any, tail: tuple[int, ...], number: int = IMAGES) -> list[int]:
    """Positions of the images that hold most classes of the tail, the first of equal ones.

    Args:
        dataset: images with ``mask``.
        tail: train ids.
        number: how many.
    """
    held = [
        len(set(np.unique(np.asarray(dataset.mask(i))).tolist()) & set(tail)) for i in range(len(dataset))
    ]
    return np.argsort(held, kind="stable")[::-1][:number].tolist()


def pictures(dataset: Any, positions: list[int], config: RunConfig) -> torch.Tensor:
    """Images (N,3,H,W), normalised as the network wants them."""
    images = torch.stack([torch.as_tensor(dataset[i][0]) for i in positions])
    return normalize(images, *config.model.figures)


class Moments(Callback):
    """Keeps what the teacher says of some images at some steps.

    Args:
        images: (N,3,H,W), normalised.
        steps: after which of them.
        threshold: probability from which on a pixel counts.
    """

    def __init__(self, images: torch.Tensor, steps: tuple[int, ...], threshold: float) -> None:
        self.images, self.steps, self.threshold = images, steps, threshold
        self.labels: list[np.ndarray] = []
        self.counted: list[np.ndarray] = []

    def on_train_batch_end(self, trainer: Any, pl_module: SegmentationModule, *_: Any) -> None:
        """Look, without changing anything that the training goes on with."""
        if trainer.global_step not in self.steps:
            return
        with torch.no_grad():
            logits = pl_module.method.answers(self.images.to(pl_module.device))
        labels, probability = predicted(logits.cpu())
        self.labels.append(labels.numpy().astype(np.uint8))
        self.counted.append((probability >= self.threshold).numpy())


def look(config: RunConfig, *, record_too: bool = False) -> dict[str, np.ndarray]:
    """The arrays of a file: ``test`` and ``predicted``, and of a run with a teacher its ``moments``.

    Args:
        config: a run on drawn images, which are the same everywhere.
        record_too: this training takes the place of a record with other numbers.

    Returns:
        ``test`` (N,), positions in the evaluation split, and ``predicted`` (N,H,W) there; ``unlabelled``
        (N,), positions among the images without labels, ``step`` (T,), ``labels`` (T,N,H,W), and
        ``counted``, which of these count, packed along the rows.
    """
    store, config = RecordStore(), config.pinned()
    found: dict[str, np.ndarray] = {}
    data, before = SegmentationDataModule(config), store.get(config)
    callbacks: tuple[Callback, ...] = ()
    if config.method.name == "mean_teacher":
        chosen = most_tail(data.unlabelled_set, data.spec.tail)
        steps = tuple(max(1, round(part * config.optim.steps)) for part in MOMENTS)
        moments = Moments(pictures(data.unlabelled_set, chosen, config), steps, config.method.threshold)
        callbacks = (moments,)
    # the moments of a training are not in its checkpoint
    record = train(config, resume=not callbacks, callbacks=callbacks)
    if callbacks:
        found = {
            "unlabelled": np.array(chosen),
            "step": np.array(steps),
            "labels": np.stack(moments.labels),
            "counted": np.packbits(np.stack(moments.counted), axis=-1),
        }
    if before is None or not record.same_result(before):
        if before is not None and not record_too:
            raise SystemExit(
                f"{config.name} came to other numbers here than its record has: nothing is written; "
                "--record puts this training in its place"
            )
        store.put(record)
    test = most_tail(data.eval_set, data.spec.tail)
    with torch.inference_mode():
        ids = load_module(checkpoint_path(config)).predict_scores(pictures(data.eval_set, test, config))[0]
    return found | {"test": np.array(test), "predicted": ids.numpy().astype(np.uint8)}


def write(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a file, the same bytes for the same arrays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def main(words: list[str]) -> None:
    """Train what is not there, and look at all of it, or at the wanted ones."""
    wanted = [word for word in words if word != "--record"]
    for experiment, arms in RUNS.items():
        for arm in arms:
            if wanted and f"{experiment}/{arm}" not in wanted:
                continue
            config = get_experiment(experiment).config(arm, "streets", "laptop", seed=SEED)
            found = look(config, record_too=len(wanted) < len(words))
            write(found, paths.records() / "pseudo_labels" / f"{config.identity}.npz")


if __name__ == "__main__":
    main(sys.argv[1:])
