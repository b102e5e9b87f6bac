"""Ways for the arrows of a network's picture, round its boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise, permutations

from aucseg.models.structure.blocks import Structure
from aucseg.plots.diagram.layout import Grid

# What one source hands on at one stride goes one way as far as it can.
Net = tuple[str, int | None]
# All orders of so many are tried.
_TRIED = 6
#: Distance of the ports of a box in parts of a lane.
PORT = 0.05


@dataclass
class Route:
    """The way of one arrow, in lanes and columns.

    Attributes:
        source: name of the box that it leaves.
        target: name of the box that it comes to.
        net: what it carries.
        start: height at which it leaves, in lanes from the top; the middle of a lane is at one half.
        end: height at which it comes in.
        upright: whether it goes straight down or up a column, from box to box.
        bends: where it turns in between, as (channel left of which column, height).
    """

    source: str
    target: str
    net: Net
    start: float
    end: float
    upright: bool = False
    bends: list[tuple[int, float]] = field(default_factory=list)


def routes(structure: Structure, grid: Grid) -> list[Route]:
    """A way for each edge that runs through no box, and along no other's but those of the same data.

    Args:
        structure: blocks and edges.
        grid: where the blocks stand.
    """
    return _Router(structure, grid).found


class _Router:
    def __init__(self, structure: Structure, grid: Grid) -> None:
        self._places = grid.places
        self._lanes = len(grid.strides)
        self._taken: list[tuple[float, float, float, Net]] = []
        self.found: list[Route] = []
        wanted: dict[tuple[Net, str], None] = {}
        for edge in structure.edges:
            place = grid.places[edge.source]
            stride = edge.output.stride if edge.output.stride in place.rows else next(iter(place.rows))
            wanted[(edge.source, stride), edge.target] = None
        self._ends = self._ports(list(wanted))
        for net, target in sorted(wanted, key=lambda item: self._reach(*item)):
            self._route(net, target)

    def _reach(self, net: Net, target: str) -> tuple[int, int]:
        source, place = self._places[net[0]], self._places[target]
        return place.column - source.column, abs(place.first - source.rows[net[1]])

    def _start(self, net: Net) -> float:
        return self._places[net[0]].rows[net[1]] + 0.5

    def _ports(self, wanted: list[tuple[Net, str]]) -> dict[tuple[Net, str], float]:
        """Height at which each comes to its target: one after the other, those from straight ahead level."""
        nets: dict[tuple[str, int], list[Net]] = defaultdict(list)
        for net, target in wanted:
            place, start = self._places[target], self._start(net)
            if not self._below(net, target):
                lane = min(place.rows.values(), key=lambda lane: abs(lane + 0.5 - start))
                nets[target, lane].append(net)
        ends = {}
        for (target, lane), found in nets.items():
            found.sort(key=lambda net: (self._start(net), -self._places[net[0]].column))
            level = [
                i
                for i, net in enumerate(found)
                if self._start(net) == lane + 0.5 and self._free(lane, net[0], target)
            ]
            middle: float = level[0] if level else (len(found) - 1) / 2
            for i, net in enumerate(found):
                ends[net, target] = lane + 0.5 + PORT * (i - middle)
        return ends

    def _below(self, net: Net, target: str) -> bool:
        """Whether a target stands in the column of its source."""
        return self._places[net[0]].column == self._places[target].column

    def _free(self, lane: int, source: str, target: str) -> bool:
        """Whether no box is in a lane between two."""
        left, right = self._places[source].column, self._places[target].column
        return not any(
            left < place.column < right and place.first <= lane <= place.last
            for place in self._places.values()
        )

    def _route(self, net: Net, target: str) -> None:
        source, place = self._places[net[0]], self._places[target]
        start = self._start(net)
        if self._below(net, target):
            self.found.append(Route(net[0], target, net, start, place.first + 0.5, upright=True))
            return
        end = self._ends[net, target]
        out, into = source.column + 1, place.column
        lane = source.rows[net[1]]
        choices: list[list[tuple[int, float]]] = []
        if start == end and self._free(lane, net[0], target):
            choices.append([])
        if self._free(lane, net[0], target):
            choices.append([(into, start), (into, end)])
        if self._free(int(end), net[0], target):
            choices.append([(out, start), (out, end)])
        tracks = sorted(range(self._lanes + 1), key=lambda t: abs(t - start) + 1.01 * abs(t - end))
        choices += [
            [(out, start), (out, float(t)), (into, float(t)), (into, end)]
            for t in tracks
            if not any(
                out <= other.column < into and other.first < t <= other.last
                for other in self._places.values()
            )
        ]
        for bends in choices:
            flat = self._flat(net, target, start, end, bends)
            if not any(self._meets(*line, net) for line in flat):
                break
        self._taken += [(*line, net) for line in flat]
        self.found.append(Route(net[0], target, net, start, end, bends=bends))

    def _flat(
        self, net: Net, target: str, start: float, end: float, bends: list[tuple[int, float]]
    ) -> list[tuple[float, float, float]]:
        """Level pieces of a way: height, from and to; columns are whole numbers, channels a half before."""
        stops = [
            (self._places[net[0]].column + 0.0, start),
            *((channel - 0.5, height) for channel, height in bends),
            (self._places[target].column + 0.0, end),
        ]
        return [(a[1], a[0], b[0]) for a, b in pairwise(stops) if a[1] == b[1] and a[0] != b[0]]

    def _meets(self, height: float, left: float, right: float, net: Net) -> bool:
        """Whether a level piece lies on another's; in a track there is room for several."""
        return height % 1 != 0 and any(
            other != net and abs(height - h) < PORT / 2 and left < end and start < right
            for h, start, end, other in self._taken
        )


def slots(turns: Mapping[Net, tuple[list[float], list[float]]]) -> dict[Net, int]:
    """Places side by side for the upright pieces of a channel, such that few lines cross.

    Args:
        turns: for each net the heights at which it comes from the left, and at which it goes to the right.

    Returns:
        Number of the place of each net, from the left; nets that do not overlap may share one.
    """
    spans = {net: (min(left + right), max(left + right)) for net, (left, right) in turns.items()}

    def crossings(order: tuple[Net, ...]) -> int:
        return sum(
            sum(spans[b][0] <= height <= spans[b][1] for height in turns[a][1])
            + sum(spans[a][0] <= height <= spans[a][1] for height in turns[b][0])
            for i, a in enumerate(order)
            for b in order[i + 1 :]
        )

    start = tuple(sorted(turns, key=lambda net: spans[net]))
    order = min(permutations(start), key=crossings) if len(start) <= _TRIED else start
    found: dict[Net, int] = {}
    for net in order:
        beside = [
            found[other]
            for other in found
            if spans[other][0] <= spans[net][1] and spans[net][0] <= spans[other][1]
        ]
        found[net] = max(beside, default=-1) + 1
    return found
