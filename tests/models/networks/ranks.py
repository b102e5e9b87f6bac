"""EMANet's bases on several processes: what each of them runs, importable by a fresh interpreter."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from aucseg.models.networks.emanet import BasisAttention, EMANet

WORLD = 2


def attention() -> BasisAttention:
    """An attention with fixed bases."""
    torch.manual_seed(0)
    return BasisAttention(6, num_bases=4).double()


def parts(step: int) -> list[Tensor]:
    """Features of each rank: two images on the first, one on the second."""
    generator = torch.Generator().manual_seed(step)
    features = torch.randn(3, 6, 4, 5, generator=generator, dtype=torch.float64)
    return [features[:2], features[2:]]


def network() -> EMANet:
    """The smallest useful network, with fixed weights."""
    torch.manual_seed(0)
    return EMANet("resnet18", decoder_channels=16, classes=3)


def run(rank: int, folder: str) -> None:
    """Bases after three steps of training, of the attention alone and of a network trained in parallel."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD)
    module = attention().train()
    for step in range(3):
        module(parts(step)[rank])
    remembered = module.bases.clone()
    module.eval()
    if rank == 0:  # in evaluation mode no rank waits for another
        module(parts(3)[rank])
    # buffers are not handed out by the first rank: the bases must agree by themselves
    whole = DistributedDataParallel(network().train(), broadcast_buffers=False)
    generator = torch.Generator().manual_seed(rank)
    for _ in range(2):
        output = whole(torch.randn(2, 3, 32, 32, generator=generator))
        sum(part.square().mean() for part in (output.logits, *output.auxiliary.values())).backward()
    found = {"attention": remembered, "network": whole.module.decoder.attention.bases}
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
