"""AUCLoss and AUCSegLoss against cross entropy and other implementations: forward and backward, one run.

    python benchmarks/auc_loss.py --csv

One row for each candidate at each size. The candidates of a size take turns, so the ratios to cross entropy
stand on one machine in one state; those that are written differently for the same number must agree on it.

``part`` says what a row is for:

- ``shapes``: the sizes of Cityscapes, ADE20K and COCO-Stuff, with 15 classes in an image, as real ones have,
  and with all K in each image. The one-hot loop runs where it ends within seconds;
- ``alternatives``: smaller sizes, at which the one-hot loop (K = 150), all pairs of pixels and LibAUC (if it
  is installed) can be run as well;
- ``surrogates``: the other surrogates, and one-vs-all;
- ``pixels`` and ``classes``: growth in the side of an image at K = 19, and in K at 128 x 128 pixels, all K
  classes in the image. A candidate drops out where its next step, at the worst the square of the last, would
  last longer than ``LONGEST`` seconds or make more pairs than fit in memory;
- ``memory``: the most that a step takes beyond logits and target, in sizes of the logits.

``per_cross_entropy`` and its quartiles are of the ratios turn by turn. ``per_floor`` is the ratio to what
reading the logits, reading them again and writing a gradient takes at the bandwidth of a plain copy of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from auc_candidates import AUC, CE, EQUAL, FORMS, FUSED, LIBAUC, ONE_HOT, PAIRS, UNFUSED, Setting, candidates
from measure import Row, run_on_devices
from peak_memory import extra_peak_bytes, in_fresh_process, measurable
from timing import quartiles, turns
from torch import Tensor

COPY = "copy of the logits"
OURS = (CE, AUC, FUSED, UNFUSED)
BUDGET = 2.0  # seconds for one candidate at one size; ours take five turns in any case
WINDOW = 0.01  # seconds between two looks at the clock, at least
LONGEST = 20.0  # seconds of the longest step on a cost curve
MOST_PAIRS = 3e8  # in float32 and with what autograd keeps about 3 GB

REAL = (
    (Setting(19, 2, 1024, 1024), (*OURS, ONE_HOT)),
    (Setting(19, 4, 512, 512), (*OURS, ONE_HOT)),
    (Setting(150, 4, 512, 512), OURS),
    (Setting(171, 4, 512, 512), OURS),
)
SHAPES = tuple(
    (Setting(s.num_classes, s.batch, s.height, s.width, held), names)
    for s, names in REAL
    for held in (15, None)
)
ALTERNATIVES = (
    (Setting(19, 1, 128, 128, patch=8), (*OURS, ONE_HOT, PAIRS, LIBAUC)),
    (Setting(150, 1, 512, 512), (*OURS, ONE_HOT)),
    (Setting(150, 1, 512, 512, held=None), (*OURS, ONE_HOT)),
)
SURROGATES = ((Setting(19, 4, 512, 512), (CE, *FORMS)),)
CURVES = (CE, AUC, FUSED, ONE_HOT, PAIRS)
PIXELS = tuple(Setting(19, 1, side, side, held=None, patch=side // 16) for side in (64, 128, 256, 512, 1024))
CLASSES = tuple(Setting(k, 1, 128, 128, held=None, patch=4) for k in (2, 5, 19, 50, 150, 400, 1000))
TIMES = (
    "repetitions",
    "seconds",
    "per_cross_entropy",
    "per_cross_entropy_low",
    "per_cross_entropy_high",
    "per_floor",
)
MEMORY = (Setting(19, 4, 512, 512), Setting(150, 1, 512, 512))


def measure(device: str, repetitions: int) -> Iterator[Row]:
    """All parts, one row after the other."""
    for part, sizes in (("shapes", SHAPES), ("alternatives", ALTERNATIVES), ("surrogates", SURROGATES)):
        for setting, names in sizes:
            yield from compare(part, setting, names, device, repetitions)
    yield from curve("pixels", PIXELS, device, repetitions)
    yield from curve("classes", CLASSES, device, repetitions)
    yield from memory(MEMORY, (*OURS, ONE_HOT), device)


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """Every part at a size that takes no time."""
    small = Setting(5, 1, 32, 32, held=3, patch=4)
    yield from compare("shapes", small, OURS, device, repetitions)
    yield from compare("alternatives", small, (*OURS, ONE_HOT, PAIRS, LIBAUC), device, repetitions)
    yield from compare("surrogates", small, (CE, *FORMS), device, repetitions)
    sides = tuple(Setting(5, 1, side, side, held=None, patch=4) for side in (16, 32))
    yield from curve("pixels", sides, device, repetitions)
    yield from curve("classes", tuple(Setting(k, 1, 16, 16, None, 4) for k in (2, 4)), device, repetitions)
    yield from memory((Setting(19, 1, 512, 512),), (CE,), device)


def stepper(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor) -> Callable[[], Tensor]:
    """A function that goes forward and backward once and returns the value."""

    def step() -> Tensor:
        logits.grad = None
        value = loss(logits, target)
        value.backward()
        return value.detach()

    return step


def compare(
    part: str, setting: Setting, names: tuple[str, ...], device: str, repetitions: int
) -> Iterator[Row]:
    """One row for each candidate at one size; cross entropy, the first, is the one of the ratios."""
    logits, target = setting.make(device)
    steps = {
        name: stepper(loss, logits, target) for name, loss in candidates(setting.num_classes, names).items()
    }
    values: dict[str, Tensor] = {}
    into = torch.empty_like(logits)
    runs: dict[str, Callable[[], Any]] = {
        name: lambda name=name, step=step: values.update({name: step()}) for name, step in steps.items()
    }
    runs[COPY] = lambda: into.copy_(logits.detach())
    times = turns(
        runs, repetitions=repetitions, device=device, budget=BUDGET, steady=(*OURS, COPY), window=WINDOW
    )
    for group in EQUAL:
        same = [values[name] for name in group if name in values]
        for value in same[1:]:
            torch.testing.assert_close(value, same[0], rtol=1e-3, atol=0)
    copy = quartiles(times[COPY])[1]
    for name, seconds in times.items():
        low, ratio, high = quartiles(seconds, times[CE])
        middle = quartiles(seconds)[1]
        turns_taken = sum(not math.isnan(value) for value in seconds)
        # a copy moves the logits twice, the floor three times
        figures = (turns_taken, middle, ratio, low, high, middle / (1.5 * copy))
        yield {
            **columns(part, setting, name, device),
            **dict(zip(TIMES, figures, strict=True)),
            "extra_memory": None,
        }


def curve(part: str, settings: tuple[Setting, ...], device: str, repetitions: int) -> Iterator[Row]:
    """Sizes that grow; a candidate drops out before it becomes too slow or too large."""
    names, last, before = CURVES, dict[str, float](), 0
    for setting in settings:
        size = setting.num_classes * setting.height * setting.width
        growth = (size / before) ** 2 if before else 1.0
        pairs = (setting.height * setting.width) ** 2
        names = tuple(
            name
            for name in names
            if last.get(name, 0.0) * growth <= LONGEST and not (name == PAIRS and pairs > MOST_PAIRS)
        )
        for row in compare(part, setting, names, device, repetitions):
            last[row["candidate"]] = row["seconds"]
            yield row
        before = size


def memory(settings: tuple[Setting, ...], names: tuple[str, ...], device: str) -> Iterator[Row]:
    """What a step takes beyond logits and target, in sizes of the logits."""
    if not measurable(device):
        return
    for setting in settings:
        for name in names:
            arguments = (setting, name, device)
            # the allocator of CUDA counts tensors, whatever was there before; resident memory has a history
            extra = (
                extra_memory(*arguments) if device == "cuda" else in_fresh_process(extra_memory, *arguments)
            )
            yield {**columns("memory", setting, name, device), **dict.fromkeys(TIMES), "extra_memory": extra}


def extra_memory(setting: Setting, name: str, device: str) -> float:
    """Of one step of a candidate, gradient included, in sizes of the logits."""
    loss = candidates(setting.num_classes, (name,))[name]
    stepper(loss, *Setting(setting.num_classes, 1, 64, 64, patch=4).make(device))()
    logits, target = setting.make(device)
    return extra_peak_bytes(stepper(loss, logits, target), device) / (logits.numel() * logits.element_size())


def columns(part: str, setting: Setting, candidate: str, device: str) -> Row:
    """The columns that say what a row is of; ``held``: classes in one image."""
    return {
        "device": device,
        "part": part,
        "candidate": candidate,
        "num_classes": setting.num_classes,
        "batch": setting.batch,
        "height": setting.height,
        "width": setting.width,
        "held": setting.held or setting.num_classes,
    }


if __name__ == "__main__":
    run_on_devices("auc_loss", __doc__, measure, quick)
