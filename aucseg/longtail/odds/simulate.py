"""Batches drawn from a presence matrix, with what a bank would add to them."""

from __future__ import annotations

import numpy as np

from aucseg.longtail.odds.model import BankModel


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


def _drawn_by_images(rng: np.random.Generator, bank: BankModel, missing: np.ndarray, lost: int) -> np.ndarray:
    """Which of the classes that no image of the batch holds are drawn by at least one image, (lost,) bool.

    All images miss these. Of an image's draw the number that falls on them is hypergeometric, and which of
    them it falls on is uniform; the rest of its draw need not be made.
    """
    draws = np.array([bank.draws(int(m)) for m in missing])
    hits = rng.hypergeometric(lost, missing - lost, draws) if draws.any() else draws
    ranks = rng.random((len(missing), lost)).argsort(axis=1)
    return np.any(ranks < hits[:, None], axis=0)
