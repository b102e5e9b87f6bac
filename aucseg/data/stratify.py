"""Cut a data set into splits that all hold its classes, those of the tail too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aucseg.errors import OptionError

_ATTEMPTS, _WORK = 20, 200_000  # trials where a class is missing: so many, or so many images in all


def split_sizes(number: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How many of some items each split gets: within one of its share, and at least one if there are enough.

    Args:
        number: items in all.
        shares: fraction of each split, in [0, 1], that together make 1; one of 0 stays empty.

    Returns:
        A number for each split, in their order, that together make ``number``.

    Raises:
        OptionError: if the shares are no fractions of one whole.

    Example:
        >>> split_sizes(97, {"train": 0.7, "val": 0.1, "test": 0.2})
        {'train': 68, 'val': 10, 'test': 19}
    """
    values = np.array(list(shares.values()), float)
    if not values.size or not np.all((values >= 0) & (values <= 1)) or abs(values.sum() - 1) > 1e-9:
        told = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise OptionError(f"shares of splits are from 0 to 1 and make 1 together, got {told or 'none'}")
    exact = number * values
    sizes = np.floor(exact + 1e-9).astype(int)
    # Of equal remainders, give or take what floating point makes of them, the first split's comes first.
    for s in np.argsort((sizes - exact).round(9), kind="stable")[
        : number - sizes.sum()
    ]:  # largest remainders first
        sizes[s] += 1
    wanted = np.flatnonzero(values > 0)
    if number >= len(wanted):
        for s in wanted[sizes[wanted] == 0]:
            sizes[np.argmax(sizes)] -= 1
            sizes[s] = 1
    return dict(zip(shares, sizes.tolist(), strict=True))


