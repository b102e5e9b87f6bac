"""How much memory a training step takes at its peak, with the tail-class memory bank and without (Fig. 8).

    python benchmarks/bank_memory.py --csv

The network, its optimizer, a full bank and one step of AUC with cross entropy, float32, without any other
memory of the process. ``part`` says what a row is for:

- ``memory_size``: S_M of 1, 3, 5, 8, 10 and 20 at the settings of ADE20K and Cityscapes (Figure 8).
  ``bank_bytes`` is what the bank holds of objects of one piece, ``bank_worst_bytes`` what it would hold if
  every box were the whole image, which is what the released code stores. ``worst_share_of_peak`` is of the
  peak with that bank in the place of ours;
- ``batch_size``: batches of 4 to 32 images without a bank, and of 4 with it (Table 14, in which a batch of 22
  is what holds five tail classes as often); the first row is cross entropy alone. 128 x 128 pixels on the
  CPU, 512 x 512 on a GPU. A GPU that is too small for a batch leaves ``peak_bytes`` empty.

Memory is what PyTorch's allocator held on CUDA and the growth of the resident set on the CPU; columns end in
``bytes`` for that reason and not in GB, of which the paper does not say which.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace

import torch
from bank_settings import ADE20K, CITYSCAPES, NETWORKS, TINY, Setting, TrainingStep
from measure import Row, run_on_devices
from peak_memory import extra_peak_bytes, in_fresh_process, measurable

MEMORY_SIZES = (1, 3, 5, 8, 10, 20)
BATCH_SIZES = (4, 8, 16, 22, 32)
SIDE = {"cpu": 128, "cuda": 512}  # of the crops in the part batch_size
PAPER = 5  # S_M

Peak = tuple[int | None, int]


def measure(device: str, repetitions: int) -> Iterator[Row]:
    """Both parts; a peak is the same whenever it is measured, so there are no repetitions."""
    if not measurable(device):
        return
    for setting in (ADE20K, CITYSCAPES):
        for memory_size in MEMORY_SIZES:
            yield row("memory_size", setting, device, memory_size=memory_size)
    crops = replace(ADE20K, height=SIDE[device], width=SIDE[device])
    yield from batch_sizes(crops, BATCH_SIZES, device)


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """Both parts at a size that takes no time."""
    if not measurable(device):
        return
    yield row("memory_size", TINY, device, memory_size=2)
    yield from batch_sizes(TINY, (2,), device, fresh=False)


def batch_sizes(
    setting: Setting, sizes: tuple[int, ...], device: str, *, fresh: bool = True
) -> Iterator[Row]:
    """Cross entropy alone, then larger and larger batches, then the bank with the smallest."""
    least = replace(setting, batch=sizes[0])
    yield row("batch_size", least, device, auc=False, fresh=fresh)
    for size in sizes:
        yield row("batch_size", replace(setting, batch=size), device, fresh=fresh)
    yield row("batch_size", least, device, memory_size=PAPER, fresh=fresh)


def row(
    part: str, setting: Setting, device: str, *, memory_size: int = 0, auc: bool = True, fresh: bool = True
) -> Row:
    """The peak of one step; a ``memory_size`` of 0 is no bank."""
    arguments = (setting, device, memory_size, auc)
    # the allocator of CUDA counts tensors, whatever was there before; resident memory has a history
    alone = fresh and device != "cuda"
    total, bank = in_fresh_process(peak, *arguments) if alone else peak(*arguments)
    worst = setting.worst_bytes(memory_size)
    return {
        "device": device,
        "part": part,
        "setting": setting.name,
        "network": " ".join(NETWORKS[device]),
        "auc_loss": int(auc),
        "tmb": int(memory_size > 0),
        "memory_size": memory_size,
        "batch": setting.batch,
        "height": setting.height,
        "width": setting.width,
        "num_classes": setting.num_classes,
        "tail_classes": setting.tail,
        "peak_bytes": total,
        "peak_bytes_per_image": total and total / setting.batch,
        "bank_bytes": bank,
        "bank_worst_bytes": worst,
        "bank_share_of_peak": total and bank / total,
        "worst_share_of_peak": total and worst / (total - bank + worst),
    }


def peak(setting: Setting, device: str, memory_size: int, auc: bool) -> Peak:
    """Peak bytes of all that a step needs, and bytes of the bank; no peak where the device is too small."""
    _step(TINY, device, 1, auc)  # loads what is loaded only once
    found: dict[str, int] = {}
    try:
        total = extra_peak_bytes(lambda: found.update(bank=_step(setting, device, memory_size, auc)), device)
    except torch.cuda.OutOfMemoryError:
        total = None
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
    return total, found.get("bank", 0)


def _step(setting: Setting, device: str, memory_size: int, auc: bool) -> int:
    """Make the network and the bank and take a step; bytes of the bank."""
    step = TrainingStep(setting.num_classes, device, auc=auc)
    bank = setting.full_bank(memory_size, device)
    step(*bank(*next(setting.objects(device))))
    return int(bank.metrics()["bank/bytes"])


if __name__ == "__main__":
    run_on_devices("bank_memory", __doc__, measure, quick)
