r"""AUCSeg Definition 1, Eq. 13 and Lemma 8: dependent pairs of images as sums of independent ones.

Pairs that share an image depend on each other. Janson's decomposition (:func:`janson_sum`) writes a sum over
them as a weighted sum of sums of independent ones, and pays with the fractional chromatic number of the graph
of dependence (:func:`fractional_chromatic_number`, exact for small graphs by a linear programme).

Lemma 8 is about the graph of the n(n-1) ordered pairs of n images, where (i, j) and (i', j') are adjacent if
they share an image. It has the fractional chromatic number

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
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats, check_whole

MAX_SETS = 200_000
"""Maximal independent sets that a linear programme takes; ordered pairs of ten images have 30,240."""

Pair = tuple[int, int]
Group = tuple[Pair, ...]


@dataclass(frozen=True, eq=False)
class FractionalColouring:
    """A fractional chromatic number and a colouring that reaches it.

    Attributes:
        value: the number, the sum of the weights.
        sets: the independent sets of positive weight.
        weights: weight of each set, (S,).
    """

    value: float
    sets: tuple[tuple[int, ...], ...]
    weights: Floats


@dataclass(frozen=True, eq=False)
class JansonSum:
    """A sum of dependent numbers as a weighted sum of sums of independent ones (AUCSeg, Eq. 13).

    Attributes:
        total: the sum.
        parts: sum over each set of the cover, (J,).
        weights: weight of each set, (J,); ``total`` is the sum of weights times parts.
    """

    total: float
    parts: Floats
    weights: Floats


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


def fractional_chromatic_number(adjacency: ArrayLike) -> FractionalColouring:
    r"""Fractional chromatic number of a small graph (AUCSeg, Definition 1), by a linear programme.

    .. math:: \chi_f(G) = \min_{g \ge 0} \sum_I g(I)
        \quad \text{with} \quad \sum_{I \ni v} g(I) \ge 1 \text{ for all } v,

    over the maximal independent sets I.

    Args:
        adjacency: which vertices are adjacent, (V, V), symmetric, no vertex with itself.

    Returns:
        The number, with sets and weights.

    Raises:
        ValueError: if it is no graph.
        OptionError: for a graph with too many independent sets.

    Example:
        >>> cycle = np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1)
        >>> round(fractional_chromatic_number(cycle).value, 9)
        2.5
    """
    matrix = _read_graph(adjacency)
    sets = maximal_cliques(~matrix & ~np.eye(len(matrix), dtype=bool))
    solved = linprog(
        np.ones(len(sets)), A_ub=-membership(sets, len(matrix)), b_ub=-np.ones(len(matrix)), method="highs"
    )
    if not solved.success:
        raise RuntimeError(f"the linear programme found no solution: {solved.message}")
    used = np.flatnonzero(solved.x > 1e-9)
    return FractionalColouring(float(solved.fun), tuple(sets[i] for i in used), solved.x[used])


def maximal_cliques(adjacency: ArrayLike) -> list[tuple[int, ...]]:
    """All sets of vertices that are adjacent to each other and can take no other vertex, in order.

    Args:
        adjacency: which vertices are adjacent, (V, V), symmetric, no vertex with itself.

    Raises:
        ValueError: if it is no graph.
        OptionError: if there are more than ``MAX_SETS`` of them.
    """
    import networkx  # here, because a tenth of a second is long for the commands that count no cliques

    found = networkx.find_cliques(networkx.from_numpy_array(_read_graph(adjacency)))
    sets = list(itertools.islice(found, MAX_SETS + 1))
    if len(sets) > MAX_SETS:
        raise OptionError(f"more than {MAX_SETS} maximal sets: the graph is too large to be exact")
    return sorted(tuple(sorted(members)) for members in sets)


def membership(sets: Sequence[Sequence[int]], size: int) -> csr_array:
    """Which vertex is in which set, as a sparse table of ones: what a linear programme over sets takes.

    Args:
        sets: of vertices.
        size: number of vertices V.

    Returns:
        The table, (V, S).
    """
    rows = np.array([vertex for members in sets for vertex in members], np.int64)
    columns = np.repeat(np.arange(len(sets)), [len(members) for members in sets])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(size, len(sets)))


def janson_sum(values: ArrayLike, sets: Sequence[Sequence[int]], weights: ArrayLike) -> JansonSum:
    r"""Janson's decomposition of a sum on a given fractional cover (AUCSeg, Eq. 13).

    .. math:: \sum_i x_i = \sum_j \omega_j \sum_{i \in I_j} x_i

    Args:
        values: x, (m,).
        sets: the sets :math:`I_j` of positions in ``values``, each without repeats.
        weights: :math:`\omega_j` in (0, 1], one for each set.

    Returns:
        The sum and its parts.

    Raises:
        ValueError: if the weights of the sets that hold a position do not add up to one, or the shapes do
            not fit.

    Example:
        >>> janson_sum([1.0, 2.0, 4.0], [(0, 1), (1, 2), (0, 2)], [0.5, 0.5, 0.5]).parts.tolist()
        [3.0, 6.0, 5.0]
    """
    numbers, omega = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    if numbers.ndim != 1 or omega.shape != (len(sets),):
        raise ValueError(
            f"values of {numbers.shape} and {omega.shape} weights for {len(sets)} sets do not fit"
        )
    if ((omega <= 0) | (omega > 1)).any():
        raise ValueError(f"weights must be in (0, 1], got {omega[(omega <= 0) | (omega > 1)][0]:g}")
    for members in sets:
        if len(set(members)) != len(members) or not set(members) <= set(range(len(numbers))):
            raise ValueError(f"set {tuple(members)} repeats a position or leaves 0 to {len(numbers) - 1}")
    holds = membership(sets, len(numbers))
    cover = holds @ omega
    if not np.allclose(cover, 1, rtol=0, atol=1e-9):
        bad = int(np.argmax(np.abs(cover - 1)))
        raise ValueError(f"the weights on position {bad} add up to {cover[bad]:g}, and a cover needs 1")
    parts = numbers @ holds
    return JansonSum(float(omega @ parts), parts, omega)


def ordered_pairs(num_images: int) -> tuple[Pair, ...]:
    """The ordered pairs of different images: the vertices of the graph of Lemma 8.

    Args:
        num_images: n, at least 2.

    Raises:
        OptionError: for fewer than two images.
    """
    return tuple(itertools.permutations(range(_check_images(num_images)), 2))


def pair_dependency_graph(num_images: int) -> NDArray[np.bool_]:
    """Which ordered pairs share an image, in the order of :func:`ordered_pairs`.

    Args:
        num_images: n, at least 2.

    Returns:
        Adjacency, (n(n-1), n(n-1)).

    Raises:
        OptionError: for fewer than two images.
    """
    pairs = np.array(ordered_pairs(num_images))
    shared = (pairs[:, None, :, None] == pairs[None, :, None, :]).any((2, 3))
    return np.asarray(shared & ~np.eye(len(pairs), dtype=bool))


def pair_chromatic_number(num_images: int) -> int:
    """Fractional chromatic number of that graph (AUCSeg, Eq. 27): n(n-1) over floor(n/2).

    Args:
        num_images: n, at least 2.

    Raises:
        OptionError: for fewer than two images.

    Example:
        >>> pair_chromatic_number(4)
        6
    """
    n = _check_images(num_images)
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
        OptionError: for fewer than two images.

    Example:
        >>> round_robin_cover(2)
        (((0, 1),), ((1, 0),))
    """
    n = _check_images(num_images)
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
        OptionError: for another number of images.
    """
    if num_images not in (2, 4, 6, 8):
        raise OptionError(f"num_images must be 2, 4, 6 or 8, got {num_images}")
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


def _check_images(num_images: int) -> int:
    return int(check_whole("num_images", num_images, 2, "a pair needs two images"))


def _read_graph(adjacency: ArrayLike) -> NDArray[np.bool_]:
    """An adjacency matrix: symmetric, no vertex with itself."""
    matrix = np.asarray(adjacency).astype(bool)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(f"adjacency must have shape (vertices, vertices), got {matrix.shape}")
    if (matrix != matrix.T).any() or matrix.diagonal().any():
        raise ValueError("adjacency must be symmetric, and False between a vertex and itself")
    return matrix


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
