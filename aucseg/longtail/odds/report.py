"""The odds of a batch, each by the best method that its statistics allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aucseg.errors import OptionError
from aucseg.longtail.odds.exact import count_distribution, mean_product
from aucseg.longtail.odds.model import BankModel, BatchOdds, Chance, wilson
from aucseg.longtail.odds.simulate import simulate_missing
from aucseg.longtail.tally import Tally
from aucseg.theory import MAX_CLASSES, miss_probability, missing_distribution


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
        >>> from aucseg.longtail.statistics import load_statistics
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
    passed = np.array([count_distribution(np.delete(absent, c).tolist()) @ over for c in range(len(tail))])
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
