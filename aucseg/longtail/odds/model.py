"""What is asked and what is answered: the bank as the odds see it, a probability, the odds of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aucseg.errors import OptionError

SCOPES = ("image", "batch")


@dataclass(frozen=True)
class BankModel:
    r"""The tail-class memory bank as far as the odds go.

    An image (``scope="image"``) or a whole batch (``scope="batch"``) that misses :math:`m` tail classes
    draws :math:`\lceil m R_S \rceil` of them without replacement (AUCSeg, Algorithm 2). A class counts as
    present if it is drawn and stored. Pastes that hide each other or fall on void are not looked at, so the
    odds with a bank are what it can give at best.

    Args:
        sample_ratio: :math:`R_S` in [0, 1]; 0 is no bank.
        scope: whose missing classes are counted, ``"image"`` or ``"batch"``.
        tail: train ids that the bank keeps; the tail of the statistics if None.
        stored: probability that the bank holds an object of a class, one for all or one for each of ``tail``;
            1 is a bank that has seen them all, see :func:`stored_after` for the first steps.

    Raises:
        ValueError: if a value is out of its range.
    """

    sample_ratio: float
    scope: str = "image"
    tail: tuple[int, ...] | None = None
    stored: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.sample_ratio <= 1:
            raise OptionError(f"sample_ratio must be in [0, 1], got {self.sample_ratio}")
        if self.scope not in SCOPES:
            raise OptionError(f"scope must be one of {', '.join(SCOPES)}, got {self.scope!r}")
        for p in self.stored if isinstance(self.stored, Sequence) else (self.stored,):
            if not 0 <= p <= 1:
                raise OptionError(f"stored holds probabilities in [0, 1], got {p}")
        if self.tail is not None and isinstance(self.stored, Sequence) and len(self.stored) != len(self.tail):
            raise OptionError(f"{len(self.tail)} tail classes but {len(self.stored)} probabilities in stored")

    def draws(self, missing: int) -> int:
        """Classes drawn where ``missing`` are missing: the ceiling of ``missing * sample_ratio``."""
        # 0.07 * 100 is 7.000000000000001 in binary: the ceiling must not make 8 of it
        return math.ceil(missing * self.sample_ratio - 1e-9)

    def passed_over(self, missing: int) -> float:
        """Probability that one given missing class is not drawn where ``missing`` are missing."""
        return 1 - self.draws(missing) / missing if missing else 1.0


@dataclass(frozen=True)
class Chance:
    """A probability and how it was found.

    Args:
        value: the probability.
        low: lower end of what it may be.
        high: upper end of what it may be.
        method: ``"exact"``: low = high = value. ``"monte carlo"``: low and high are the 95 % Wilson interval.
            ``"independent"``: value holds if classes occur independently of each other, low and high hold
            however they occur together (Bonferroni below, the rarest class above). With a bank the value is
            simulated for independent classes and the bounds start from independent classes too.
    """

    value: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class BatchOdds:
    """Odds of the classes in a batch of images drawn without replacement.

    Args:
        batch_size: images in the batch.
        num_images: images in the set.
        classes: the train ids that were asked for.
        missing: probability of each of them to be in no image of the batch.
        missing_method: how ``missing`` was found, as in :class:`Chance`.
        expected_missing: how many of them are missing on average.
        all_present: the probability that none is missing.
        bank: the bank, or None.
    """

    batch_size: int
    num_images: int
    classes: tuple[int, ...]
    missing: tuple[float, ...]
    missing_method: str
    expected_missing: float
    all_present: Chance
    bank: BankModel | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)


def wilson(hits: int, draws: int) -> Chance:
    """A probability from simulated draws, with its 95 % Wilson interval."""
    z, share = 1.959963984540054, hits / draws
    middle = (share + z * z / (2 * draws)) / (1 + z * z / draws)
    half = z * math.sqrt(share * (1 - share) / draws + z * z / (4 * draws * draws)) / (1 + z * z / draws)
    # at 0 and at all hits the interval ends there, which rounding would miss
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == draws else middle + half
    return Chance(share, low, high, "monte carlo")
