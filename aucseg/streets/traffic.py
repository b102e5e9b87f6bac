"""Vehicles in their lanes, at the kerb and on the crossing street."""

from __future__ import annotations

from aucseg.streets.places import Places
from aucseg.streets.stage import Item


class Traffic(Places):
    """Places large vehicles, one of each class that is present, and cars."""

    def _large(
        self, kind: str, low: float, high: float, sizes: tuple[tuple[float, float], ...], parked: float
    ) -> None:
        """One large vehicle in a lane, at the kerb or on the crossing street."""

        def make() -> Item:
            z = self._depth(low, high)
            wide, tall, long = (self.draw.uniform(a, b) for a, b in sizes)
            size = (wide, tall, long)
            way = self.draw.unit()
            if self.street.crossing is not None and way < 0.35 and kind != "train":
                z = self.draw.uniform(self.street.crossing[0] + 1.0, self.street.crossing[1] - size[0])
                reach = self._gap(size[2])
                return self._vehicle(kind, self.draw.uniform(-reach, reach), z, size, across=True)
            if kind == "train":
                x = self.street.tracks if self.street.tracks is not None else 0.0
                return self._vehicle(kind, x, z, size, toward=self.draw.chance(0.6))
            if self.draw.chance(parked):
                side, sign = self._side()
                x = sign * (side.kerb - 0.5 * size[0] - 0.2)
                return self._vehicle(kind, x, z, size, toward=sign < 0 and self.draw.chance(0.6))
            if self.draw.chance(0.55):
                return self._vehicle(kind, self.draw.uniform(-0.3, 0.5), z, size)
            return self._vehicle(kind, self.draw.uniform(-3.9, -3.2), z, size, toward=True)

        self.crowd.place(make, True, 10)

    def _train(self) -> None:
        self._large("train", 17.0, 36.0, ((2.35, 2.6), (3.2, 3.6), (20.0, 34.0)), 0.0)

    def _bus(self) -> None:
        self._large("bus", 20.0, 56.0, ((2.4, 2.6), (2.9, 3.4), (10.0, 17.0)), 0.25)

    def _truck(self) -> None:
        for _ in range(2 if self.draw.chance(0.2) else 1):
            self._large("truck", 21.0, 60.0, ((2.2, 2.6), (2.8, 3.8), (6.0, 12.0)), 0.45)

    def _car(self, x: float, z: float, toward: bool, across: bool = False) -> Item:
        if self.draw.chance(0.14):
            size = (self.draw.uniform(1.9, 2.05), self.draw.uniform(2.0, 2.6), self.draw.uniform(4.8, 6.0))
            return self._vehicle("van", x, z, size, toward=toward, across=across)
        size = (self.draw.uniform(1.7, 1.9), self.draw.uniform(1.4, 1.68), self.draw.uniform(3.8, 4.8))
        return self._vehicle("car", x, z, size, toward=toward, across=across)

    def _cars(self) -> None:
        draw, street = self.draw, self.street

        def driving() -> Item:
            z = self._depth(7.5, 36.0)
            way = draw.unit()
            if street.crossing is not None and way < 0.3:
                z = draw.uniform(street.crossing[0] + 0.5, street.crossing[1] - 2.0)
                reach = self._gap(4.8)
                return self._car(draw.uniform(-reach, reach), z, False, True)
            if way < 0.65:
                return self._car(draw.uniform(-0.4, 0.6), z, False)
            return self._car(draw.uniform(-4.2, -3.2), z, True)

        self.crowd.place(driving, True, 8)
        for _ in range(draw.integer(0, 4)):
            self.crowd.place(driving, False, 3)
        for side, sign in ((street.left, -1.0), (street.right, 1.0)):
            if side.kerb < 2.8 or not draw.chance(0.8):
                continue
            z = draw.uniform(5.0, 16.0)
            full = draw.uniform(0.6, 1.0)
            toward = sign < 0 and draw.chance(0.5)
            while z < 60.0:
                item = self._car(sign * (side.kerb - 1.05), z, toward)
                crossing = street.crossing
                inside = crossing is not None and crossing[0] - 9.0 < z < crossing[1] + 2.0
                if draw.chance(full) and not inside and self.crowd.trouble(item, False) < 1.0:
                    self.crowd.add(item, False)
                z += item.size[2] + draw.uniform(0.8, 2.4)
