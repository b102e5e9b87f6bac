"""A network's picture in inches: boxes and arrows of a grid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aucseg.plots.diagram.labels import Label
from aucseg.plots.diagram.layout import Grid
from aucseg.plots.diagram.routing import PORT, Net, Route, slots

# Room for the labels of rows, between boxes, between arrows side by side, and for the head of an arrow.
_LEFT, _ROOM, _BETWEEN, _HEAD = 0.46, 0.12, 0.053, 0.03
# Room between lanes, and more of it between rows; the least height of a lane.
_LANES, _ROWS, _LEAST = 0.09, 0.06, 0.26
_PORTS = 0.072

Turns = dict[Net, tuple[list[float], list[float]]]


class Frame(NamedTuple):
    """Edges of a rectangle; upper is the smaller one.

    Attributes:
        left: least x.
        right: greatest x.
        upper: least y.
        lower: greatest y.
    """

    left: float
    right: float
    upper: float
    lower: float


class Inches:
    """Sizes of the columns, lanes and the channels between them, from what is in them.

    x runs to the right and y downwards.

    Args:
        grid: cells of the boxes.
        ways: of the arrows.
        labels: of the boxes.
    """

    def __init__(self, grid: Grid, ways: Sequence[Route], labels: Mapping[str, Label]) -> None:
        self._grid, self._labels = grid, labels
        channels, tracks = _turns(ways)
        self._beside = {channel: slots(found) for channel, found in channels.items()}
        self._above = {track: slots(found) for track, found in tracks.items()}
        self._set_columns()
        self._set_lanes()

    def _set_columns(self) -> None:
        self._middles: list[float] = []
        self._channels: list[float] = []
        at = _LEFT
        for column in range(1 + max(place.column for place in self._grid.places.values())):
            width = max(
                self._labels[name].width
                for name, place in self._grid.places.items()
                if place.column == column
            )
            self._channels.append(at + _ROOM / 2)
            if column:
                at += _ROOM + _HEAD + _BETWEEN * _count(self._beside.get(column))
            self._middles.append(at + width / 2)
            at += width
        #: Width of it all.
        self.width = at + _ROOM / 2

    def _set_lanes(self) -> None:
        self._tops: list[float] = []
        self._heights: list[float] = []
        self._tracks: list[float] = []
        at, strides = 0.0, self._grid.strides
        for lane in range(len(strides) + 1):
            border = 0 < lane < len(strides) and strides[lane] != strides[lane - 1]
            count = _count(self._above.get(lane))
            room = _LANES + _BETWEEN * count + (_ROWS if border else 0)
            self._tracks.append(at + (room - _BETWEEN * (count - 1)) / 2)
            at += room
            if lane < len(strides):
                places = self._grid.places.items()
                heights = [self._labels[name].height for name, place in places if place.first == lane]
                self._tops.append(at)
                self._heights.append(max([_LEAST, *heights]))
                at += self._heights[-1]
        #: Height of it all.
        self.height = at

    def middle(self, lane: int) -> float:
        """The y of the middle of a lane."""
        return self._tops[lane] + self._heights[lane] / 2

    def frame(self, name: str) -> Frame:
        """The box of a block. A box of several lanes has its text in the first."""
        place, label = self._grid.places[name], self._labels[name]
        x, y = self._middles[place.column], self.middle(place.first)
        lower = y + label.height / 2
        if place.last > place.first:
            lower = self._tops[place.last] + self._heights[place.last]
        return Frame(x - label.width / 2, x + label.width / 2, y - label.height / 2, lower)

    def row(self, first: int, last: int) -> tuple[float, float]:
        """Upper and lower edge of a row from one lane to another."""
        upper = self._tops[first] - (_LANES + _ROWS) / 2 if first else 0.0
        if last + 1 == len(self._tops):
            return upper, self.height
        return upper, self._tops[last + 1] - (_LANES + _ROWS) / 2

    def points(self, way: Route) -> list[tuple[float, float]]:
        """Where an arrow starts, bends and ends."""
        source, target = self.frame(way.source), self.frame(way.target)
        if way.upright:
            x = self._middles[self._grid.places[way.source].column]
            ends = (
                (source.lower, target.upper) if source.upper < target.upper else (source.upper, target.lower)
            )
            return [(x, y) for y in ends]
        bends = [
            (self._channels[channel] + _BETWEEN * self._beside[channel][way.net], self._y(height, way.net))
            for channel, height in way.bends
        ]
        return [
            (source.right, self._y(way.start, way.net)),
            *bends,
            (target.left, self._y(way.end, way.net)),
        ]

    def _y(self, height: float, net: Net) -> float:
        lane = int(height)
        if height == lane:
            return self._tracks[lane] + _BETWEEN * self._above[lane][net]
        return self.middle(lane) + (height - lane - 0.5) / PORT * _PORTS


def _turns(ways: Sequence[Route]) -> tuple[dict[int, Turns], dict[int, Turns]]:
    """Heights at which nets come into each channel and leave it, and the same of tracks between lanes."""
    channels: dict[int, Turns] = defaultdict(dict)
    tracks: dict[int, Turns] = defaultdict(dict)
    for way in ways:
        for (channel, come), (_, go) in zip(way.bends[::2], way.bends[1::2], strict=True):
            into = channels[channel].setdefault(way.net, ([], []))
            into[0].append(come)
            into[1].append(go)
        for (left, height), (right, _) in zip(way.bends[1::2], way.bends[2::2], strict=False):
            if height % 1 == 0:
                along = tracks[int(height)].setdefault(way.net, ([], []))
                along[0].append(left)
                along[1].append(right)
    return channels, tracks


def _count(found: Mapping[Net, int] | None) -> int:
    """How many places side by side there are."""
    return 1 + max(found.values()) if found else 0
