"""How probable it is that a batch holds every class, with and without a bank (AUCSeg, Proposition 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from aucseg.errors import OptionError
from aucseg.longtail.tally import Tally
from aucseg.theory import MAX_CLASSES, miss_probability, missing_distribution

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


def batch_odds(
    tally: Tally,
    batch_size: int,
    *,
    classes: Sequence[int] | None = None,
    bank: BankModel | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> BatchOdds:
    r"""How probable it is that a batch, drawn without replacement, holds all of some classes.

    One class: hypergeometric, exact. All classes together: with a presence matrix exact by
    inclusion-exclusion up to 20 classes that can be missed, else simulated; without one the product, which
    holds for independent classes, with bounds that always hold. Proposition 1 is the lower bound
    :math:`1 - \sum_c P(c \text{ missing}) \ge 1 - K (1 - \min_i p_i)^B`.

    With a bank that counts the missing classes of each image, class :math:`c` stays missing if every image
    of the batch misses it and passes it over. For an image with :math:`m` missing tail classes the second has
    probability :math:`1 - \lceil m R_S \rceil / m`, so

    .. math:: P(c \text{ missing}) = (1 - q_c) h_c + q_c \, \mathbb{E} \prod_{X \in \text{batch}}
        \mathbb{1}[c \notin X] \left(1 - \frac{\lceil m_X R_S \rceil}{m_X}\right)

    with :math:`q_c` the probability that c is stored and :math:`h_c` the hypergeometric value without a bank.
    Without a presence matrix classes and images are taken as independent for the second factor, the bounds
    of all classes together rest on it, and their value is simulated: draws of one image exclude each other.

    Args:
        tally: of the training set.
        batch_size: images in a batch, 1 to the number of images.
        classes: train ids to ask for; all classes if None.
        bank: count a tail class as present too if it is drawn from this bank.
        draws: batches to simulate where no exact way is open.
        seed: of the simulation.

    Raises:
        ValueError: if a class of ``classes`` or of the bank does not exist, repeats, or occurs in no image,
            or if another value is out of its range.

    Example:
        >>> from aucseg.longtail import load_statistics
        >>> round(batch_odds(load_statistics("cityscapes"), 16).all_present.value, 3)
        0.354
    """
    if not 1 <= batch_size <= tally.num_images:
        raise OptionError(
            f"batch_size must be from 1 to the {tally.num_images} images, got {batch_size}; "
            "images are drawn without replacement"
        )
    if draws < 1:
        raise OptionError(f"draws must be at least 1, got {draws}")
    wanted = _checked(tally, range(tally.num_classes) if classes is None else classes)
    plain = miss_probability(tally.images, tally.num_images, batch_size)
    if bank is None or bank.sample_ratio == 0:
        return _finish(tally, batch_size, wanted, plain[list(wanted)], "exact", bank, draws, seed)
    tail = _checked(tally, tally.tail if bank.tail is None else bank.tail)
    stored = np.broadcast_to(np.asarray(bank.stored, float), (len(tail),))
    order = np.argsort(tail)
    bank = replace(bank, tail=tuple(tail[i] for i in order), stored=tuple(float(stored[i]) for i in order))
    values = plain.copy()
    method = "exact"
    if tally.presence is None:
        values[list(bank.tail or ())] = _independent(tally, batch_size, plain, bank)
        method = "independent"
    elif bank.scope == "image":
        values[list(bank.tail or ())] = _by_images(tally.presence, batch_size, plain, bank)
    else:
        method = "monte carlo"
        found = _simulated(tally, batch_size, bank, draws, seed)
        values[list(bank.tail or ())] = found[:, list(bank.tail or ())].mean(0)
    return _finish(tally, batch_size, wanted, values[list(wanted)], method, bank, draws, seed)


def stored_after(tally: Tally, batch_size: int, steps: int) -> tuple[float, ...]:
    """Probability that each tail class has come by in the first steps, so that the bank holds it.

    Within an epoch the images do not repeat; after it the bank has seen every class.

    Args:
        tally: of the training set.
        batch_size: images in a batch.
        steps: batches that the bank has stored from.
    """
    seen = min(batch_size * steps, tally.num_images)
    missed = miss_probability(tally.images[list(tally.tail)], tally.num_images, seen)
    return tuple(float(1 - p) for p in missed)


def odds_of_batches(
    tally: Tally,
    batch_sizes: Sequence[int],
    *,
    bank: BankModel | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> list[tuple[str, BatchOdds]]:
    """The odds of several batch sizes, for all classes that occur and for the tail, without and with a bank.

    Args:
        tally: of the training set.
        batch_sizes: images in a batch, each 1 to the number of images.
        bank: the bank, whose classes are the tail; None asks only without one.
        draws: batches to simulate where no exact way is open.
        seed: of the simulation.

    Returns:
        ``"all"`` or ``"tail"``, and the odds.

    Raises:
        OptionError: as :func:`batch_odds`, and for a bank where there is no tail.
    """
    if bank is not None and not tally.tail:
        raise OptionError(f"{tally.name!r} has no tail class for a bank; see `aucseg data tail`")
    occurring = tuple(c for c in range(tally.num_classes) if tally.images[c])
    tail = tuple(c for c in tally.tail if c in occurring)
    banks = (None,) if bank is None else (None, replace(bank, tail=tail))
    return [
        (group, batch_odds(tally, size, classes=classes, bank=each, draws=draws, seed=seed))
        for size in batch_sizes
        for group, classes in (("all", occurring), ("tail", tail))
        for each in banks
        if classes
    ]


def mean_product(weights: np.ndarray, batch_size: int) -> np.ndarray:
    r"""Mean over all batches without replacement of the product of its images' weights.

    With :math:`E_k` the mean over all subsets of :math:`k` of the first :math:`n` images, one image more
    gives :math:`E_k \leftarrow \frac{n+1-k}{n+1} E_k + \frac{k}{n+1} w E_{k-1}`: sums of what is never
    negative, so nothing cancels.

    Args:
        weights: a weight in [0, 1] for each image and class, (N, C).
        batch_size: images in the batch, at most N.

    Returns:
        The mean for each class, (C,).
    """
    means = np.zeros((batch_size + 1, weights.shape[1]))
    means[0] = 1
    order = np.arange(1, batch_size + 1)[:, None]
    for n, weight in enumerate(weights, start=1):
        share = np.minimum(order / n, 1)
        means[1:] = (1 - share) * means[1:] + share * weight * means[:-1]
    return means[-1]


def simulate_missing(
    presence: np.ndarray,
    batch_size: int,
    draws: int,
    seed: int,
    *,
    bank: BankModel | None = None,
    tail: tuple[int, ...] = (),
    stored: np.ndarray | None = None,
) -> np.ndarray:
    """Draw batches without replacement and note which classes they miss.

    Args:
        presence: which image holds which class, (N, K) bool; or the share of images that hold each class,
            (K,), from which images are made up with independent classes.
        batch_size: images in a batch, at most N.
        draws: number of batches.
        seed: of the draws.
        bank: the bank, or None.
        tail: classes that the bank keeps.
        stored: probability that the bank holds each of ``tail``.

    Returns:
        Missing classes of each batch, (draws, K) bool.
    """
    rng = np.random.default_rng(seed)
    ids = np.array(tail, np.int64)
    missing = np.empty((draws, presence.shape[-1]), bool)
    for draw in range(draws):
        if presence.ndim == 1:
            held = rng.random((batch_size, len(presence)), np.float32) < presence
        else:
            held = presence[rng.choice(len(presence), batch_size, replace=False)]
        missing[draw] = ~held.any(0)
        if bank is None or stored is None or not missing[draw, ids].any():
            continue
        lost = ids[missing[draw, ids]]
        if bank.scope == "batch":
            drawn = rng.permutation(len(lost)) < bank.draws(len(lost))
        else:
            drawn = _drawn_by_images(rng, bank, (~held[:, ids]).sum(1), len(lost))
        kept = (rng.random(len(ids)) < stored)[np.searchsorted(ids, lost)]
        missing[draw, lost] = ~(drawn & kept)
    return missing


def missing_beside(probabilities: Sequence[float]) -> np.ndarray:
    """Distribution of how many of some independent classes are missing, (n + 1,) (Poisson binomial).

    Args:
        probabilities: of each class to be missing, (n,).
    """
    n = len(probabilities)
    return stats.poisson_binom(probabilities).pmf(np.arange(n + 1)) if n else np.ones(1)


def wilson(hits: int, draws: int) -> Chance:
    """A probability from simulated draws, with its 95 % Wilson interval.

    Args:
        hits: draws that had it.
        draws: all draws.
    """
    interval = stats.binomtest(hits, draws).proportion_ci(0.95, method="wilson")
    return Chance(hits / draws, float(interval.low), float(interval.high), "monte carlo")


def _by_images(presence: np.ndarray, batch_size: int, plain: np.ndarray, bank: BankModel) -> np.ndarray:
    tail = list(bank.tail or ())
    absent = ~presence[:, tail]
    over = np.array([bank.passed_over(m) for m in range(len(tail) + 1)])
    undrawn = mean_product(absent * over[absent.sum(1)][:, None], batch_size)
    stored = np.asarray(bank.stored)
    return (1 - stored) * plain[tail] + stored * undrawn


def _independent(tally: Tally, batch_size: int, plain: np.ndarray, bank: BankModel) -> np.ndarray:
    """The bank's odds if classes occur independently: how many others miss is Poisson binomial."""
    tail, stored = list(bank.tail or ()), np.asarray(bank.stored)
    absent = (1 - tally.image_share if bank.scope == "image" else plain)[tail]
    over = np.array([bank.passed_over(m) for m in range(1, len(tail) + 1)])
    passed = np.array([missing_beside(np.delete(absent, c).tolist()) @ over for c in range(len(tail))])
    times = batch_size if bank.scope == "image" else 1
    result: np.ndarray = plain[tail] * (1 - stored + stored * passed**times)
    return result


