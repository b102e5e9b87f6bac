"""Where the objects stand: a place on the ground for each, protected classes first."""

from __future__ import annotations

from functools import partial

from aucseg.streets import labels as L
from aucseg.streets.stage import Item
from aucseg.streets.traffic import Traffic


class Composer(Traffic):
    """Fills a street with objects; the arguments are those of ``Places``."""

    def compose(self) -> list[Item]:
        """All objects, from far to near."""
        present = self.street.present
        for label, place in (
            (L.TRAIN, self._train), (L.BUS, self._bus), (L.TRUCK, self._truck), (L.RIDER, self._riders),
            (L.MOTORCYCLE, self._motorcycles), (L.BICYCLE, self._bicycles), (L.SIGNAL, self._signals),
            (L.SIGN, self._signs), (L.PERSON, self._persons), (L.CAR, self._cars), (L.POLE, self._poles),
            (L.VEGETATION, self._trees),
        ):  # fmt: skip
            if label in present:
                place()
        self._clutter()
        return sorted(self.crowd.items, key=lambda item: -item.z)

    # two wheels

    def _cycle(self, kind: str, low: float, high: float, ridden: bool) -> Item:
        z = self._depth(low, high)
        side_view = self.draw.chance(0.45)
        squeeze = self.draw.uniform(0.75, 1.0) if side_view else self.draw.uniform(0.18, 0.55)
        length = 1.9 if kind == "motorcycle" else 1.75
        if ridden:
            side, sign = self._side()
            limit = 0.42 * self.crowd.width * z / self.camera.focal
            x = sign * min(max(side.kerb - self.draw.uniform(0.5, 3.2), 0.0), limit)
        elif kind == "motorcycle" and self.draw.chance(0.4):
            x = self._kerbside(z, -0.6)
        else:
            x = self._pavement(z)
        turn = 1 if self.draw.chance(0.5) else -1
        parts = frozenset({L.RIDER}) if ridden else frozenset()
        size = (length * squeeze, 1.75 if ridden else 1.1, 0.5)
        return Item(kind, x, z, size, self.draw.units(12), turn, parts=parts)

    def _riders(self) -> None:
        mounts = (("bicycle", L.BICYCLE), ("motorcycle", L.MOTORCYCLE))
        kinds = [kind for kind, label in mounts if label in self.street.present]
        count = 1 + self.draw.chance(0.35) + self.draw.chance(0.15)
        for _ in range(count):
            self.crowd.place(partial(self._cycle, self.draw.pick(kinds), 13.0, 42.0, True), True, 8)

    def _has(self, kind: str) -> bool:
        return any(item.kind == kind for item in self.crowd.items)

    def _motorcycles(self) -> None:
        if not self._has("motorcycle") or self.draw.chance(0.3):
            for _ in range(1 + self.draw.chance(0.3)):
                self.crowd.place(lambda: self._cycle("motorcycle", 13.0, 38.0, False), True, 8)

    def _bicycles(self) -> None:
        if self._has("bicycle") and self.draw.chance(0.45):
            return
        first = self._cycle("bicycle", 11.0, 36.0, False)
        self.crowd.place(lambda: self._cycle("bicycle", 11.0, 36.0, False), True, 8)
        for k in range(self.draw.integer(0, 2)):  # a row of parked bicycles
            near = self.crowd.items[-1]

            def beside(near: Item = near, k: int = k) -> Item:
                r = self.draw.units(12)
                x, z = near.x + self.draw.uniform(-0.3, 0.3), near.z + self.draw.uniform(0.6, 1.6) * (k + 1)
                return Item("bicycle", x, z, first.size, r, near.turn)

            self.crowd.place(beside, False, 2)

    # what stands on poles

    def _post(
        self, low: float, high: float, heights: tuple[float, float], width: float, label: int | None
    ) -> Item:
        z = self._depth(low, high)
        height = self.draw.uniform(*heights)
        parts = {label} if label is not None else set()
        if L.POLE in self.street.present:
            parts.add(L.POLE)
        x = self._kerbside(z, self.draw.uniform(0.35, 0.8))
        return Item("pole", x, z, (width, height, 0.3), self.draw.units(12), parts=frozenset(parts))

    def _signals(self) -> None:
        for _ in range(self.draw.integer(1, 3)):
            self.crowd.place(lambda: self._post(15.5, 48.0, (3.2, 5.6), 0.13, L.SIGNAL), True, 5)

    def _signs(self) -> None:
        for _ in range(self.draw.integer(1, 4)):
            self.crowd.place(lambda: self._post(13.0, 48.0, (2.4, 3.4), 0.08, L.SIGN), True, 5)

    def _poles(self) -> None:
        for _ in range(self.draw.integer(1, 3)):
            self.crowd.place(lambda: self._post(14.0, 55.0, (5.0, 8.0), 0.15, None), False, 3)
        if self.draw.chance(0.25):  # a row of bollards
            x = self._kerbside(12.0, 0.4)
            start = self.draw.uniform(9.0, 16.0)
            for k in range(self.draw.integer(2, 6)):
                z = start + 1.8 * k
                parts = frozenset({L.POLE})
                self.crowd.add(Item("pole", x, z, (0.15, 0.95, 0.2), self.draw.units(12), parts=parts), False)

    def _persons(self) -> None:
        count = 1 + int(6.0 * self.draw.unit() * self.draw.unit() + self.draw.unit())

        def make() -> Item:
            z = self._depth(8.5, 48.0)
            if self.draw.chance(0.8):
                x = self._pavement(z)
            else:
                x = self.draw.uniform(-self.street.left.kerb, self.street.right.kerb)
            child = self.draw.chance(0.1)
            height = self.draw.uniform(1.1, 1.4) if child else self.draw.uniform(1.6, 1.9)
            turn = 1 if self.draw.chance(0.5) else -1
            return Item("person", x, z, (0.6, height, 0.3), self.draw.units(12), turn)

        for k in range(count):
            first = k == 0
            if not self.crowd.place(make, first, 6):
                continue
            if self.draw.chance(0.3):  # company
                near = self.crowd.items[-1]
                x, z = near.x + self.draw.uniform(0.5, 0.8), near.z + self.draw.uniform(-0.4, 0.4)
                size = (0.6, near.size[1] * self.draw.uniform(0.92, 1.06), 0.3)
                item = Item("person", x, z, size, self.draw.units(12), near.turn)
                if self.crowd.trouble(item, False) < 1.0:
                    self.crowd.add(item, False)

    # greenery and things without a name

    def _trees(self) -> None:
        draw = self.draw
        for side, sign in ((self.street.left, -1.0), (self.street.right, 1.0)):
            if not draw.chance(0.7):
                continue
            z = draw.uniform(9.0, 24.0)
            step = draw.uniform(7.0, 16.0)
            lateral = side.kerb + draw.uniform(0.6, max(side.back - side.kerb, 1.0))
            size = draw.uniform(3.5, 7.5)
            while z < min(self.street.end, 75.0):
                wide = size * draw.uniform(0.8, 1.2)
                item = Item(
                    "tree",
                    sign * lateral,
                    z,
                    (wide, wide * draw.uniform(1.15, 1.7) + 1.0, 1.0),
                    draw.units(12),
                )
                if self.crowd.trouble(item, False) < 1.0:
                    self.crowd.add(item, False)
                z += step * draw.uniform(0.8, 1.3)
        for _ in range(draw.integer(0, 3)):
            z = self._depth(9.0, 40.0)
            item = Item(
                "tree",
                self._pavement(z),
                z,
                (draw.uniform(1.0, 2.4), draw.uniform(0.7, 1.8), 1.0),
                draw.units(12),
            )
            if self.crowd.trouble(item, False) < 1.0:
                self.crowd.add(item, False)

    def _clutter(self) -> None:
        for _ in range(self.draw.integer(0, 2)):
            z = self._depth(9.0, 35.0)
            size = (self.draw.uniform(0.5, 1.1), self.draw.uniform(0.7, 1.3), 0.5)
            item = Item("clutter", self._pavement(z), z, size, self.draw.units(4))
            if self.crowd.trouble(item, False) < 1.0:
                self.crowd.add(item, False)
