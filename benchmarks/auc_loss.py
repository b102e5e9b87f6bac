"""AUCLoss against cross entropy and against a loop over classes: forward and backward, same run.

    python benchmarks/auc_loss.py --json auc_loss.json

The ratio to cross entropy says what the AUC term adds to a training step; the ratio to the loop says what
the one-pass moments save over the obvious implementation.
"""

from __future__ import annotations

from typing import Any

import torch
from measure import interleaved, patches, run_on_devices
from torch import Tensor
from torch.nn import functional as F

from aucseg.losses import AUCLoss

# (K, classes in one image, batch, height, width)
SETTINGS = {
    "cpu": ((19, None, 1, 512, 512), (150, 20, 1, 256, 256)),
    "cuda": ((19, None, 2, 1024, 1024), (150, 20, 4, 512, 512)),
}


def loop_over_classes(logits: Tensor, target: Tensor) -> Tensor:
    """The same loss, written the obvious way: select the pixels of one class after the other."""
    scores = logits.sigmoid().permute(0, 2, 3, 1).flatten(0, 2)
    labels = target.flatten()
    present = [c for c in range(logits.shape[1]) if bool((labels == c).any())]
    own = [scores[labels == c] for c in present]
    mean = torch.stack([s.mean(0) for s in own])[:, present]
    var = torch.stack([s.var(0, unbiased=False) for s in own])[:, present]
    gap = mean.diagonal()[:, None] - mean.t()
    pairs = (1 - gap).square() + var.diagonal()[:, None] + var.t()
    n = len(present)
    return (pairs.sum() - pairs.diagonal().sum()) / (n * (n - 1))


def measure(device: str, repetitions: int) -> list[dict[str, Any]]:
    """One row for each setting."""
    rows = []
    for k, present, batch, height, width in SETTINGS[device]:
        target = patches(batch, k, height, width, seed=0, present=present).to(device)
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(batch, k, height, width, generator=generator).to(device).requires_grad_()
        losses = {
            "cross_entropy": lambda x, y: F.cross_entropy(x, y, ignore_index=255),
            "auc": AUCLoss(k),
            "loop": loop_over_classes,
        }
        torch.testing.assert_close(losses["auc"](logits, target), loop_over_classes(logits, target))

        def step(loss: Any, logits: Tensor = logits, target: Tensor = target) -> None:
            logits.grad = None
            loss(logits, target).backward()

        seconds = interleaved(
            {name: lambda loss=loss: step(loss) for name, loss in losses.items()},
            repetitions=repetitions,
            device=device,
        )
        rows.append(
            {
                "device": device,
                "num_classes": k,
                "shape": f"{batch}x{k}x{height}x{width}",
                **{f"{name}_ms": 1e3 * value for name, value in seconds.items()},
                "auc_per_cross_entropy": seconds["auc"] / seconds["cross_entropy"],
                "auc_per_loop": seconds["auc"] / seconds["loop"],
            }
        )
    return rows


if __name__ == "__main__":
    run_on_devices("auc_loss", __doc__, measure)