def _finish(
    tally: Tally,
    batch_size: int,
    wanted: tuple[int, ...],
    missing: np.ndarray,
    method: str,
    bank: BankModel | None,
    draws: int,
    seed: int,
) -> BatchOdds:
    unsure = [c for c, p in zip(wanted, missing, strict=True) if p > 0]
    beyond = set(bank.tail or ()) & set(unsure) if bank is not None and bank.sample_ratio else set()
    if not unsure and method != "monte carlo":
        together = Chance(1.0, 1.0, 1.0, "exact")
    elif len(wanted) == 1 and method == "exact":
        p = float(1 - missing[0])
        together = Chance(p, p, p, "exact")
    elif tally.presence is None:
        value, low, high = np.prod(1 - missing), max(0.0, 1 - missing.sum()), 1 - missing.max()
        if beyond and high - low > 1e-3:  # draws of one image exclude each other: no product
            value = _none_missing(tally, batch_size, wanted, bank, draws, seed).mean()
        together = Chance(float(value), float(low), float(high), "independent")
    elif method == "exact" and not beyond and len(unsure) <= MAX_CLASSES:
        value = float(missing_distribution(tally.presence[:, unsure], batch_size)[0])
        together = Chance(value, value, value, "exact")
    else:
        none = _none_missing(tally, batch_size, wanted, bank, draws, seed)
        together = wilson(int(none.sum()), draws)
    return BatchOdds(
        batch_size,
        tally.num_images,
        wanted,
        tuple(float(p) for p in missing),
        method,
        float(missing.sum()),
        together,
        bank,
    )


