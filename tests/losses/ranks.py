"""Losses on several processes: what each of them runs, importable by a fresh interpreter."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from aucseg.losses import (
    AUCLoss,
    AUCSegLoss,
    BLVLoss,
    DiceLoss,
    FocalLoss,
    JaccardLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    LovaszSoftmaxLoss,
    PATLoss,
    RegionBranch,
    SeesawLoss,
    SumQueue,
    VSLoss,
    WeightedCrossEntropyLoss,
)

K = 5
WORLD = 3
LOSSES: dict[str, dict[str, Any]] = {
    "square": {},
    "one versus all": {"multiclass": "ova"},
    "sum": {"reduction": "sum"},
    "exponential": {"surrogate": "exp"},
    "logistic": {"surrogate": "logistic", "activation": "softmax"},
    "table": {"tail_classes": [3, 4]},
    "objects": {"region_weights": "objects"},
    "sorted": {"surrogate": "hinge", "margin": 0.3},
    "sorted square": {"surrogate": "squared_hinge", "margin": 0.3, "tail_classes": [3, 4]},
}

COUNTS = (50.0, 20.0, 10.0, 4.0, 1.0)


def regions(**options: Any) -> RegionBranch:
    """The branch with the same classifier on all ranks; the logits stand for features."""
    torch.manual_seed(0)
    return RegionBranch(COUNTS, K, **options).double()


PIXELWISE: dict[str, Callable[..., nn.Module]] = {
    "logit adjusted": partial(LogitAdjustedLoss, COUNTS),
    "vector scaling": partial(VSLoss, COUNTS),
    "margins": partial(LDAMLoss, COUNTS, weights=(1, 2, 3, 4, 5)),
    "focal": partial(FocalLoss, K),
    "variation": partial(BLVLoss, COUNTS, variation="constant", seed=0),
    "regions": regions,
    "seesaw": partial(SeesawLoss, K),
    "adaptive": partial(PATLoss, K),
    "dice": partial(DiceLoss, K, ce_weight=0.5),
    "jaccard": partial(JaccardLoss, K),
    "jaccard of images": partial(JaccardLoss, K, reduction="image", weights=(1, 2, 0, 4, 5)),
    "jaccard of classes": partial(JaccardLoss, K, reduction="class", weights=(1, 2, 3, 4, 5)),
    "lovasz": partial(LovaszSoftmaxLoss, K, ce_weight=0.5),
    "weighted": partial(WeightedCrossEntropyLoss, (1, 2, 3, 4, 5)),
    "weighted over pixels": partial(WeightedCrossEntropyLoss, (1, 2, 3, 4, 5), normalize="pixels"),
}


def build(name: str, fused: bool, **options: Any) -> AUCLoss:
    """A loss of the table; ``fused`` adds the cross entropy."""
    return (
        AUCSegLoss(K, ce_weight=0.7, **LOSSES[name], **options)
        if fused
        else AUCLoss(K, **LOSSES[name], **options)
    )


def batch(ranks: int) -> list[tuple[Tensor, Tensor]]:
    """Uneven parts of one batch; class 3 is on rank 0 alone, class 4 on the last, the third rank is void."""
    generator = torch.Generator().manual_seed(ranks)
    parts = []
    for rank, images in zip(range(ranks), (2, 1, 1), strict=False):
        logits = torch.randn(images, K, 5, 6, generator=generator, dtype=torch.float64)
        target = torch.randint(0, 3, (images, 5, 6), generator=generator)
        target[0, 0, :2] = 3 if rank == 0 else 4
        if rank == 2:
            target[:] = 255
        parts.append((logits, target))
    return parts


def network() -> nn.Module:
    """One convolution with fixed weights."""
    torch.manual_seed(0)
    return nn.Conv2d(2, K, 3, padding=1).double()


def pictures(ranks: int) -> list[tuple[Tensor, Tensor]]:
    """Input of the network in uneven parts."""
    return [(logits[:, :2], target) for logits, target in batch(ranks)]


def run(rank: int, folder: str) -> None:
    """Value and gradient of every loss on this rank's part, in a group of two and in one of three."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD)
    pair = dist.new_group([0, 1])
    found: dict[str, Any] = {}
    for ranks, group in ((2, pair), (3, "auto")):
        if rank >= ranks:
            continue
        for name in LOSSES:
            for fused in (False, True):
                for gradients in ("summed", "averaged"):
                    loss = build(name, fused, process_group=group, gradients=gradients)
                    logits, target = batch(ranks)[rank]
                    logits.requires_grad_()
                    value = loss(logits, target)
                    value.backward()
                    found[f"{name}/{fused}/{gradients}/{ranks}"] = value.detach(), logits.grad
        for name, make in PIXELWISE.items():
            for gradients in ("summed", "averaged"):
                logits, target = batch(ranks)[rank]
                logits.requires_grad_()
                value = make(process_group=group, gradients=gradients)(logits, target)
                value.backward()
                found[f"{name}/{gradients}/{ranks}"] = value.detach(), logits.grad
            found[f"{name}/evaluation/{ranks}"] = make(process_group=group).eval()(*batch(ranks)[rank])
        loss = AUCLoss(K, process_group=group, queue=SumQueue(momentum=0.5))
        for scale in (1.0, 2.0):
            logits, target = batch(ranks)[rank]
            value = loss(logits * scale, target)
        found[f"queue/{ranks}"] = value
        loss = AUCLoss(K, process_group=group)
        found[f"evaluation/{ranks}"] = loss.eval()(*batch(ranks)[rank])
    noise = BLVLoss(COUNTS, sigma=1.0, seed=0).noise(torch.zeros(1, K, 30), torch.zeros(1, 30).long())
    found["noise"] = noise
    model = DistributedDataParallel(copy.deepcopy(network()))
    images, target = pictures(3)[rank]
    AUCSegLoss(K, ce_weight=0.7)(model(images), target).backward()
    found["ddp"] = [parameter.grad for parameter in model.parameters()]
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
