"""Where things stand: a place on the ground for each, so that none that matters is hidden."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aucseg.streets.camera import Camera
from aucseg.streets.canvas import TrainId
from aucseg.streets.draw import Draw
from aucseg.streets.stage import Thing
from aucseg.streets.street import Side, Street

Outline = tuple[float, float, float, float]
_VEHICLES = ("car", "van", "truck", "bus", "train")


class Crowd:
    """Objects placed so far, in the view of a camera with unit image height.

    Args:
        camera: the camera, in units of the image's height.
        width: width of the image in the same unit.
    """

    def __init__(self, camera: Camera, width: float) -> None:
        self.camera, self.width = camera, width
        self.things: list[Thing] = []
        self._boxes: list[tuple[Outline, float, float, bool]] = []  # box, area, depth, protected

    def outline(self, thing: Thing) -> Outline:
        """The bounding box of an thing in the image."""
        width, height, length = thing.size
        if thing.across:
            width, length = length, width
        low = 0.0
        if thing.kind == "tree" and height > 4.0:
            low = max(height - 1.9 * width, 1.5)
        left, right = thing.x - 0.5 * width, thing.x + 0.5 * width
        far = thing.z + (length if thing.kind in _VEHICLES and not thing.across else 0.0)
        camera = self.camera
        return (
            min(camera.x(left, thing.z), camera.x(left, far)), camera.y(height, thing.z),
            max(camera.x(right, thing.z), camera.x(right, far)), camera.y(low, thing.z),
        )  # fmt: skip

    def trouble(self, thing: Thing, protected: bool) -> float:
        """How bad a place is: 0 is free, below 1 acceptable, above 1 not."""
        x0, y0, x1, y1 = self.outline(thing)
        area = max((x1 - x0) * (y1 - y0), 1e-9)
        seen = max(min(x1, self.width) - max(x0, 0.0), 0.0) * max(min(y1, 0.93) - max(y0, 0.0), 0.0)
        worst = (1.0 - seen / area) / (0.45 if protected else 0.9)
        hidden = 0.0
        for (a0, b0, a1, b1), other, depth, precious in self._boxes:
            w = min(x1, a1) - max(x0, a0)
            if w <= 0.0:
                continue
            h = min(y1, b1) - max(y0, b0)
            if h <= 0.0:
                continue
            if depth < thing.z:
                hidden += w * h
            elif precious:
                worst = max(worst, w * h / (0.30 * other))
        worst = max(worst, hidden / area / (0.35 if protected else 0.8))
        if thing.kind == "pole" and any(
            o.kind == "pole" and abs(self.camera.x(o.x, o.z) - 0.5 * (x0 + x1)) < 0.05 for o in self.things
        ):
            worst = max(worst, 1.2)  # poles in a row hide each other
        if thing.kind in _VEHICLES:
            worst = max(worst, self._crash(thing))
        return worst

    def _crash(self, thing: Thing) -> float:
        """2 if a vehicle would stand inside another one, else 0."""
        w, _, n = thing.size
        w, n = (n, w) if thing.across else (w, n)
        for other in self.things:
            if other.kind not in _VEHICLES:
                continue
            ow, _, on = other.size
            ow, on = (on, ow) if other.across else (ow, on)
            if abs(thing.x - other.x) < 0.5 * (w + ow) + 0.15 and (
                thing.z < other.z + on + 0.6 and other.z < thing.z + n + 0.6
            ):
                return 2.0
        return 0.0

    def add(self, thing: Thing, protected: bool) -> None:
        """Keep an thing at its place."""
        box = self.outline(thing)
        self.things.append(thing)
        self._boxes.append((box, max((box[2] - box[0]) * (box[3] - box[1]), 1e-9), thing.z, protected))

    def place(self, make: Callable[[], Thing], protected: bool, tries: int) -> bool:
        """Draw places until one is acceptable; a protected thing takes the best of them all."""
        best: Thing | None = None
        least = 1e9
        for _ in range(tries):
            thing = make()
            trouble = self.trouble(thing, protected)
            if trouble < least:
                best, least = thing, trouble
            if trouble < 1.0:
                break
        if best is None or (least >= 1.0 and not protected):
            return False
        self.add(best, protected)
        return True


class Composer:
    """Fills a street with things, protected classes first.

    Args:
        draw: draws of the image.
        street: the street.
        camera: the camera, in units of the image's height.
        width: width of the image in the same unit.
    """

    def __init__(self, draw: Draw, street: Street, camera: Camera, width: float) -> None:
        self.draw, self.street, self.camera = draw, street, camera
        self.crowd = Crowd(camera, width)

    def compose(self) -> list[Thing]:
        """All objects, from far to near."""
        present = self.street.present
        for label, place in (
            (TrainId.TRAIN, self._train),
            (TrainId.BUS, self._bus),
            (TrainId.TRUCK, self._truck),
            (TrainId.RIDER, self._riders),
            (TrainId.MOTORCYCLE, self._motorcycles),
            (TrainId.BICYCLE, self._bicycles),
            (TrainId.SIGNAL, self._signals),
            (TrainId.SIGN, self._signs),
            (TrainId.PERSON, self._persons),
            (TrainId.CAR, self._cars),
            (TrainId.POLE, self._poles),
            (TrainId.VEGETATION, self._trees),
        ):
            if label in present:
                place()
        self._clutter()
        return sorted(self.crowd.things, key=lambda thing: -thing.z)

    # places on the ground that are in view

    def _depth(self, low: float, high: float) -> float:
        """A depth, nearer ones more likely (uniform in apparent size)."""
        return 1.0 / self.draw.uniform(1.0 / high, 1.0 / low)

    def _side(self) -> tuple[Side, float]:
        if self.draw.chance(0.5):
            return self.street.left, -1.0
        return self.street.right, 1.0

    def _gap(self, length: float) -> float:
        """How far to either side a vehicle may stand on the crossing street without meeting a house."""
        return max(min(self.street.left.back, self.street.right.back) + 0.8 - 0.5 * length, 0.0)

    def _kerbside(self, z: float, inset: float = 0.45) -> float:
        """A lateral position just outside a kerb that is in view at depth z."""
        side, sign = self._side()
        if self.camera.focal * (side.kerb + inset) / z > 0.46 * self.crowd.width:
            sign = -sign
            side = self.street.left if sign < 0 else self.street.right
        return sign * (side.kerb + inset)

    def _pavement(self, z: float) -> float:
        """A lateral position on a pavement or verge, in view at depth z if possible."""
        side, sign = self._side()
        limit = 0.47 * self.crowd.width * z / self.camera.focal
        low, high = side.kerb + 0.3, max(side.back - 0.3, side.kerb + 0.8)
        high = min(high, max(limit, low))
        return sign * self.draw.uniform(low, high)

    def _vehicle(self, kind: str, x: float, z: float, size: tuple[float, float, float], **how: bool) -> Thing:
        across = bool(how.get("across"))
        turn = 1 if self.draw.chance(0.5) else -1
        return Thing(kind, x, z, size, self.draw.units(10), turn, across, bool(how.get("toward")))

    # vehicles in their lanes, at the kerb and on the crossing street

    def _large(
        self, kind: str, low: float, high: float, sizes: tuple[tuple[float, float], ...], parked: float
    ) -> None:
        """One large vehicle in a lane, at the kerb or on the crossing street."""

        def make() -> Thing:
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

    def _car(self, x: float, z: float, toward: bool, across: bool = False) -> Thing:
        if self.draw.chance(0.14):
            size = (self.draw.uniform(1.9, 2.05), self.draw.uniform(2.0, 2.6), self.draw.uniform(4.8, 6.0))
            return self._vehicle("van", x, z, size, toward=toward, across=across)
        size = (self.draw.uniform(1.7, 1.9), self.draw.uniform(1.4, 1.68), self.draw.uniform(3.8, 4.8))
        return self._vehicle("car", x, z, size, toward=toward, across=across)

    def _cars(self) -> None:
        draw, street = self.draw, self.street

        def driving() -> Thing:
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
                thing = self._car(sign * (side.kerb - 1.05), z, toward)
                crossing = street.crossing
                inside = crossing is not None and crossing[0] - 9.0 < z < crossing[1] + 2.0
                if draw.chance(full) and not inside and self.crowd.trouble(thing, False) < 1.0:
                    self.crowd.add(thing, False)
                z += thing.size[2] + draw.uniform(0.8, 2.4)

    # two wheels

    def _cycle(self, kind: str, low: float, high: float, ridden: bool) -> Thing:
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
        parts = frozenset({TrainId.RIDER}) if ridden else frozenset()
        size = (length * squeeze, 1.75 if ridden else 1.1, 0.5)
        return Thing(kind, x, z, size, self.draw.units(12), turn, parts=parts)

    def _riders(self) -> None:
        mounts = (("bicycle", TrainId.BICYCLE), ("motorcycle", TrainId.MOTORCYCLE))
        kinds = [kind for kind, label in mounts if label in self.street.present]
        count = 1 + self.draw.chance(0.35) + self.draw.chance(0.15)
        for _ in range(count):
            self.crowd.place(partial(self._cycle, self.draw.pick(kinds), 13.0, 42.0, True), True, 8)

    def _has(self, kind: str) -> bool:
        return any(thing.kind == kind for thing in self.crowd.things)

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
            near = self.crowd.things[-1]

            def beside(near: Thing = near, k: int = k) -> Thing:
                r = self.draw.units(12)
                x, z = near.x + self.draw.uniform(-0.3, 0.3), near.z + self.draw.uniform(0.6, 1.6) * (k + 1)
                return Thing("bicycle", x, z, first.size, r, near.turn)

            self.crowd.place(beside, False, 2)

    # what stands on poles

    def _post(
        self, low: float, high: float, heights: tuple[float, float], width: float, label: int | None
    ) -> Thing:
        z = self._depth(low, high)
        height = self.draw.uniform(*heights)
        parts = {label} if label is not None else set()
        if TrainId.POLE in self.street.present:
            parts.add(TrainId.POLE)
        x = self._kerbside(z, self.draw.uniform(0.35, 0.8))
        return Thing("pole", x, z, (width, height, 0.3), self.draw.units(12), parts=frozenset(parts))

    def _signals(self) -> None:
        for _ in range(self.draw.integer(1, 3)):
            self.crowd.place(lambda: self._post(15.5, 48.0, (3.2, 5.6), 0.13, TrainId.SIGNAL), True, 5)

    def _signs(self) -> None:
        for _ in range(self.draw.integer(1, 4)):
            self.crowd.place(lambda: self._post(13.0, 48.0, (2.4, 3.4), 0.08, TrainId.SIGN), True, 5)

    def _poles(self) -> None:
        for _ in range(self.draw.integer(1, 3)):
            self.crowd.place(lambda: self._post(14.0, 55.0, (5.0, 8.0), 0.15, None), False, 3)
        if self.draw.chance(0.25):  # a row of bollards
            x = self._kerbside(12.0, 0.4)
            start = self.draw.uniform(9.0, 16.0)
            for k in range(self.draw.integer(2, 6)):
                z = start + 1.8 * k
                parts = frozenset({TrainId.POLE})
                self.crowd.add(
                    Thing("pole", x, z, (0.15, 0.95, 0.2), self.draw.units(12), parts=parts), False
                )

    def _persons(self) -> None:
        count = 1 + int(6.0 * self.draw.unit() * self.draw.unit() + self.draw.unit())

        def make() -> Thing:
            z = self._depth(8.5, 48.0)
            if self.draw.chance(0.8):
                x = self._pavement(z)
            else:
                x = self.draw.uniform(-self.street.left.kerb, self.street.right.kerb)
            child = self.draw.chance(0.1)
            height = self.draw.uniform(1.1, 1.4) if child else self.draw.uniform(1.6, 1.9)
            turn = 1 if self.draw.chance(0.5) else -1
            return Thing("person", x, z, (0.6, height, 0.3), self.draw.units(12), turn)

        for k in range(count):
            first = k == 0
            if not self.crowd.place(make, first, 6):
                continue
            if self.draw.chance(0.3):  # company
                near = self.crowd.things[-1]
                x, z = near.x + self.draw.uniform(0.5, 0.8), near.z + self.draw.uniform(-0.4, 0.4)
                size = (0.6, near.size[1] * self.draw.uniform(0.92, 1.06), 0.3)
                thing = Thing("person", x, z, size, self.draw.units(12), near.turn)
                if self.crowd.trouble(thing, False) < 1.0:
                    self.crowd.add(thing, False)

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
                thing = Thing(
                    "tree",
                    sign * lateral,
                    z,
                    (wide, wide * draw.uniform(1.15, 1.7) + 1.0, 1.0),
                    draw.units(12),
                )
                if self.crowd.trouble(thing, False) < 1.0:
                    self.crowd.add(thing, False)
                z += step * draw.uniform(0.8, 1.3)
        for _ in range(draw.integer(0, 3)):
            z = self._depth(9.0, 40.0)
            thing = Thing(
                "tree",
                self._pavement(z),
                z,
                (draw.uniform(1.0, 2.4), draw.uniform(0.7, 1.8), 1.0),
                draw.units(12),
            )
            if self.crowd.trouble(thing, False) < 1.0:
                self.crowd.add(thing, False)

    def _clutter(self) -> None:
        for _ in range(self.draw.integer(0, 2)):
            z = self._depth(9.0, 35.0)
            size = (self.draw.uniform(0.5, 1.1), self.draw.uniform(0.7, 1.3), 0.5)
            thing = Thing("clutter", self._pavement(z), z, size, self.draw.units(4))
            if self.crowd.trouble(thing, False) < 1.0:
                self.crowd.add(thing, False)
