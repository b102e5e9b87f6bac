"""Banks on two processes: what each of them runs, importable by a fresh interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from aucseg.memory import FixedPixelBank, TailMemoryBank

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


# One bank of the whole batch, with all that draws, counts or bounds: each must be as on one process.
JOINED: dict[str, dict[str, Any]] = {
    "plain": {"budget": None},
    "budget": {"budget": 0.03, "replacement": "random"},
    "batch scope": {"scope": "batch", "replacement": "priority_used"},
    "canvas": {"placement": "canvas", "edge": "soft", "min_area": 5},
    "some": {"sample_ratio": 0.4, "resize_ratio": 0.5, "replacement": "random"},
}


def joined(options: dict[str, Any]) -> TailMemoryBank:
    """A bank that is one over all ranks."""
    own = {"memory_size": 2, "sample_ratio": 1.0, "share": "batch"} | options
    return TailMemoryBank(TAIL, generator=torch.Generator().manual_seed(3), **own)


def whole_state(bank: TailMemoryBank) -> dict[str, Any]:
    """All of the state, and the figures that follow from it."""
    return bank.get_extra_state() | {"figures": bank.metrics(), "sizes": bank.sizes()}


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
    for name, options in JOINED.items():
        bank = joined(options)
        pasted = [bank(*batch(rank, step)) for step in range(STEPS)]
        found[f"batch/{name}"] = pasted, whole_state(bank)
    for name, refused in (
        ("max_cover", joined({"max_cover": 0.5})),
        ("fixed", FixedPixelBank(TAIL, 3, share="batch")),
    ):
        try:
            refused(*batch(rank, 0))
        except ValueError as error:
            found[name] = str(error)
    alone = build(share="all").eval()
    if rank == 0:  # waits for nobody
        alone(*batch(rank, 0))
    try:
        build(share="all")(*batch(rank, 0, DTYPES[rank]))
    except ValueError as error:
        found["error"] = str(error)
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
