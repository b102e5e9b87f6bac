"""How large a tail-class memory bank should be, what it takes, and how much of an image it pastes over."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from aucseg.errors import OptionError, how_many
from aucseg.longtail.odds import BankModel, missing_beside
from aucseg.longtail.tally import Tally

PAPER_MEMORY_SIZE = 5
"""S_M that AUCSeg finds best on ADE20K (Table 20: overall 49.20 at 5, at most 49.09 at other sizes)."""


PASTE_BUDGET = 0.05
"""Share of an image's labelled pixels that pastes may cover at most by default."""


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


@dataclass(frozen=True)
class BankRatios:
    """How much a bank should paste, and why.

    Args:
        sample_ratio: R_S.
        resize_ratio: R_R.
        budget: share of an image's labelled pixels that pastes may cover.
        draws: mean number of classes that an image draws.
        covered: mean share of an image's labelled pixels that pastes of these ratios write.
        unlimited: the same with R_S = R_R = 1.
        tail_share: share of the labelled pixels that the tail has without a bank.
        explanation: the reasons in plain sentences.
    """

    sample_ratio: float
    resize_ratio: float
    budget: float
    draws: float
    covered: float
    unlimited: float
    tail_share: float
    explanation: str

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)


def expected_cover(tally: Tally, bank: BankModel, resize_ratio: float = 1.0, *, batch_size: int = 1) -> float:
    r"""Mean share of an image's labelled pixels that a full bank without a budget writes.

    .. math:: \mathbb{E}_X \frac{\lceil m_X R_S \rceil}{m_X} \sum_{c \notin X} q_c \, a_c R_R^2

    over the training images X, with :math:`m_X` the tail classes that X misses, :math:`a_c` the mean share of
    an image that class c fills where it occurs and :math:`q_c` the probability that it is stored. A pixel
    that is pasted over twice counts twice, so the sum can exceed 1. That a crop cuts objects, and an object
    larger than its place is scaled to it, is not looked at.

    Where only the sums of the classes are known, or ``bank.scope`` is the batch, classes are taken to occur
    independently of each other.

    Args:
        tally: of the training set.
        bank: sample ratio, scope, tail classes and what is stored.
        resize_ratio: R_R, in (0, 1].
        batch_size: images in a step; without influence where missing classes are counted for each image.

    Raises:
        OptionError: if there is no tail class.
    """
    tail = list(_tail_of(tally, bank))
    sizes = np.asarray(bank.stored, float) * tally.area_share[tail] * resize_ratio**2
    return float(_pastes(tally, tail, bank, batch_size) @ sizes) / batch_size


def recommend_ratios(
    tally: Tally, *, tail: tuple[int, ...] | None = None, budget: float = PASTE_BUDGET
) -> BankRatios:
    r"""Choose R_S and R_R from class statistics, so that pastes keep within a budget.

    Pastes should not outnumber what they stand beside: they may write as many pixels as the tail has by
    itself, and never more than the budget. Objects keep their size, by which they are recognised, and images
    draw as many missing classes as then fit on average,

    .. math:: R_S = \max \{ j / T : \text{cover}(j / T, 1) \le b \}

    with T tail classes and the cover of :func:`expected_cover`. Where a single object of mean size does not
    fit, one is drawn and scaled, :math:`R_R = \sqrt{b / \text{cover}(1 / T, 1)}`. Both are rounded down to
    three and two digits behind the point. An image of large objects may still want more than the budget:
    :class:`aucseg.memory.TailMemoryBank` scales those down.

    Args:
        tally: of the training set.
        tail: train ids of the tail classes; those of the tally if None.
        budget: largest share of an image's labelled pixels that pastes may write, in (0, 1].

    Raises:
        OptionError: if the budget is out of its range, or there is no tail class, or none that occurs.
    """
    if not 0 < budget <= 1:
        raise OptionError(f"budget is a share of an image's pixels in (0, 1], got {budget}")
    model = BankModel(1.0, tail=tail)
    tail = _tail_of(tally, model)
    share = float(tally.pixel_share[list(tail)].sum())
    unlimited = expected_cover(tally, model)
    if not share:
        raise OptionError(f"no tail class of {tally.name!r} is in any image: name others, see choose_tail")
    room = min(budget, share)
    number = len(tail)
    ratios = [math.floor(1000 * draws / number) / 1000 for draws in range(1, number + 1)]
    covers = [expected_cover(tally, BankModel(ratio, tail=tail)) for ratio in ratios]
    sample, most = max(
        ((r, c) for r, c in zip(ratios, covers, strict=True) if c <= room), default=(ratios[0], covers[0])
    )
    resize = max(math.floor(100 * math.sqrt(room / most)) / 100, 0.01) if most > room else 1.0
    chosen = BankModel(sample, tail=tail)
    covered = expected_cover(tally, chosen, resize)
    missing = number - float(tally.image_share[list(tail)].sum())
    drawn = float(_pastes(tally, list(tail), chosen, 1).sum())
    words = (
        f"An image misses {missing:.1f} of {number} tail classes on average. All of them pasted at full size "
        f"would write {100 * unlimited:.1f}% of its labelled pixels; the tail itself has {100 * share:.2f}%, "
        f"and pastes may have {100 * room:.2f}% ({'the budget' if room == budget else 'as much'}). So "
        f"R_S = {sample:g}, {drawn:.1f} of the missing classes, and R_R = {resize:g}: "
        f"{100 * covered:.2f}% on average, {100 * budget:g}% at most."
    )
    return BankRatios(sample, resize, budget, drawn, covered, unlimited, share, words)


