"""How large a tail-class memory bank should be, and what it will take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aucseg.errors import OptionError
from aucseg.longtail.odds import BankModel, missing_beside
from aucseg.longtail.tally import Tally

PAPER_MEMORY_SIZE = 5
"""S_M that AUCSeg finds best on ADE20K (Table 20: overall 49.20 at 5, at most 49.09 at other sizes)."""


@dataclass(frozen=True)
class ClassStore:
    """What the bank keeps of one tail class, and how fast it turns over.

    Args:
        name: name of the class.
        objects: objects kept: S_M, or fewer if fewer images hold the class.
        object_pixels: mean pixels of the class in a training image that holds it.
        bytes: bytes of its objects.
        refill_steps: mean steps until as many new objects have come as it keeps: their mean age.
        pastes_per_object: mean times an object is pasted before a newer one takes its place.
    """

    name: str
    objects: int
    object_pixels: float
    bytes: int
    refill_steps: float
    pastes_per_object: float


@dataclass(frozen=True)
class BankSize:
    """A size for the bank, with what it takes and why.

    Args:
        memory_size: S_M, objects for each class.
        bytes: bytes expected when it is full.
        worst_bytes: bytes if every object filled its whole image.
        classes: one entry for each tail class.
        explanation: the reasons in plain sentences.
    """

    memory_size: int
    bytes: int
    worst_bytes: int
    classes: tuple[ClassStore, ...]
    explanation: str

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)


def recommend_bank(
    tally: Tally,
    image_size: tuple[int, int],
    *,
    batch_size: int,
    bank: BankModel,
    memory_size: int | None = None,
    budget: int | None = None,
    box_fill: float = 0.4,
    value_bytes: int = 4,
) -> BankSize:
    r"""Choose S_M and foretell the bank's memory from class statistics.

    A class that fills the mean share :math:`a_c` of the images that hold it leaves an object of
    :math:`a_c H W` pixels; its tight box is larger by 1 / ``box_fill``, at most the whole image, and a pixel
    of the box takes 3 values and 1 byte of mask. That crops cut objects, and that a resized image shows them
    at another size than H W says, is not looked at.

    The size itself is the paper's 5: memory grows with it and so does the age of what is pasted, while how
    often an object is pasted before it is replaced does not depend on it. A budget lowers it.

    Args:
        tally: of the training set.
        image_size: height and width of a training crop in pixels.
        batch_size: images in a step.
        bank: sample ratio, scope and tail classes; only for how often objects are pasted.
        memory_size: S_M, if it is already chosen.
        budget: bytes that the bank may take.
        box_fill: mean share of an object's box that the object fills. On the synthetic streets it is from 0.3
            (riders, motorcycles) to 0.8 (trucks, trains); where a class is scattered over the image, as poles
            are, it can be 0.03.
        value_bytes: bytes of a channel's value: 4 for float32, 2 for float16, 1 for uint8.

    Raises:
        ValueError: if a value is out of its range, there is no tail class, one is in no image, or not even
            one object for each class fits into the budget.
    """
    height, width = image_size
    if min(height, width, batch_size, value_bytes) < 1 or not 0 < box_fill <= 1:
        raise OptionError(
            "image_size, batch_size and value_bytes are at least 1 and box_fill in (0, 1], got "
            f"{image_size}, {batch_size}, {value_bytes} and {box_fill}"
        )
    if memory_size is not None and memory_size < 1:
        raise OptionError(f"memory_size is at least 1, got {memory_size}; without a bank there is no size")
    tail = tally.tail if bank.tail is None else bank.tail
    if not tail:
        raise OptionError(f"{tally.name!r} has no tail class; choose some, see choose_tail")
    for c in tail:
        if not tally.images[c]:
            raise OptionError(f"class {tally.names[c]!r} is in no image: leave it out of the tail")
    pixel = 3 * value_bytes + 1
    area = height * width

    def store(size: int) -> tuple[ClassStore, ...]:
        return tuple(
            _class_store(tally, c, size, tail, bank, batch_size, area, box_fill, pixel) for c in tail
        )

    wanted = PAPER_MEMORY_SIZE if memory_size is None else memory_size
    size = wanted
    while budget is not None and sum(c.bytes for c in store(size)) > budget:
        size -= 1
        if not size:
            least = sum(c.bytes for c in store(1))
            raise OptionError(
                f"one object for each of {len(tail)} classes takes {least} bytes, over "
                f"the budget of {budget}; keep the bank on the CPU, store uint8, or name fewer tail classes"
            )
    classes = store(size)
    total, worst = sum(c.bytes for c in classes), sum(c.objects for c in classes) * area * pixel
    return BankSize(size, total, worst, classes, _explain(size, wanted, memory_size, budget, classes, total))


def _class_store(
    tally: Tally,
    c: int,
    size: int,
    tail: Sequence[int],
    bank: BankModel,
    batch_size: int,
    area: int,
    box_fill: float,
    pixel: int,
) -> ClassStore:
    objects = min(size, int(tally.images[c]))
    pixels = float(tally.area_share[c]) * area
    box = min(pixels / box_fill, area)
    arrivals = batch_size * float(tally.image_share[c])
    pastes = _pastes(tally, c, tail, bank, batch_size)
    return ClassStore(
        tally.names[c],
        objects,
        pixels,
        math.ceil(objects * box * pixel),
        size / arrivals,
        pastes / arrivals,
    )


def _pastes(tally: Tally, c: int, tail: Sequence[int], bank: BankModel, batch_size: int) -> float:
    """Mean pastes of a class in a step if classes occur independently of each other."""
    missing = 1 - tally.image_share
    if bank.scope == "batch":
        missing = missing**batch_size
    beside = missing_beside([float(missing[t]) for t in tail if t != c])
    drawn = 1 - float(beside @ [bank.passed_over(m) for m in range(1, len(tail) + 1)])
    return float(missing[c]) * drawn * (batch_size if bank.scope == "image" else 1)


def _explain(
    size: int,
    wanted: int,
    given: int | None,
    budget: int | None,
    classes: tuple[ClassStore, ...],
    total: int,
) -> str:
    why = "as given" if given is not None else "the best on ADE20K in AUCSeg's Table 20"
    words = [f"S_M = {size}: {why}."]
    if size < wanted:
        words = [f"S_M = {size}: {wanted} ({why}) would not fit into {budget} bytes."]
    largest = max(classes, key=lambda c: c.bytes)
    worn = max(classes, key=lambda c: c.pastes_per_object)
    words.append(
        f"Full, the bank of {len(classes)} classes takes about {total / 2**20:.1f} MiB, most of it "
        f"{largest.name!r} ({largest.bytes / 2**20:.2f} MiB, {largest.object_pixels:.0f} pixels an object)."
    )
    words.append(
        f"{worn.name!r} turns over most slowly: once in {worn.refill_steps:.0f} steps, each object pasted "
        f"{worn.pastes_per_object:.1f} times; a larger bank makes objects older, not less often used."
    )
    short = [c.name for c in classes if c.objects < size]
    if short:
        words.append(f"Fewer than {size} images hold {', '.join(short)}.")
    return " ".join(words)
