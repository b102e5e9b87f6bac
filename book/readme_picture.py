"""Draw ``book/_static/readme.png``: streets, their labels, and what two networks predict.

Run it after ``make book``, whose quickstart leaves the two checkpoints in ``runs/``::

    python book/readme_picture.py
"""

from __future__ import annotations

from pathlib import Path

import torch

from aucseg import plots
from aucseg.data import normalize
from aucseg.experiments import RecordStore, Results
from aucseg.models import predict
from aucseg.training import build_dataset

ARMS = ("baseline", "both")
IMAGES = 3


def main() -> None:
    """Train the two networks if they are not there, and draw."""
    plots.use_style()
    results = Results("ablation_components", "streets", "laptop", [0], "never")
    networks = {}
    for name in ARMS:
        found = RecordStore().network(results.config(name))
        if found is not None:
            networks[name] = found[0]
    data = results.config("both").data
    streets = build_dataset(data, data.eval_split, data.eval_images)
    tail = torch.tensor(streets.spec.tail)
    amount = torch.tensor([torch.isin(streets[i][1], tail).sum() for i in range(len(streets))])
    chosen = amount.argsort(descending=True, stable=True)[:IMAGES].tolist()
    batch = torch.stack([torch.as_tensor(streets[i][0]) for i in chosen])
    predictions = {name: predict(network, normalize(batch)) for name, network in networks.items()}
    figure = plots.image_grid(
        [
            [
                plots.to_rgb(streets[i][0]),
                plots.colorize(streets[i][1], streets.spec),
                *(plots.colorize(predictions[name][row], streets.spec) for name in predictions),
            ]
            for row, i in enumerate(chosen)
        ],
        titles=["image", "truth", *(results.labels[name] for name in predictions)],
    )
    figure.savefig(Path(__file__).parent / "_static" / "readme.png", dpi=80)


if __name__ == "__main__":
    main()