def stratified_split(presence: np.ndarray, sizes: Sequence[int], *, seed: int = 0) -> np.ndarray:
    """The split of each image, so that each class is in each split as nearly as possible by its size.

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas, On the Stratification of Multi-Label Data, ECML
    PKDD 2011): the rarest class is dealt out first, each of its images to the split that still wants most of
    that class. Two things are changed for a long tail. A split that lacks the class altogether comes before
    any that wants more of it, since a class of five images is worth 0.5 to a split of a tenth and would
    never get there; it is given the image that brings it most other rare classes. And in the end, where a
    class is in as many images as there are splits and yet missing from one, images are exchanged as long as
    that brings more classes into splits than it takes out; if one is missing still, some images change places
    by lot and it is tried again. That is no proof that there is no better cut: to find the best is a hard
    problem.

    Args:
        presence: which image holds which class, (N, K) bool.
        sizes: how many images each split gets, N together; exactly so many it has. Splits earlier in this
            order are preferred where nothing else decides: the training split comes first.
        seed: decides between images that are alike. The same seed makes the same splits.

    Returns:
        Index of the split of each image, (N,) int64.

    Raises:
        OptionError: if the sizes do not make N together.

    Example:
        >>> holds = np.eye(3, dtype=bool).repeat(4, 0)  # three classes in four images each
        >>> parts = stratified_split(holds, [6, 3, 3])
        >>> [holds[parts == s].any(0).all().item() for s in range(3)]
        [True, True, True]
    """
    number, _ = presence.shape
    if sum(sizes) != number or min(sizes, default=0) < 0:
        raise OptionError(f"splits of {list(sizes)} images do not make {number} together")
    rng = np.random.default_rng(seed)
    room = np.array(sizes, np.int64)
    enough = presence.sum(0) >= np.count_nonzero(room)
    best, fewest = np.zeros(number, np.int64), presence.shape[1] * len(room) + 1
    for attempt in range(max(1, min(_ATTEMPTS, _WORK // max(number, 1)))):
        order = rng.permutation(number)
        shuffled = np.ascontiguousarray(presence[order], dtype=bool)
        dealt = _deal(shuffled, room)
        if attempt:  # what is dealt out is nearly the same in any order
            some = rng.permutation(number)[: max(3, number // 8)]
            dealt[some] = dealt[rng.permutation(some)]
        missing = _exchange(shuffled, dealt, enough, room > 0)
        if missing < fewest:
            fewest = missing
            best = np.empty(number, np.int64)
            best[order] = dealt
        if not missing:
            break
    return best


def _deal(presence: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Deal out images, the rarest class first."""
    number, k = presence.shape
    shares = room / max(number, 1)
    room = room.copy()
    wanted = shares[:, None] * presence.sum(0)[None]  # images of each class that each split still wants
    have = np.zeros((len(room), k), np.int64)
    left = presence.sum(0)
    dealt = np.full(number, -1, np.int64)

    def give(images: np.ndarray, splits: np.ndarray) -> None:
        dealt[images] = splits
        room[:] -= np.bincount(splits, minlength=len(room))
        at, held = np.nonzero(presence[images])
        np.subtract.at(wanted, (splits[at], held), 1)
        np.add.at(have, (splits[at], held), 1)
        left[:] -= np.bincount(held, minlength=k)

    while left.any():
        rarest = int(np.argmin(np.where(left > 0, left, number + 1)))
        images = np.flatnonzero(presence[:, rarest] & (dealt < 0))
        lacking = [
            s for s in np.argsort(-wanted[:, rarest], kind="stable") if room[s] and not have[s, rarest]
        ]
        # Where there are fewer images than splits that lack the class, the larger splits get them; but the
        # smaller ones choose first, for they have the least room to get their other classes.
        for split in reversed(lacking[: len(images)]):
            image = images[_most_useful(presence[images], split, have, left)]
            give(np.array([image]), np.array([split]))
            images = images[images != image]
        give(images, _by_wants(len(images), wanted[:, rarest], room, shares))
    bare = np.flatnonzero(dealt < 0)  # images without any class
    give(bare, _by_wants(len(bare), np.zeros(len(room)), room, shares, falling=0))
    return dealt


def _by_wants(
    number: int, wanted: np.ndarray, room: np.ndarray, shares: np.ndarray, *, falling: int = 1
) -> np.ndarray:
    """The splits that get some images one after the other: each goes to the one that wants it most.

    Of those that want it alike, to the one that has most room for its share. In plain numbers: a set of
    10,000 images is dealt out one by one.

    Args:
        number: how many images.
        wanted: how many each split wants, (S,).
        room: how many each split can take, (S,).
        shares: share of each split in all images, (S,).
        falling: how much less a split wants for each that it gets.
    """
    wants, free = wanted.tolist(), room.tolist()
    share = np.maximum(shares, 1e-12).tolist()
    given = []
    for _ in range(number):
        there = [s for s, each in enumerate(free) if each]
        most = max(wants[s] for s in there) - 1e-9
        split = max((s for s in there if wants[s] >= most), key=lambda s: free[s] / share[s])
        given.append(split)
        free[split] -= 1
        wants[split] -= falling
    return np.array(given, np.int64)


def _most_useful(candidates: np.ndarray, split: int, have: np.ndarray, left: np.ndarray) -> int:
    """The image that brings a split most of what it lacks, rare above all, and takes least from others."""
    lacks = have[split] == 0
    others = (have == 0).sum(0) - lacks  # other splits that lack the class, too
    scarce = (others > 0) & (left - 1 < others)  # this image is needed there
    value = np.where(lacks, 1.0, 0.0) - np.where(scarce, 1.0, 0.0)
    return int(np.argmax(candidates @ (value / np.maximum(left, 1))))


def _exchange(presence: np.ndarray, dealt: np.ndarray, enough: np.ndarray, used: np.ndarray) -> int:
    """Exchange images between splits as long as that brings more classes into splits than it takes out.

    Args:
        presence: which image holds which class, (N, K) bool.
        dealt: the split of each image, (N,); changed in place.
        enough: the classes that can be in all splits, (K,) bool.
        used: the splits that have images, (S,) bool.

    Returns:
        How many of these classes splits lack in the end, over all splits.
    """
    have = np.stack([presence[dealt == s].sum(0) for s in range(len(used))])
    gained = True
    while gained:  # each exchange puts more classes into splits than were there, so there is an end
        gained = False
        for split, c in np.argwhere((have == 0) & enough & used[:, None]):
            if have[split, c]:
                continue
            here = np.flatnonzero(dealt == split)
            most, image, other = 0, -1, -1
            for candidate in np.flatnonzero(presence[:, c]):
                change = presence[candidate][enough].astype(np.int64) - presence[here][:, enough]
                ours, theirs = have[split][enough], have[dealt[candidate]][enough]
                gains = ((ours + change > 0) ^ (ours > 0)[None]) * np.sign(change)
                losses = ((theirs - change > 0) ^ (theirs > 0)[None]) * np.sign(change)
                net = (gains - losses).sum(1)
                if net.max() > most:
                    most, image, other = int(net.max()), int(candidate), int(here[np.argmax(net)])
            if most:
                change = presence[image].astype(np.int64) - presence[other]
                have[split] += change
                have[dealt[image]] -= change
                dealt[image], dealt[other] = dealt[other], dealt[image]
                gained = True
    return int(((have == 0) & enough & used[:, None]).sum())
