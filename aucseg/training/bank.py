"""The memory bank of a run: its configuration, and from that the bank."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator

from aucseg.longtail import BankModel, expected_cover, recommend_ratios
from aucseg.longtail.bank_size import PASTE_BUDGET
from aucseg.memory import CopyPaste, FixedPixelBank, PixelMemoryBank, TailMemoryBank
from aucseg.training.classes import ClassInfo
from aucseg.training.section import ConfigError, Section


class BankConfig(Section):
    """The tail-class memory bank, or what the paper compares it with.

    See :class:`aucseg.memory.TailMemoryBank` for what each option does. The defaults are the best values of
    AUCSeg on ADE20K (Tables 20 to 22), and no budget, which the paper does not have. The profiles for images
    and masks of one's own set one, with ratios that follow from how often the classes occur, see
    :func:`aucseg.longtail.recommend_ratios`.

    Attributes:
        kind: ``"tail"``; ``"pixel"``, a bank of all classes (Table 18); ``"fixed_pixels"``, which gives
            each image a fixed number of pixels (Appendix G.8); ``"copy_paste"``, which keeps nothing from
            one batch to the next.
        memory_size, sample_ratio, resize_ratio: S_M, R_S and R_R.
        budget: share of an image's labelled pixels that pastes may cover, in [0, 1]; ``None`` for no limit.
        scope: whether missing classes are counted for each image or for the batch.
        replacement: which object a full class gives up (Table 19).
        min_area, max_cover, antialias, edge, placement: how objects are stored and pasted.
        offload: keep the objects on the CPU.
        share: where the batch is spread over several devices, ``"batch"`` is one bank of the whole batch, as
            on one device; ``"none"`` is a bank for each process, of what it sees.
        image_share: for ``"fixed_pixels"``, the pixels to paste as a share of an image's, in (0, 1]. The
            paper names 10,000 to 40,000 pixels of a crop of 512 x 512: 0.038 to 0.153.
    """

    kind: Literal["tail", "pixel", "fixed_pixels", "copy_paste"] = "tail"
    memory_size: int = Field(5, ge=0, le=2**20)
    sample_ratio: float = Field(0.05, ge=0, le=1)
    resize_ratio: float = Field(0.4, gt=0, le=1)
    budget: float | None = Field(None, ge=0, le=1)
    scope: Literal["image", "batch"] = "image"
    replacement: Literal["random", "fifo", "lifo", "priority_used"] = "random"
    min_area: int = Field(1, ge=1)
    max_cover: float | None = Field(None, ge=0, le=1)
    antialias: bool = True
    edge: Literal["hard", "soft"] = "hard"
    placement: Literal["box", "canvas"] = "box"
    offload: bool = False
    share: Literal["batch", "none"] = "batch"
    image_share: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> BankConfig:
        if (self.kind == "fixed_pixels") != (self.image_share is not None):
            raise ValueError(
                "image_share belongs to kind 'fixed_pixels', which needs it; got "
                f"kind {self.kind!r} and image_share {self.image_share}"
            )
        for name in _WITHOUT.get(self.kind, ()):
            value = getattr(self, name)
            if value != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no part in kind {self.kind!r}; leave it out, got {value!r}")
        return self


# What a kind of bank does not look at: set, it would make another run of the same numbers.
_WITHOUT = {
    "fixed_pixels": ("sample_ratio", "budget", "scope"),
    "copy_paste": ("memory_size", "replacement", "scope"),
}


def make_bank(
    config: BankConfig, classes: ClassInfo, image_size: tuple[int, int], generator: torch.Generator
) -> TailMemoryBank:
    """The bank of a run.

    Args:
        config: kind and options.
        classes: the classes, whose tail the bank keeps.
        image_size: height and width of a training image in pixels.
        generator: what the bank draws from, on the CPU.

    Raises:
        ConfigError: if the label set has no tail, or the options do not go together.
    """
    if not classes.tail and config.kind != "pixel":
        raise ConfigError(
            f"label set {classes.spec.name!r} has no tail class for the bank; choose some with "
            "data.tail_classes ('auto', or their names), or leave the bank out with bank: none"
        )
    options = config.model_dump(exclude={"kind", "image_share"})
    options |= {"ignore_index": classes.ignore_index, "generator": generator}
    try:
        if config.kind == "pixel":
            return PixelMemoryBank(classes.num_classes, **options)
        options["num_classes"] = classes.num_classes
        if config.kind == "tail":
            return TailMemoryBank(classes.tail, **options)
        if config.kind == "copy_paste":
            return CopyPaste(classes.tail, **_without(options, "memory_size", "replacement", "scope"))
        pixels = max(1, round((config.image_share or 0.0) * image_size[0] * image_size[1]))
        return FixedPixelBank(classes.tail, pixels, **_without(options, "sample_ratio", "budget", "scope"))
    except ValueError as error:
        raise ConfigError(f"bank: {error}") from error


def foretell_cover(config: BankConfig, classes: ClassInfo, batch_size: int) -> str | None:
    """What there is to say before a run whose pastes would cover more of its images than they should.

    Args:
        config: kind and options.
        classes: the classes; the training masks are counted.
        batch_size: images in a step.

    Returns:
        A line with the share that pastes would write on average, and what keeps them within the budget, 5%
        for a bank without one; ``None`` where they keep within it.
    """
    limit = PASTE_BUDGET if config.budget is None else config.budget
    if config.kind == "fixed_pixels":
        wanted, ratios = config.image_share or 0.0, ""
    else:
        tail = tuple(range(classes.num_classes)) if config.kind == "pixel" else classes.tail
        if not tail or not config.memory_size:
            return None
        model = BankModel(config.sample_ratio, scope=config.scope, tail=tail)
        wanted = expected_cover(classes.tally, model, config.resize_ratio, batch_size=batch_size)
        ratios = ""
        if wanted > limit > 0:
            kept = recommend_ratios(classes.tally, tail=tail, budget=limit)
            ratios = (
                f"; bank.sample_ratio: {kept.sample_ratio:g} and bank.resize_ratio: {kept.resize_ratio:g} "
                f"would write {100 * kept.covered:.2g}%"
            )
    if wanted <= limit:
        return None
    then = f"nothing limits them, bank.budget: {limit:g} would"
    if config.kind == "fixed_pixels":
        then = "bank.image_share asks for them"
    elif config.budget is not None:
        then = f"bank.budget allows {100 * limit:g}%, so objects are scaled down"
    return f"pastes would write {100 * wanted:.0f}% of an image's labelled pixels on average: {then}{ratios}"


def _without(options: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in options.items() if name not in names}
