"""What a training step of each compared method costs beside one with cross entropy, in one run.

    python benchmarks/methods.py --csv

The arms of the experiment ``methods_compared`` on drawn streets, each with a network, a bank and an optimiser
of its own, take turns on the same batches and on one thread; on the CPU the time is that of the process.
``per_cross_entropy`` and its quartiles are of the ratios turn by turn. Every bank has seen five batches
before the first turn, so that it has something to paste. Memory is not measured here: on a CPU the allocator
keeps what a first step took, and a later one is smaller. ``long_tail_losses`` and ``auc_loss`` have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from measure import Row, run_on_devices
from timing import quartiles, turns
from torch import Tensor

from aucseg.experiments import get_experiment
from aucseg.training import RunConfig, SegmentationDataModule, SegmentationModule

EXPERIMENT = get_experiment("methods_compared")
SIZE = (64, 128)  # that of the runs that are compared
SEEN = 5  # batches before the first turn
Size = tuple[int, int]
Batch = tuple[Tensor, Tensor]


def configuration(arm: str, size: Size) -> RunConfig:
    """The run of an arm, at another size of its images and with few of them."""
    config = EXPERIMENT.config(arm, "streets", "laptop")
    return config.with_(data__size=size, data__crop_size=None, data__train_images=24)


def prepared(
    arm: str, size: Size, device: str
) -> tuple[SegmentationModule, Callable[[Batch], Any], list[Batch]]:
    """An arm, a training step of it whose bank and optimiser are warm, and batches for it."""
    config = configuration(arm, size)
    data = SegmentationDataModule(config)
    module = SegmentationModule(config, data.classes).to(device).train()
    optimizer = module.configure_optimizers()["optimizer"]
    loader = iter(data.train_dataloader())
    batches = []
    for _ in range(SEEN):
        images, target = data.on_after_batch_transfer(next(loader), 0)
        batches.append((images.to(device), target.to(device)))

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        module.method.step(module, batch)["loss"].backward()
        optimizer.step()

    for batch in batches:
        step(batch)
    return module, step, batches


def compare(size: Size, device: str, repetitions: int, arms: tuple[str, ...]) -> Iterator[Row]:
    """One row for each arm at a size; the first is cross entropy."""
    steps = {arm: prepared(arm, size, device) for arm in arms}

    def all_batches(arm: str) -> None:
        _, step, batches = steps[arm]
        for batch in batches:
            step(batch)

    times = turns(
        {arm: partial(all_batches, arm) for arm in arms}, repetitions=repetitions, device=device, busy=True
    )
    for arm in arms:
        low, ratio, high = quartiles(times[arm], times[arms[0]])
        yield {
            "device": device,
            "arm": arm,
            "batch": len(steps[arm][2][0][0]),
            "height": size[0],
            "width": size[1],
            "seconds": quartiles(times[arm])[1] / SEEN,
            "per_cross_entropy": ratio,
            "per_cross_entropy_low": low,
            "per_cross_entropy_high": high,
        }


def measure(device: str, repetitions: int) -> Iterator[Row]:
    """All arms."""
    yield from compare(SIZE, device, repetitions, tuple(arm.name for arm in EXPERIMENT.arms))


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """Three arms at a small size."""
    yield from compare((32, 64), device, repetitions, (EXPERIMENT.baseline, "both", "rr"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_on_devices("methods", __doc__, measure, quick)
