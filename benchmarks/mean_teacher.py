"""What a teacher costs: its update, mixing and pseudo-labels beside a step of the student, in one run.

    python benchmarks/mean_teacher.py --csv

The candidates take turns on one thread. ``per_student_step`` is the ratio to a supervised step of the student
on the images without labels alone, ``per_supervised_step`` that of a whole step to a supervised step with as
many images as both kinds together.

``part`` says what a row is for:

- ``pieces``: one update of the moving average, one ClassMix of a batch, one making of pseudo-labels with
  their weight from the teacher's logits, the strong view, and the teacher's own pass;
- ``step``: a supervised step with twice the images, and a whole step of the method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from measure import Row, interleaved, run_on_devices

from aucseg.data import load_spec
from aucseg.experiments import make_config
from aucseg.functional.mixing import class_mask, paste
from aucseg.functional.pseudo_labels import confident_share, predicted
from aucseg.training import ClassInfo, RunConfig, SegmentationModule
from aucseg.training.methods.supervised import Supervised

STUDENT, SUPERVISED, WHOLE = "student step", "supervised step, all images", "mean teacher step"
PIECES = ("moving average", "class mix", "pseudo-labels", "strong view", "teacher's pass")


def configuration(size: tuple[int, int], batch: int) -> RunConfig:
    """The laptop's network on drawn streets, a teacher with all that it does by default."""
    config = make_config("streets", "laptop", method={"name": "mean_teacher"}, bank=None)
    return config.with_(data__size=size, data__batch_size=batch, loss__name="cross_entropy")


def candidates(size: tuple[int, int], batch: int, device: str) -> dict[str, Callable[[], Any]]:
    """What takes turns, by name."""
    config = configuration(size, batch)
    module = SegmentationModule(config, ClassInfo(load_spec("cityscapes"))).to(device).train()
    method = module.method
    optimizer = module.configure_optimizers()["optimizer"]
    generator = torch.Generator().manual_seed(0)

    def drawn(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.randn(number, 3, *size, generator=generator)
        target = torch.randint(0, 19, (number, size[0] // 8, size[1] // 8), generator=generator)
        target = target.repeat_interleave(8, 1).repeat_interleave(8, 2)
        return images.to(device), target.to(device)

    parts = {"labelled": drawn(batch), "unlabelled": drawn(batch)}
    both = tuple(torch.cat(pair) for pair in zip(*parts.values(), strict=True))
    supervised = Supervised()
    logits = method.answers(parts["unlabelled"][0]).detach()
    view = method._view(module)

    def step(of: Any, batch_: Any, follow: bool = False) -> None:
        optimizer.zero_grad()
        of.step(module, batch_)["loss"].backward()
        optimizer.step()
        if follow:
            method.after_step(module)

    def label() -> Any:
        labels, probability = predicted(logits)
        return labels, confident_share(probability, 0.968)

    def mix() -> Any:
        mask = class_mask(parts["labelled"][1], 19, generator)
        return paste(mask, parts["labelled"], parts["unlabelled"])

    with torch.no_grad():
        method.teacher.update_parameters(module.model)  # the first one copies
    return {
        STUDENT: lambda: step(supervised, parts["unlabelled"]),
        "moving average": lambda: method.teacher.update_parameters(module.model),
        "class mix": mix,
        "pseudo-labels": torch.no_grad()(label),
        "strong view": lambda: view(parts["unlabelled"][0], generator),
        "teacher's pass": torch.no_grad()(lambda: method.answers(parts["unlabelled"][0])),
        SUPERVISED: lambda: step(supervised, both),
        WHOLE: lambda: step(method, parts, follow=True),
    }


def compare(size: tuple[int, int], batch: int, device: str, repetitions: int) -> Iterator[Row]:
    """One row for each candidate at a size."""
    seconds = interleaved(candidates(size, batch, device), repetitions=repetitions, device=device)
    place = {"height": size[0], "width": size[1], "batch": batch, "device": device}
    for name, value in seconds.items():
        row: Row = {"part": "pieces" if name in PIECES else "step", "candidate": name} | place
        row |= {"seconds": value, "per_student_step": value / seconds[STUDENT]}
        row["per_supervised_step"] = value / seconds[SUPERVISED] if name in (SUPERVISED, WHOLE) else None
        yield row


def measure(device: str, repetitions: int) -> Iterator[Row]:
    """The size of the profile, and images of four times as many pixels."""
    yield from compare((64, 128), 8, device, repetitions)
    yield from compare((128, 256), 4, device, repetitions)


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """One small size, to see that all of it runs."""
    yield from compare((32, 64), 2, device, repetitions)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_on_devices("mean_teacher", __doc__, measure, quick)
