"""Small graphs, exactly: maximal cliques, and the fractional chromatic number by a linear programme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

from aucseg.theory.checks import Floats

MAX_SETS = 200_000
"""Maximal independent sets that a linear programme takes; ordered pairs of ten images have 30,240."""


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


def read_graph(adjacency: ArrayLike) -> NDArray[np.bool_]:
    """Check an adjacency matrix.

    Args:
        adjacency: which vertices are adjacent, (V, V), symmetric, no vertex with itself.

    Raises:
        ValueError: if it is none.
    """
    matrix = np.asarray(adjacency).astype(bool)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(f"adjacency must have shape (vertices, vertices), got {matrix.shape}")
    if (matrix != matrix.T).any() or matrix.diagonal().any():
        raise ValueError("adjacency must be symmetric, and False between a vertex and itself")
    return matrix


def maximal_cliques(adjacency: ArrayLike) -> list[tuple[int, ...]]:
    """All sets of vertices that are adjacent to each other and can take no other vertex (Bron-Kerbosch).

    Args:
        adjacency: which vertices are adjacent, (V, V), symmetric, no vertex with itself.

    Raises:
        ValueError: if it is no graph, or has more than ``MAX_SETS`` of them.
    """
    matrix = read_graph(adjacency)
    size = len(matrix)
    # a set of vertices is a whole number, bit v for vertex v
    near = [sum(1 << int(w) for w in np.flatnonzero(row)) for row in matrix]
    found: list[tuple[int, ...]] = []
    todo = [(0, (1 << size) - 1, 0)]
    while todo:
        clique, open_, done = todo.pop()
        if not open_:
            if not done:
                found.append(tuple(_members(clique)))
                if len(found) > MAX_SETS:
                    raise ValueError(f"more than {MAX_SETS} maximal sets: the graph is too large to be exact")
            continue
        # a neighbour of the pivot is reached through another vertex as well
        pivot = max(_members(open_ | done), key=lambda v: (near[v] & open_).bit_count())
        for v in _members(open_ & ~near[pivot]):
            todo.append((clique | 1 << v, open_ & near[v], done & near[v]))
            open_, done = open_ & ~(1 << v), done | 1 << v
    return sorted(found)


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
        ValueError: if it is no graph, or one with too many independent sets.

    Example:
        >>> cycle = np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1)
        >>> round(fractional_chromatic_number(cycle).value, 9)
        2.5
    """
    matrix = read_graph(adjacency)
    sets = maximal_cliques(~matrix & ~np.eye(len(matrix), dtype=bool))
    rows = np.concatenate([np.array(members, np.int64) for members in sets])
    columns = np.repeat(np.arange(len(sets)), [len(members) for members in sets])
    covers = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(matrix), len(sets)))
    solved = linprog(np.ones(len(sets)), A_ub=-covers, b_ub=-np.ones(len(matrix)), method="highs")
    if not solved.success:
        raise RuntimeError(f"the linear programme found no solution: {solved.message}")
    used = np.flatnonzero(solved.x > 1e-9)
    return FractionalColouring(float(solved.fun), tuple(sets[i] for i in used), solved.x[used])


def _members(bits: int) -> list[int]:
    return [v for v in range(bits.bit_length()) if bits >> v & 1]
