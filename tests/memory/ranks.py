"""Banks on two processes: what each of them runs, importable by a fresh interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from aucseg.memory import TailMemoryBank

WORLD = 2
TAIL = (5, 6, 7)
STEPS = 5
DTYPES = (torch.float32, torch.uint8, torch.bfloat16)


def batch(rank: int, step: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Rank 0 never sees class 7, rank 1 never class 5; in step 3 nobody has anything."""
    generator = torch.Generator().manual_seed(10 * step + rank)
    images = torch.rand(1 + rank, 3, 12, 10, generator=generator).mul(255).to(dtype)
    target = torch.zeros(1 + rank, 12, 10, dtype=torch.long)
    if step != 3:
        target[0, 1:4, 2 : 4 + step] = (5, 7)[rank]
        target[-1, 6 : 8 + rank, 5:8] = 6
    return images, target


def build(**options: Any) -> TailMemoryBank:
    """A bank that gives away its oldest objects."""
    return TailMemoryBank(
        TAIL,
        memory_size=3,
        sample_ratio=1.0,
        replacement="fifo",
        generator=torch.Generator().manual_seed(0),
        **options,
    )


def content(bank: TailMemoryBank) -> dict[str, Any]:
    """Objects and counters, to be saved."""
    state = bank.get_extra_state()
    return {key: state[key] for key in ("crops", "entries", "counters")} | {"sizes": bank.sizes()}


def run(rank: int, folder: str) -> None:
    """Banks with and without sharing on this rank's batches."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD)
    found: dict[str, Any] = {}
    for dtype in DTYPES:
        bank = build(share="all")
        for step in range(STEPS):
            bank(*batch(rank, step, dtype))
        found[f"all/{dtype}"] = content(bank)
    bank = build()
    for step in range(STEPS):
        bank(*batch(rank, step))
    found["none"] = content(bank)
    alone = build(share="all").eval()
    if rank == 0:  # waits for nobody
        alone(*batch(rank, 0))
    try:
        build(share="all")(*batch(rank, 0, DTYPES[rank]))
    except ValueError as error:
        found["error"] = str(error)
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
