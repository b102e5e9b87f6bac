"""What the tail-class memory bank costs for an image, at the paper's settings, on one thread.

    python benchmarks/memory_bank.py --csv

One row for each data set and kind of label map, ``scene``: ``objects``, each tail class of an image in one
piece, and ``scattered``, where the pieces of a class lie far apart, so that its box is most of the image and
the bank moves more memory. What a call costs is measured after it has seen the eight batches three times. In
turns are timed:

- ``bank``: TailMemoryBank;
- ``reference``: the bank as one would first write it down, ``plain_bank.py``, filled by the same batches;
- ``copy``: a plain copy of the batch, which any augmentation needs;
- ``step``: a training step on a batch of that size, float32, AUC with cross entropy, SGD. A small network on
  the CPU and DeepLabV3+ with a ResNet-50 on a GPU.

``bank_share_of_step`` is bank / (bank + step), ``reference_per_bank`` the ratio turn by turn. On the CPU the
time is what the thread has the processor for; others who are busy on the machine still share its caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any, cast

import torch
from bank_settings import ADE20K, CITYSCAPES, NETWORKS, TINY, Setting, TrainingStep
from measure import Row, run_on_devices
from plain_bank import PlainBank
from timing import quartiles, turns
from torch import Tensor

from aucseg.memory import TailMemoryBank

BATCHES, ROUNDS = 8, 3
BUDGET = 30.0  # seconds for the slow ones, which take fewer turns

Batch = tuple[Tensor, Tensor]


def measure(device: str, repetitions: int) -> Iterator[Row]:
    """Both data sets."""
    for setting in (ADE20K, CITYSCAPES):
        yield from compare(setting, device, repetitions)


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """A size that takes no time."""
    yield from compare(TINY, device, repetitions)


class Filled:
    """A bank and the batches that it has seen, which it goes on to see one by one."""

    def __init__(self, bank: Callable[[Tensor, Tensor], Any], batches: list[Batch]) -> None:
        self.bank, self.batches, self.calls = bank, cycle(batches), 0
        for _ in range(ROUNDS * len(batches)):
            self()

    def __call__(self) -> None:
        """Take the next batch."""
        self.calls += 1
        self.bank(*next(self.batches))


def compare(setting: Setting, device: str, repetitions: int) -> Iterator[Row]:
    """Time of the bank and its rivals at one setting, a row for each kind of label map."""
    torch.set_num_threads(1)
    options: dict[str, Any] = {"sample_ratio": setting.sample_ratio, "resize_ratio": setting.resize_ratio}
    filled: dict[str, Filled] = {}
    for scene, source in (("objects", setting.objects), ("scattered", setting.scattered)):
        batches = list(islice(source(device), BATCHES))
        filled[f"bank {scene}"] = Filled(setting.bank(), batches)
        filled[f"reference {scene}"] = Filled(PlainBank(setting.tail_classes, **options), batches)
    step = TrainingStep(setting.num_classes, device)
    times = turns(
        {
            **filled,
            "copy": lambda: [part.clone() for part in batches[0]],
            "step": lambda: step(*batches[0]),
        },
        repetitions=repetitions,
        device=device,
        budget=BUDGET,
        steady=("bank objects", "bank scattered", "copy"),
        busy=True,
    )
    per_image = {name: 1e3 / setting.batch * quartiles(seconds)[1] for name, seconds in times.items()}
    for scene in ("objects", "scattered"):
        ours, other = filled[f"bank {scene}"], filled[f"reference {scene}"]
        bank, milliseconds = cast(TailMemoryBank, ours.bank), per_image[f"bank {scene}"]
        yield {
            "device": device,
            "setting": setting.name,
            "scene": scene,
            "shape": "x".join(map(str, setting.shape)),
            "num_classes": setting.num_classes,
            "tail_classes": setting.tail,
            "network": " ".join(NETWORKS[device]),
            "stored_objects": len(bank),
            "pasted_per_image": sum(bank.stats()["pasted"].values()) / (setting.batch * ours.calls),
            "bank_ms_per_image": milliseconds,
            "copy_ms_per_image": per_image["copy"],
            "reference_ms_per_image": per_image[f"reference {scene}"],
            "step_ms_per_image": per_image["step"],
            "bank_share_of_step": milliseconds / (milliseconds + per_image["step"]),
            "reference_per_bank": quartiles(times[f"reference {scene}"], times[f"bank {scene}"])[1],
            "bank_bytes": int(bank.metrics()["bank/bytes"]),
            "reference_bytes": cast(PlainBank, other.bank).nbytes(),
        }


if __name__ == "__main__":
    run_on_devices("memory_bank", __doc__, measure, quick)