def _simulated(tally: Tally, batch_size: int, bank: BankModel | None, draws: int, seed: int) -> np.ndarray:
    source = tally.image_share if tally.presence is None else tally.presence
    if bank is None or bank.tail is None:
        return simulate_missing(source, batch_size, draws, seed)
    stored = np.asarray(bank.stored)
    return simulate_missing(source, batch_size, draws, seed, bank=bank, tail=bank.tail, stored=stored)


def _none_missing(
    tally: Tally,
    batch_size: int,
    wanted: tuple[int, ...],
    bank: BankModel | None,
    draws: int,
    seed: int,
) -> np.ndarray:
    missing = _simulated(tally, batch_size, bank, draws, seed)[:, list(wanted)]
    return np.logical_not(missing.any(axis=1))


def _checked(tally: Tally, classes: Sequence[int]) -> tuple[int, ...]:
    ids = tuple(int(c) for c in classes)
    if not ids:
        raise OptionError(f"no class of {tally.name!r} to ask for")
    for c in ids:
        if not 0 <= c < tally.num_classes:
            raise OptionError(f"class {c} is outside the classes 0 to {tally.num_classes - 1}")
        if ids.count(c) > 1:
            raise OptionError(f"class {c} is given twice")
        if not tally.images[c]:
            raise OptionError(
                f"class {tally.names[c]!r} is in no image: no batch of any size holds it; leave it out"
            )
    return ids


def _drawn_by_images(rng: np.random.Generator, bank: BankModel, missing: np.ndarray, lost: int) -> np.ndarray:
    """Which of the classes that no image of the batch holds are drawn by at least one image, (lost,) bool.

    All images miss these. Of an image's draw the number that falls on them is hypergeometric, and which of
    them it falls on is uniform; the rest of its draw need not be made.
    """
    draws = np.array([bank.draws(int(m)) for m in missing])
    hits = rng.hypergeometric(lost, missing - lost, draws) if draws.any() else draws
    ranks = rng.random((len(missing), lost)).argsort(axis=1)
    return np.any(ranks < hits[:, None], axis=0)
