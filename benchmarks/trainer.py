"""What the trainer costs beside a plain loop of the same steps, by the time on the processor.

python benchmarks/trainer.py
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback

from aucseg.experiments import make_config
from aucseg.training import RunConfig, SegmentationDataModule, SegmentationModule, train
from aucseg.training.optim import make_optimizer


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


def main() -> None:
    """Print the ratio for three sizes of an image, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for size in ((64, 128), (128, 256), (256, 512)):
        config = make_config("streets", "smoke").with_(
            data__size=size,
            data__train_images=8,
            data__eval_images=1,
            optim__steps=options.steps,
            checkpoint_every=10 * options.steps,
            device="cpu",
        )
        seconds: dict[str, list[float]] = {"plain": [], "trainer": []}
        for _ in range(options.turns):
            for name, run in (("plain", plain_loop), ("trainer", trained)):
                marks = run(config)
                seconds[name] += [b - a for a, b in pairwise(marks[3:])]
        plain, own = (statistics.median(seconds[name]) for name in ("plain", "trainer"))
        print(
            f"{size[0]} x {size[1]}: {1000 * plain:.1f} ms plain, "
            f"{1000 * own:.1f} ms trainer, {own / plain:.3f}"
        )


if __name__ == "__main__":
    main()
