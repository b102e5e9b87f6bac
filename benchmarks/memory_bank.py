"""What the tail-class memory bank costs for an image, at the paper's settings.

    python benchmarks/memory_bank.py --csv

The bank is full before the clock starts. Beside it, in the same run, stand a plain copy of the batch, which
any augmentation needs, and cross entropy (forward and backward) on logits of the same size.
"""

from __future__ import annotations

from typing import Any

import torch
from measure import interleaved, patches, run_on_devices
from torch.nn import functional as F

from aucseg.memory import TailMemoryBank

# name: (K, tail classes, classes in one image, batch, height, width)
SETTINGS = {"ade20k": (150, 124, 10, 4, 512, 512), "cityscapes": (19, 7, 12, 2, 512, 1024)}
BATCHES = 8


def measure(device: str, repetitions: int) -> list[dict[str, Any]]:
    """One row for each data set."""
    rows = []
    for name, (k, tail, present, batch, height, width) in SETTINGS.items():
        generator = torch.Generator().manual_seed(0)
        batches = [
            (
                torch.rand(batch, 3, height, width, generator=generator).to(device),
                patches(batch, k, height, width, seed=i, present=present).to(device),
            )
            for i in range(BATCHES)
        ]
        bank = TailMemoryBank(range(k - tail, k), generator=torch.Generator().manual_seed(0))
        for _ in range(3):
            for images, target in batches:
                bank(images, target)
        before = bank.stats()
        logits = torch.randn(batch, k, height, width, device=device, requires_grad=True)
        turn = {"i": 0}

        def run_bank(batches: Any = batches, bank: Any = bank, turn: Any = turn) -> None:
            turn["i"] += 1
            bank(*batches[turn["i"] % BATCHES])

        def run_copy(batches: Any = batches) -> None:
            images, target = batches[0]
            images.clone()
            target.clone()

        def run_loss(batches: Any = batches, logits: Any = logits) -> None:
            logits.grad = None
            F.cross_entropy(logits, batches[0][1], ignore_index=255).backward()

        seconds = interleaved(
            {"bank": run_bank, "copy": run_copy, "cross_entropy": run_loss},
            repetitions=repetitions,
            device=device,
        )
        pasted = sum(bank.stats()["pasted"].values()) - sum(before["pasted"].values())
        rows.append(
            {
                "device": device,
                "setting": name,
                "shape": f"{batch}x3x{height}x{width}",
                "tail_classes": tail,
                "stored_objects": len(bank),
                "pasted_per_image": pasted / (batch * (repetitions + 1)),
                **{f"{what}_ms_per_image": 1e3 * value / batch for what, value in seconds.items()},
                "bank_per_cross_entropy": seconds["bank"] / seconds["cross_entropy"],
            }
        )
    return rows


if __name__ == "__main__":
    run_on_devices("memory_bank", __doc__, measure)
