"""Trainings on several processes: ``python -m tests.training.ranks FOLDER PROCESSES``, by whom it may be.

Each process runs this, and each training is the command's own function; the processes meet once for all.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import torch.distributed as dist

from aucseg.training import RunConfig
from aucseg.training.devices import Agreement

# LayerNorm only, so that the images of a batch have nothing to do with one another before the loss.
MODEL = {
    "name": "unet",
    "encoder": "tu-test_convnext",
    "options": {"encoder_depth": 4, "decoder_channels": [32, 16, 16, 8], "decoder_use_norm": False},
}
BANK = {"sample_ratio": 1.0, "resize_ratio": 0.5, "memory_size": 2}
CASES: dict[str, dict[str, Any]] = {
    "auc": {"bank": BANK, "data": {"sampling": "stratified"}},
    "micro": {"bank": BANK | {"budget": 0.05}, "optim": {"name": "sgd", "clip_norm": 1.0}},
    "blv": {"loss": {"name": "blv"}, "bank": None},
    "region": {
        "loss": {"name": "region_rebalance"},
        "bank": None,
        "evaluation": {"every": 2, "split": "test"},
    },
    # fewer batches than processes
    "few": {"data": {"eval_images": 3, "eval_batch_size": 4}, "bank": None, "optim": {"steps": 1}},
    # views and mixing are drawn by each process; 40 steps, so that what was seen is kept over two of them
    "teacher": {
        "bank": None,
        "data": {"labelled": "1/2"},
        "optim": {"steps": 40, "lr": 1e-4},
        "method": {
            "name": "mean_teacher",
            "mix": "none",
            "jitter": 0.0,
            "blur": 0.0,
            "threshold": 0.08,
            "share_of": "batch",
            "counts": "estimated",
            "counts_every": 20,
        },
    },
    "own": {"bank": BANK | {"share": "none"}, "optim": {"steps": 2}},
}


def config(name: str, processes: int = 1, **changes: Any) -> RunConfig:
    """A training of one of the cases.

    Args:
        name: of the case.
        processes: by how many processes; micro-batches are of one image then.
        changes: of more keys, as :meth:`RunConfig.with_` has them.
    """
    case = CASES.get(name, {})
    data = {"name": "streets", "size": [32, 64], "train_images": 12, "eval_images": 10}
    content: dict[str, Any] = {
        "profile": "smoke",
        "model": MODEL,
        "data": data | {"batch_size": 6, "eval_batch_size": 2} | case.get("data", {}),
        "optim": {"lr": 1e-3, "steps": 3, "warmup_steps": 0} | case.get("optim", {}),
        "device": "cpu",
        "checkpoint_every": 1,
        "rank_timeout": 600,
    }
    content |= {key: case[key] for key in ("loss", "bank", "evaluation", "method") if key in case}
    made = RunConfig.from_dict(content)
    micro = {"accumulate": 6 // processes} if name == "micro" and processes > 1 else {}
    return made.with_(**micro, **changes)


def main(folder: Path, processes: int) -> None:
    """Train every case.

    Args:
        folder: where all goes.
        processes: how many take part.
    """
    from aucseg.cli.runs import train

    for name in CASES:
        rank = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))
        file = folder / f"{name}-{rank}.yaml"
        config(name, processes).to_yaml(file)
        train(file, folder / name, settings=[f"devices={os.environ.get('LOCAL_WORLD_SIZE', processes)}"])


def silent(rank: int, meeting: str) -> None:
    """One of two processes that agree, the second of which says nothing.

    Args:
        rank: which of the two.
        meeting: where they meet.
    """
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    agreement = Agreement(5.0)
    sys.stdout.write("met\n")
    if rank == 1:
        time.sleep(600)
    agreement.say(0)
    start = time.monotonic()
    try:
        agreement.last()
    except RuntimeError as error:
        sys.stdout.write(f"gave up after {time.monotonic() - start:.1f} s: {error}\n")
    sys.stdout.flush()
    os._exit(0)  # as the group would wait for the other one


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
