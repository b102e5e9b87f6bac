"""From the configuration of a bank to the bank."""

from __future__ import annotations

import torch

from aucseg.data.spec import ClassSpec
from aucseg.memory import CopyPaste, FixedPixelBank, PixelMemoryBank, TailMemoryBank
from aucseg.training.sections import BankConfig, ConfigError


def make_bank(
    config: BankConfig, spec: ClassSpec, image_size: tuple[int, int], generator: torch.Generator
) -> TailMemoryBank:
    """The bank of a run.

    Args:
        config: kind and options.
        spec: classes of the data set, whose tail the bank keeps.
        image_size: height and width of a training image in pixels.
        generator: what the bank draws from, on the CPU.

    Raises:
        ConfigError: if the label set has no tail, or the options do not go together.
    """
    if not spec.tail and config.kind != "pixel":
        raise ConfigError(
            f"label set {spec.name!r} has no tail class for the bank; choose some with data.tail_classes "
            "('auto', or their names), or set bank to null"
        )
    options = config.model_dump(exclude={"kind", "image_share"})
    options |= {"ignore_index": spec.ignore_index, "generator": generator}
    try:
        if config.kind == "pixel":
            return PixelMemoryBank(spec.num_classes, **options)
        options["num_classes"] = spec.num_classes
        if config.kind == "tail":
            return TailMemoryBank(spec.tail, **options)
        if config.kind == "copy_paste":
            return CopyPaste(spec.tail, **_without(options, "memory_size", "replacement", "scope"))
        pixels = max(1, round((config.image_share or 0.0) * image_size[0] * image_size[1]))
        return FixedPixelBank(spec.tail, pixels, **_without(options, "sample_ratio", "scope"))
    except ValueError as error:
        raise ConfigError(f"bank: {error}") from error


def _without(options: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in options.items() if name not in names}
