"""PixelAUC, exact and streaming, against torch.sort of the same scores and against scikit-learn, same run.

    python benchmarks/pixel_auc.py --csv

One row for each way: what a million pixels of 19 classes take, from the scores of four images to the figures,
and how far the streaming ways are off. Sorting the scores is the floor of any method that ranks them one by
one, scikit-learn the usual way. The last rows stream up to 10^8 pixels, each in a process of its own, and say
how far its resident memory ever rose above what it held after the first batch (on Linux only).
"""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from measure import interleaved, patches, run_on_devices
from sklearn.metrics import roc_auc_score
from torch import Tensor

from aucseg.metrics import PixelAUC

K, BATCH, SIDE = 19, 4, 512
BINS = (1024, 4096, 16384)
# bins, batches of 2^20 pixels: memory
STREAMS = ((4096, 1), (4096, 10), (4096, 96), (None, 1), (None, 10))
COLUMNS = (
    "device",
    "way",
    "num_classes",
    "pixels",
    "seconds",
    "per_sort",
    "scikit_learn_per_this",
    "auc",
    "error",
    "error_of_worst_pair",
    "error_bound",
    "state_mb",
    "growth_mb",
)


def trained(seed: int, device: str) -> tuple[Tensor, Tensor]:
    """Softmax scores as of a network that tells most classes apart, and their target."""
    target = patches(BATCH, K, SIDE, SIDE, seed=seed)
    logits = torch.randn(BATCH, K, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    logits.scatter_add_(1, target.clamp(max=K - 1)[:, None], torch.full((BATCH, 1, SIDE, SIDE), 3.0))
    return logits.softmax(1).to(device), target.to(device)


def way_of(bins: int | None) -> str:
    """What a row calls the metric."""
    return "exact" if bins is None else f"{bins} bins"


def speed(device: str, repetitions: int) -> list[dict[str, Any]]:
    """A million pixels, all ways in one run."""
    scores, target = trained(0, device)
    metrics = {way_of(bins): PixelAUC(K, bins=bins).to(device) for bins in (None, *BINS)}
    valid = target != 255
    labels = target[valid]
    channels = scores.movedim(1, 0)[:, valid].contiguous()
    rows, numbers = channels.t().double().cpu().numpy(), labels.cpu().numpy()

    def figures(metric: PixelAUC) -> dict[str, Tensor]:
        metric.reset()
        metric.update(scores, target)
        return metric.compute()

    found = {way: figures(metric) for way, metric in metrics.items()}
    expected = float(roc_auc_score(numbers, rows, multi_class="ovo"))
    assert abs(found["exact"]["auc"].item() - expected) < 1e-9
    ways = {way: lambda metric=metric: figures(metric) for way, metric in metrics.items()}
    seconds = interleaved(
        {"torch.sort": lambda: channels.sort(1), **ways}, repetitions=repetitions, device=device
    )
    slow = interleaved(
        {"scikit-learn": lambda: roc_auc_score(numbers, rows, multi_class="ovo"), **ways},
        repetitions=min(repetitions, 3),
        device=device,
    )
    table = [
        {"way": "torch.sort", "seconds": seconds["torch.sort"]},
        {"way": "scikit-learn", "seconds": slow["scikit-learn"], "auc": expected},
    ]
    for way, result in found.items():
        off = (result["pairs"] - found["exact"]["pairs"]).abs()
        table.append(
            {
                "way": way,
                "seconds": seconds[way],
                "per_sort": seconds[way] / seconds["torch.sort"],
                "scikit_learn_per_this": slow["scikit-learn"] / slow[way],
                "auc": result["auc"].item(),
                "error": (result["auc"] - found["exact"]["auc"]).abs().item(),
                "error_of_worst_pair": off.nan_to_num(0).max().item(),
                "error_bound": result["auc_error_bound"].item() if way != "exact" else 0.0,
                "state_mb": state_bytes(metrics[way]) / 1e6,
            }
        )
    return [{"pixels": len(labels), **row} for row in table]


def state_bytes(metric: PixelAUC) -> int:
    """Size of what a metric keeps."""
    kept = [metric.histogram] if metric.bins is not None else [*metric.pixel_scores, *metric.pixel_labels]
    return sum(tensor.numel() * tensor.element_size() for tensor in kept)


def resident_mb(field: str) -> float:
    """Resident memory of this process, now (``"VmRSS"``) or at its peak (``"VmHWM"``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024 / 1e6


def stream(bins: int | None, batches: int) -> dict[str, Any]:
    """Feed a metric and compute; how far did the memory of this process rise after one batch?"""
    data = [trained(seed, "cpu") for seed in range(2)]
    metric = PixelAUC(K, bins=bins)
    metric.update(*data[0])
    metric.compute()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far, which making the data has set
    first = resident_mb("VmRSS")
    start = time.perf_counter()
    for number in range(1, batches):
        metric.update(*data[number % 2])
    auc = metric.compute()["auc"].item()
    seconds = time.perf_counter() - start
    return {
        "way": way_of(bins),
        "pixels": batches * BATCH * SIDE * SIDE,
        "seconds": seconds if batches > 1 else None,
        "auc": auc,
        "state_mb": state_bytes(metric) / 1e6,
        "growth_mb": resident_mb("VmHWM") - first,
    }


def measure(device: str, repetitions: int) -> list[dict[str, Any]]:
    """Speed and errors; on the CPU also the memory of longer streams."""
    rows = speed(device, repetitions)
    if device == "cpu" and Path("/proc/self/clear_refs").exists():
        for setting in STREAMS:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
                rows.append(fresh.submit(stream, *setting).result())
    columns = dict.fromkeys(COLUMNS)
    return [{**columns, "device": device, "num_classes": K, **row} for row in rows]


if __name__ == "__main__":
    run_on_devices("pixel_auc", __doc__, measure)
