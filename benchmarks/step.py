"""A whole training step of AUCSeg beside one with cross entropy: network, bank, loss and optimiser.

    python benchmarks/step.py --csv

AUCSeg's published measurement is 2.13 times a step with cross entropy. Three networks at three sizes of an
image, all candidates in one process by turns, on one thread of a CPU by the time on the processor;
``per_cross_entropy`` and its quartiles are of the ratios turn by turn. The bank has seen every class before
the first turn that counts, so that it pastes in every step.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from measure import Row, patches, run_on_devices
from timing import quartiles, turns
from torch import nn

from aucseg.losses import AUCSegLoss
from aucseg.memory import TailMemoryBank
from aucseg.models import create_model

CE, LOSS, BANK = "cross entropy", "AUC loss", "AUC loss and bank"
NETWORKS = (("unet", "resnet18"), ("deeplabv3plus", "resnet18"), ("segformer", "mit_b0"))
SIZES = ((64, 128), (128, 256), (256, 512))
CLASSES, BATCH, HELD = 19, 4, 12
TAIL = (5, 6, 12, 15, 16, 17, 18)


def measure(
    device: str,
    repetitions: int,
    networks: tuple[tuple[str, str], ...] = NETWORKS,
    sizes: tuple[tuple[int, int], ...] = SIZES,
) -> Iterator[Row]:
    """One row for each candidate, network and size."""
    for name, encoder in networks:
        for height, width in sizes:
            times = step_times(name, encoder, height, width, device, repetitions)
            for candidate, seconds in times.items():
                low, ratio, high = quartiles(seconds, times[CE])
                yield {
                    "device": device,
                    "network": f"{name}-{encoder}",
                    "batch": BATCH,
                    "height": height,
                    "width": width,
                    "candidate": candidate,
                    "seconds": quartiles(seconds)[1],
                    "per_cross_entropy": ratio,
                    "per_cross_entropy_low": low,
                    "per_cross_entropy_high": high,
                }


def step_times(
    name: str, encoder: str, height: int, width: int, device: str, repetitions: int
) -> dict[str, list[float]]:
    """Seconds of a step of each candidate, turn by turn."""
    torch.manual_seed(0)
    model = create_model(name, encoder, num_classes=CLASSES).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    images = torch.randn(BATCH, 3, height, width, device=device)
    target = patches(BATCH, CLASSES, height, width, seed=0, present=HELD, patch=16).to(device)
    bank = TailMemoryBank(TAIL)
    for seed in range(1, 6):  # so that there is something of every class to paste
        seen = patches(BATCH, CLASSES, height, width, seed=seed, every=True, patch=16).to(device)
        bank(images, seen)
    losses: dict[str, nn.Module] = {
        CE: nn.CrossEntropyLoss(ignore_index=255),
        LOSS: AUCSegLoss(CLASSES),
        BANK: AUCSegLoss(CLASSES),
    }

    def step(candidate: str) -> None:
        pasted, labels = bank(images, target) if candidate == BANK else (images, target)
        loss = losses[candidate](model(pasted), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    steps = {candidate: lambda candidate=candidate: step(candidate) for candidate in losses}
    return turns(steps, repetitions=repetitions, device=device, busy=True)


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """One network at one small size."""
    return measure(device, repetitions, NETWORKS[:1], ((64, 128),))


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_on_devices("step", __doc__, measure, quick)
