r"""AUCSeg Lemma 8: ordered pairs of images in groups of independent pairs.

Two ordered pairs (i, j) and (i', j') depend on each other if they share an image. This graph of n(n-1) pairs
has the fractional chromatic number

.. math:: \chi_f = 2(n-1) \text{ for even } n, \qquad \chi_f = 2n \text{ for odd } n.

*At least*: a set of pairs without a common image has at most floor(n/2) of them, the weights of a cover add
up to one on each of the n(n-1) pairs, so :math:`\chi_f \ge n(n-1) / \lfloor n/2 \rfloor`. *At most*: the
rounds of a tournament (:func:`round_robin_cover`) are such groups, and every ordered pair is in exactly one.
With n = 2m that is Eq. 27, 2(2m-1): the value of the paper is right, and its proof is not. It removes groups
of m pairs one after another and says that it can always go on because every image stays equally frequent. It
cannot: see :func:`stuck_groups`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aucseg.theory.checks import check_whole

Pair = tuple[int, int]
Group = tuple[Pair, ...]


@dataclass(frozen=True)
class GreedyGroups:
    """What taking one full group after another comes to.

    Attributes:
        groups: the groups taken, each of n/2 ordered pairs that share no image.
        left: ordered pairs that no group took; none if all went well.
    """

    groups: tuple[Group, ...]
    left: tuple[Pair, ...]

    @property
    def stuck(self) -> bool:
        """Whether pairs are left over, from which no full group can be made."""
        return bool(self.left)


def ordered_pairs(num_images: int) -> tuple[Pair, ...]:
    """The ordered pairs of different images: the vertices of the graph.

    Args:
        num_images: n, at least 2.

    Raises:
        ValueError: for fewer than two images.
    """
    check_whole("num_images", num_images, 2, "a pair needs two images")
    return tuple(itertools.permutations(range(num_images), 2))


def pair_dependency_graph(num_images: int) -> NDArray[np.bool_]:
    """Which ordered pairs share an image, in the order of :func:`ordered_pairs`.

    Args:
        num_images: n, at least 2.

    Returns:
        Adjacency, (n(n-1), n(n-1)).

    Raises:
        ValueError: for fewer than two images.
    """
    pairs = np.array(ordered_pairs(num_images))
    shared = (pairs[:, None, :, None] == pairs[None, :, None, :]).any((2, 3))
    return np.asarray(shared & ~np.eye(len(pairs), dtype=bool))


def pair_chromatic_number(num_images: int) -> int:
    """Fractional chromatic number of the graph: n(n-1) over floor(n/2).

    Args:
        num_images: n, at least 2.

    Raises:
        ValueError: for fewer than two images.

    Example:
        >>> pair_chromatic_number(4)
        6
    """
    n = int(check_whole("num_images", num_images, 2, "a pair needs two images"))
    return n * (n - 1) // (n // 2)


def round_robin_cover(num_images: int) -> tuple[Group, ...]:
    """Groups of pairs that share no image, every ordered pair in exactly one: a tournament there and back.

    One image stays, the others move round a circle (with odd n, who meets the empty seat rests). All weights
    of this cover are 1, so that their sum, the number of groups, is the fractional chromatic number.

    Args:
        num_images: n, at least 2.

    Returns:
        2(n-1) groups of n/2 pairs for even n, 2n groups of (n-1)/2 pairs for odd n.

    Raises:
        ValueError: for fewer than two images.

    Example:
        >>> round_robin_cover(2)
        (((0, 1),), ((1, 0),))
    """
    n = int(check_whole("num_images", num_images, 2, "a pair needs two images"))
    seats = n + n % 2
    groups = []
    for turn in range(seats - 1):
        circle = [(turn + step) % (seats - 1) for step in range(seats - 1)]
        meets = [(circle[0], seats - 1)] + [(circle[i], circle[-i]) for i in range(1, seats // 2)]
        played = tuple((a, b) for a, b in meets if b < n)
        groups += [played, tuple((b, a) for a, b in played)]
    return tuple(groups)


def stuck_groups() -> GreedyGroups:
    """Six images on which the proof of Lemma 8 gets stuck: six groups are taken, ten are needed.

    The groups match {0, 1, 2} with {3, 4, 5} in every way, there and back. After each, every image occurs
    equally often in the pairs that remain, as the proof says. In the end each image is left with the two
    others of its half: three pairs that share no image would need an even half.
    """
    rounds = [tuple((i, 3 + (i + shift) % 3) for i in range(3)) for shift in range(3)]
    groups = tuple(group for one in rounds for group in (one, tuple((b, a) for a, b in one)))
    taken = set(itertools.chain.from_iterable(groups))
    return GreedyGroups(groups, tuple(pair for pair in ordered_pairs(6) if pair not in taken))


def greedy_groups(num_images: int, seed: int) -> GreedyGroups:
    """Take full groups in random order, as the proof of Lemma 8 does, until none is left.

    Args:
        num_images: n, even, from 2 to 8: all groups are listed.
        seed: of the order; each group is drawn from all that can still be taken.

    Raises:
        ValueError: for another number of images.
    """
    if num_images not in (2, 4, 6, 8):
        raise ValueError(f"num_images must be 2, 4, 6 or 8, got {num_images}")
    rng = np.random.default_rng(seed)
    number = {pair: bit for bit, pair in enumerate(ordered_pairs(num_images))}
    full = [
        tuple(pair if forward else pair[::-1] for pair, forward in zip(matching, ways, strict=True))
        for matching in _matchings(tuple(range(num_images)))
        for ways in itertools.product((True, False), repeat=num_images // 2)
    ]
    holds = np.zeros((len(full), len(number)), bool)
    for row, group in enumerate(full):
        holds[row, [number[pair] for pair in group]] = True
    taken = []
    free = np.arange(len(full))
    used = np.zeros(len(number), bool)
    while len(free):
        chosen = int(rng.choice(free))
        taken.append(full[chosen])
        used |= holds[chosen]
        free = free[~(holds[free] & holds[chosen]).any(1)]
    return GreedyGroups(tuple(taken), tuple(pair for pair, bit in number.items() if not used[bit]))


def _matchings(images: tuple[int, ...]) -> list[Group]:
    """All ways to put an even number of images into pairs."""
    if not images:
        return [()]
    first, *others = images
    return [
        ((first, other), *rest)
        for other in others
        for rest in _matchings(tuple(i for i in others if i != other))
    ]
