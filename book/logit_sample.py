"""Write ``data/records/logits``: what two networks make of the same pixels, for a chapter's pictures.

Run it where the two networks are, or can be trained: cross entropy and BLV of ``long_tail_losses``::

    python book/logit_sample.py

Each file has 300 pixels of each class, drawn from the test streets: its class, its logits, and its place in
the plane by t-SNE of the logits (perplexity 30, a fixed seed). It takes a minute; the chapter reads it.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.manifold import TSNE

from aucseg import paths
from aucseg.data import normalize
from aucseg.experiments import RecordStore, get_experiment
from aucseg.training import RunConfig, SegmentationModule, build_dataset

ARMS = ("baseline", "blv")
SEED = 1
PIXELS = 300


def sample_logits(module: SegmentationModule, config: RunConfig, pixels: int, seed: int = 0) -> pd.DataFrame:
    """Logits of random pixels of the evaluation split, the same ones for every network.

    Args:
        module: the network, in evaluation mode.
        config: of the run.
        pixels: how many of each class, or all that there are.
        seed: of the draw.

    Returns:
        ``class``, and a column for the logit of each class.
    """
    data = build_dataset(config.data, config.data.eval_split, config.data.eval_images)
    labels = np.stack([np.asarray(data[i][1]) for i in range(len(data))])
    rng = np.random.default_rng(seed)
    places = []
    for label in range(data.spec.num_classes):
        all_ = np.flatnonzero(labels == label)
        places.append(rng.choice(all_, min(pixels, len(all_)), replace=False))
    chosen = np.concatenate(places)
    logits = np.empty((len(chosen), data.spec.num_classes), np.float32)
    size = labels[0].size
    for image in range(len(data)):
        here = np.flatnonzero(chosen // size == image)
        if len(here):
            x = normalize(torch.as_tensor(data[image][0])[None], *config.model.figures)
            with torch.inference_mode():
                z = module(x)[0].flatten(1)
            logits[here] = z[:, chosen[here] % size].T.numpy()
    names = np.array(data.spec.names)[labels.reshape(-1)[chosen]]
    return pd.DataFrame(logits, columns=list(data.spec.names)).assign(**{"class": names})


def with_places(sample: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The sample with ``x`` and ``y``, its places in the plane by t-SNE of the logits.

    Args:
        sample: as :func:`sample_logits` returns it.
        seed: of the t-SNE.
    """
    perplexity = min(30, (len(sample) - 1) // 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    x, y = tsne.fit_transform(sample.drop(columns="class").to_numpy()).T
    front = pd.DataFrame({"class": sample["class"], "x": x, "y": y})
    return pd.concat([front, sample.drop(columns="class")], axis=1)


def write(sample: pd.DataFrame, path: Path) -> None:
    """Write a sample with two digits, the same bytes for the same numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(sample.to_csv(index=False, float_format="%.2f").encode(), mtime=0))


def main() -> None:
    """Train the two networks if they are not there, and sample both."""
    for arm in ARMS:
        config = get_experiment("long_tail_losses").config(arm, "streets", "laptop", seed=SEED)
        found = RecordStore().network(config)
        assert found is not None  # without compute="never" it is trained
        sample = with_places(sample_logits(found[0], config.pinned(), PIXELS))
        write(sample, paths.records() / "logits" / f"{config.identity}.csv.gz")


if __name__ == "__main__":
    main()
