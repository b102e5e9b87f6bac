"""What the trainer costs beside a plain loop of the same steps, by the time on the processor.

    python benchmarks/trainer.py --csv

Network, data, objective, bank and optimiser are those of the smoke profile, at three sizes of an image, on
one thread. Loop and trainer take turns, each first in every other one; ``overhead`` and its quartiles are of
the ratios turn by turn, each of the means of its steps: a point of the curves is written after every step of
a short run and after every fiftieth part of a long one. A GPU is not waited for, so this is of the CPU.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback
from measure import Row, run_on_devices
from timing import quartiles

from aucseg.experiments import make_config
from aucseg.training import RunConfig, SegmentationDataModule, SegmentationModule, train
from aucseg.training.optim import make_optimizer

SIZES = {(64, 128): 204, (128, 256): 104, (256, 512): 29}  # and steps of a run
WARM_UP = 4
MOST_TURNS = 7  # a turn takes a minute, most of it at the largest size


class Clock(Callback):
    """Time on the processor of each step, from the end of one to the end of the next."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_train_batch_end(self, *_: object) -> None:
        """Look at the clock."""
        self.marks.append(time.process_time())


def plain_loop(config: RunConfig) -> list[float]:
    """The same network, data, objective, bank and optimiser in a short loop; the marks of its steps."""
    data = SegmentationDataModule(config)
    module = SegmentationModule(config, data.classes).train()
    optimizer, schedule = make_optimizer(config.optim, module.model, module.objective)
    marks = []
    for batch in data.train_dataloader():
        images, target = data.on_after_batch_transfer(batch, 0)
        if module.bank is not None:
            images, target = module.bank(images, target)
        loss = module.losses(images, target)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        marks.append(time.process_time())
    return marks


def trained(config: RunConfig) -> list[float]:
    """The marks of the steps of the trainer."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder), progress=False, callbacks=(clock,), report=lambda line: None)
    return clock.marks


def measure(device: str, repetitions: int, sizes: Mapping[tuple[int, int], int] = SIZES) -> Iterator[Row]:
    """One row for each size."""
    if device != "cpu":
        return
    for size, steps in sizes.items():
        config = make_config("streets", "smoke").with_(
            data__size=size,
            data__train_images=8,
            data__eval_images=1,
            optim__steps=steps,
            checkpoint_every=10 * steps,
            device="cpu",
        )
        runs: dict[str, Callable[[RunConfig], list[float]]] = {"plain": plain_loop, "trainer": trained}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(min(repetitions, MOST_TURNS)):
            for name in sorted(runs, reverse=bool(turn % 2)):
                marks = runs[name](config)[WARM_UP - 1 :]
                seconds[name].append((marks[-1] - marks[0]) / (len(marks) - 1))
        low, middle, high = quartiles(seconds["trainer"], seconds["plain"])
        yield {
            "device": device,
            "image": f"{size[0]}x{size[1]}",
            "steps": steps,
            "plain_ms": 1e3 * statistics.median(seconds["plain"]),
            "trainer_ms": 1e3 * statistics.median(seconds["trainer"]),
            "overhead": middle,
            "overhead_low": low,
            "overhead_high": high,
        }


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """The same at one size, for a few steps."""
    return measure(device, repetitions, {(32, 64): 6})


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_on_devices("trainer", __doc__, measure, quick)
