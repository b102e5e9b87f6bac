"""The losses for a long tail beside plain cross entropy: forward and backward, and memory, in one run.

    python benchmarks/long_tail_losses.py --csv

One row for each candidate at each size. The candidates take turns on one thread, so that the ratios to
PyTorch's cross entropy stand on one machine in one state; on a CPU it is the time that this process has the
processor. Those that are written differently for the same number must agree on it.

``part`` says what a row is for:

- ``shapes``: 19 classes at 4 x 512 x 512, in the two layouts of memory that networks give logits in, and 150
  classes at 1 x 512 x 512;
- ``alternatives``: what is written otherwise for the same: segmentation-models-pytorch's Lovász and focal
  losses, and a change of the logits before PyTorch's cross entropy. ``per_alternative`` is the ratio to it;
- ``floor``: one normal draw for each logit, that logit variation cannot do without;
- ``memory``: the most that a step takes beyond logits and target, in sizes of the logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from measure import Row, patches, run_on_devices
from peak_memory import extra_peak_bytes, in_fresh_process, measurable
from timing import quartiles, turns
from torch import Tensor
from torch.nn import functional as F

from aucseg.functional import draw_noise, log_prior, rarity
from aucseg.losses import (
    BalancedSoftmaxLoss,
    BLVLoss,
    DiceLoss,
    FocalLoss,
    GCLLoss,
    JaccardLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    LovaszSoftmaxLoss,
    PATLoss,
    SeesawLoss,
    VSLoss,
    WeightedCrossEntropyLoss,
    class_weights,
)

Loss = Callable[[Tensor, Tensor], Tensor]

CE, DRAW = "cross entropy", "one normal draw"
LOSSES: dict[str, Callable[[Tensor], Loss]] = {
    CE: lambda counts: cross_entropy,
    "weighted cross entropy": lambda counts: WeightedCrossEntropyLoss(class_weights(counts), validate=False),
    "logit adjusted": lambda counts: LogitAdjustedLoss(counts, validate=False),
    "balanced softmax": lambda counts: BalancedSoftmaxLoss(counts, validate=False),
    "VS": lambda counts: VSLoss(counts, validate=False),
    "LDAM": lambda counts: LDAMLoss(counts, scale=1.0, validate=False),
    "focal": lambda counts: FocalLoss(len(counts), validate=False),
    "focal sigmoid": lambda counts: FocalLoss(len(counts), variant="sigmoid", validate=False),
    "PAT": lambda counts: PATLoss(len(counts), validate=False),
    "BLV": lambda counts: BLVLoss(counts, seed=0, validate=False),
    "GCL": lambda counts: GCLLoss(counts, scale=1.0, seed=0, validate=False),
    "Seesaw": lambda counts: SeesawLoss(len(counts), validate=False),
    "Dice": lambda counts: DiceLoss(len(counts), validate=False),
    "Jaccard": lambda counts: JaccardLoss(len(counts), validate=False),
    "Lovász": lambda counts: LovaszSoftmaxLoss(len(counts), validate=False),
}
# What else one would write for a loss of the table, and what must be equal: all but the noise.
ALTERNATIVES: dict[str, tuple[str, Callable[[Tensor], Loss]]] = {
    "smp Lovász": ("Lovász", lambda counts: of_smp("LovaszLoss")),
    "smp focal": ("focal sigmoid", lambda counts: smp_focal(len(counts))),
    "smp Dice": ("Dice", lambda counts: of_smp("DiceLoss")),
    "logits shifted before": ("logit adjusted", lambda counts: shifted(log_prior(counts))),
    "noise added before": ("BLV", lambda counts: noisy(rarity(counts))),
}
EQUAL = (
    ("Lovász", "smp Lovász"),
    ("focal sigmoid", "smp focal"),
    ("logit adjusted", "logits shifted before"),
)
BUDGET = 20.0  # seconds for one candidate at one size
FIGURES = ("repetitions", "seconds", "per_cross_entropy", "per_cross_entropy_low", "per_cross_entropy_high")


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """What every training step pays already."""
    return F.cross_entropy(logits, target, ignore_index=255)


def of_smp(name: str, **options: Any) -> Loss:
    """A loss of segmentation-models-pytorch, imported where it is wanted: it brings all of timm."""
    import segmentation_models_pytorch as smp

    loss: Loss = getattr(smp.losses, name)("multiclass", ignore_index=255, **options)
    return loss


def smp_focal(classes: int) -> Loss:
    """K binary problems, whose mean over the classes smp takes."""
    loss = of_smp("FocalLoss", gamma=2.0)
    return lambda logits, target: classes * loss(logits, target)


def shifted(offsets: Tensor) -> Loss:
    """Logit adjustment as one writes it."""

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(logits + offsets.to(logits)[:, None, None], target)

    return loss


def noisy(weights: Tensor) -> Loss:
    """Logit variation as one writes it."""
    generators: dict[torch.device, torch.Generator] = {}

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        generator = generators.setdefault(logits.device, torch.Generator(logits.device))
        noise = torch.randn(
            logits.shape, generator=generator, dtype=logits.dtype, device=logits.device
        ).mul_(6).abs_().clamp_(max=1)  # fmt: skip
        return cross_entropy(logits + weights.to(logits)[:, None, None] * noise, target)

    return loss


def batch(classes: int, images: int, side: int, layout: str, device: str) -> tuple[Tensor, Tensor]:
    """Random logits that want a gradient, and a target of patches."""
    target = patches(images, classes, side, side, seed=0, present=min(15, classes), patch=max(4, side // 16))
    logits = torch.randn(images, classes, side, side, generator=torch.Generator().manual_seed(0))
    if layout == "channels last":
        logits = logits.contiguous(memory_format=torch.channels_last)
    return logits.to(device).requires_grad_(), target.to(device)


def counts_of(classes: int) -> Tensor:
    """A long tail."""
    return (1e9 / torch.arange(1, classes + 1, dtype=torch.float64) ** 2).round()


def stepper(loss: Loss, logits: Tensor, target: Tensor) -> Callable[[], Tensor]:
    """A function that goes forward and backward once and returns the value."""

    def step() -> Tensor:
        logits.grad = None
        value = loss(logits, target)
        value.backward()
        return value.detach()

    return step


def compare(
    part: str, size: tuple[int, int, int], layout: str, device: str, repetitions: int, others: bool
) -> Iterator[Row]:
    """One row for each candidate at one size; cross entropy, the first, is the one of the ratios."""
    classes, *_ = size
    counts = counts_of(classes)
    logits, target = batch(*size, layout, device)
    builders = dict(LOSSES)
    if others:
        builders |= {name: build for name, (_, build) in ALTERNATIVES.items()}
    values: dict[str, Tensor] = {}
    runs: dict[str, Callable[[], Any]] = {}
    for name, build in builders.items():
        step = stepper(build(counts), logits, target)
        runs[name] = lambda name=name, step=step: values.update({name: step()})
    if others:
        memory, generator = torch.empty_like(logits), torch.Generator(device)
        runs[DRAW] = lambda: draw_noise(memory.detach(), generator)
    times = turns(runs, repetitions=repetitions, device=device, budget=BUDGET, busy=True)
    for ours, other in EQUAL if others else ():
        torch.testing.assert_close(values[other], values[ours], rtol=1e-4, atol=0)
    for name, seconds in times.items():
        low, ratio, high = quartiles(seconds, times[CE])
        taken = sum(value == value for value in seconds)
        figures = (taken, quartiles(seconds)[1], ratio, low, high)
        other = next((other for other, (ours, _) in ALTERNATIVES.items() if others and ours == name), None)
        against = None if other is None else quartiles(seconds, times[other])[1]
        what = "floor" if name == DRAW else "alternatives" if name in ALTERNATIVES else part
        yield {
            **columns(what, name, size, layout, device),
            **dict(zip(FIGURES, figures, strict=True)),
            "per_alternative": against,
            "extra_memory": None,
        }


def memory_rows(size: tuple[int, int, int], device: str, names: tuple[str, ...]) -> Iterator[Row]:
    """What a step takes beyond logits and target, in sizes of the logits."""
    if not measurable(device):
        return
    for name in names:
        arguments = (name, size, device)
        extra = extra_memory(*arguments) if device == "cuda" else in_fresh_process(extra_memory, *arguments)
        row = {**columns("memory", name, size, "contiguous", device), **dict.fromkeys(FIGURES)}
        yield row | {"per_alternative": None, "extra_memory": extra}


def extra_memory(name: str, size: tuple[int, int, int], device: str) -> float:
    """Of one step of a candidate, gradient included, in sizes of the logits."""
    torch.set_num_threads(1)
    builders = LOSSES | {other: build for other, (_, build) in ALTERNATIVES.items()}
    classes, images, side = size
    loss = builders[name](counts_of(classes))
    stepper(loss, *batch(classes, 1, 64, "contiguous", device))()
    logits, target = batch(classes, images, side, "contiguous", device)
    return extra_peak_bytes(stepper(loss, logits, target), device) / (logits.numel() * logits.element_size())


def columns(part: str, candidate: str, size: tuple[int, int, int], layout: str, device: str) -> Row:
    """The columns that say what a row is of."""
    classes, images, side = size
    return {
        "device": device,
        "part": part,
        "candidate": candidate,
        "num_classes": classes,
        "batch": images,
        "height": side,
        "width": side,
        "layout": layout,
    }


def measure(device: str, repetitions: int) -> Iterator[Row]:
    """All parts, one row after the other."""
    size = (19, 4, 512)
    yield from compare("shapes", size, "contiguous", device, repetitions, others=True)
    yield from compare("shapes", size, "channels last", device, repetitions, others=False)
    yield from compare("shapes", (150, 1, 512), "contiguous", device, repetitions, others=False)
    yield from memory_rows(size, device, (*LOSSES, *ALTERNATIVES))


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """Every part at a size that takes no time."""
    yield from compare("shapes", (5, 1, 32), "contiguous", device, repetitions, others=True)
    yield from compare("shapes", (5, 1, 32), "channels last", device, repetitions, others=False)
    yield from memory_rows((19, 1, 256), device, (CE, "BLV"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_on_devices("long_tail_losses", __doc__, measure, quick)