def _tail_of(tally: Tally, bank: BankModel) -> tuple[int, ...]:
    tail = tally.tail if bank.tail is None else bank.tail
    if not tail:
        raise OptionError(f"{tally.name!r} has no tail class; choose some, see choose_tail")
    return tail


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
    tail = _tail_of(tally, bank)
    for c in tail:
        if not tally.images[c]:
            raise OptionError(f"class {tally.names[c]!r} is in no image: leave it out of the tail")
    pixel = 3 * value_bytes + 1
    area = height * width

    pastes = _pastes(tally, list(tail), bank, batch_size)

    def store(size: int) -> tuple[ClassStore, ...]:
        return tuple(
            _class_store(tally, c, size, times, batch_size, area, box_fill, pixel)
            for c, times in zip(tail, pastes.tolist(), strict=True)
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
    pastes: float,
    batch_size: int,
    area: int,
    box_fill: float,
    pixel: int,
) -> ClassStore:
    objects = min(size, int(tally.images[c]))
    pixels = float(tally.area_share[c]) * area
    box = min(pixels / box_fill, area)
    arrivals = batch_size * float(tally.image_share[c])
    return ClassStore(
        tally.names[c],
        objects,
        pixels,
        math.ceil(objects * box * pixel),
        size / arrivals,
        pastes / arrivals,
    )


def _pastes(tally: Tally, tail: list[int], bank: BankModel, batch_size: int) -> np.ndarray:
    """Mean pastes of each tail class in a step, (T,).

    From which image holds which class, if that is known and counts; else as if classes occurred independently
    of each other.
    """
    over = np.array([bank.passed_over(m) for m in range(len(tail) + 1)])
    if bank.scope == "image" and tally.presence is not None:
        absent = ~tally.presence[:, tail]
        return np.asarray(((1 - over)[absent.sum(1)] @ absent) / len(absent) * batch_size)
    missing = 1 - tally.image_share[tail]
    if bank.scope == "batch":
        missing = missing**batch_size
    drawn = 1 - _beside(tuple(missing.tolist())) @ over[1:]
    return np.asarray(missing * drawn * (batch_size if bank.scope == "image" else 1))


@lru_cache(maxsize=8)
def _beside(missing: tuple[float, ...]) -> np.ndarray:
    """How many of the others are missing, a distribution for each class, (T, T)."""
    return np.stack([missing_beside(missing[:c] + missing[c + 1 :]) for c in range(len(missing))])


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
    held = how_many(len(classes), "class", "classes")
    words.append(
        f"Full, the bank of {held} takes about {total / 2**20:.1f} MiB, most of it "
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
