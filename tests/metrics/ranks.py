"""Both metrics on several processes: what each of them runs, importable by a fresh interpreter."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.metrics import PixelAUC, SegmentationIoU

MODES: dict[str, dict[str, object]] = {"exact": {}, "streaming": {"bins": 64}, "partial": {"max_fpr": 0.2}}
K = 5
SIZES = (3, 2, 4)  # images in each batch


def batches(seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Uneven batches; class 3 occurs in the first only, class 4 never."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for number, images in enumerate(SIZES):
        scores = torch.rand(images, K, 6, 7, generator=generator)
        target = torch.randint(0, 4 if number == 0 else 3, (images, 6, 7), generator=generator)
        target[torch.rand(target.shape, generator=generator) < 0.2] = 255
        made.append((scores, target))
    return made


def run(rank: int, folder: str, shares: dict[str, list[list[int]]]) -> None:
    """Feed this rank's share of the batches into each mode and save what it computes."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {}
    for case, share in shares.items():
        for mode, options in MODES.items():
            metric = PixelAUC(K, **options)  # type: ignore[arg-type]
            for number in share[rank]:
                metric.update(*batches()[number])
            found[f"{case} {mode}"] = metric.compute()
        iou = SegmentationIoU(K)
        for number in share[rank]:
            iou.update(*batches()[number])
        found[f"{case} iou"] = iou.compute()
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
