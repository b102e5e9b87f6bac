"""Objects that stand in one another's way: which place is free, and how much would be hidden."""

from __future__ import annotations

from collections.abc import Callable

from aucseg.streets.camera import Camera
from aucseg.streets.stage import Item

Box = tuple[float, float, float, float]
_VEHICLES = ("car", "van", "truck", "bus", "train")


class Crowd:
    """Objects placed so far, in the view of a camera with unit image height.

    Args:
        camera: the camera, in units of the image's height.
        width: width of the image in the same unit.
    """

    def __init__(self, camera: Camera, width: float) -> None:
        self.camera, self.width = camera, width
        self.items: list[Item] = []
        self._boxes: list[tuple[Box, float, float, bool]] = []  # box, area, depth, protected

    def outline(self, item: Item) -> Box:
        """The bounding box of an item in the image."""
        width, height, length = item.size
        if item.across:
            width, length = length, width
        low = 0.0
        if item.kind == "tree" and height > 4.0:
            low = max(height - 1.9 * width, 1.5)
        left, right = item.x - 0.5 * width, item.x + 0.5 * width
        far = item.z + (length if item.kind in _VEHICLES and not item.across else 0.0)
        camera = self.camera
        return (
            min(camera.x(left, item.z), camera.x(left, far)), camera.y(height, item.z),
            max(camera.x(right, item.z), camera.x(right, far)), camera.y(low, item.z),
        )  # fmt: skip

    def trouble(self, item: Item, protected: bool) -> float:
        """How bad a place is: 0 is free, below 1 acceptable, above 1 not."""
        x0, y0, x1, y1 = self.outline(item)
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
            if depth < item.z:
                hidden += w * h
            elif precious:
                worst = max(worst, w * h / (0.30 * other))
        worst = max(worst, hidden / area / (0.35 if protected else 0.8))
        if item.kind == "pole" and any(
            o.kind == "pole" and abs(self.camera.x(o.x, o.z) - 0.5 * (x0 + x1)) < 0.05 for o in self.items
        ):
            worst = max(worst, 1.2)  # poles in a row hide each other
        if item.kind in _VEHICLES:
            worst = max(worst, self._crash(item))
        return worst

    def _crash(self, item: Item) -> float:
        """2 if a vehicle would stand inside another one, else 0."""
        w, _, n = item.size
        w, n = (n, w) if item.across else (w, n)
        for other in self.items:
            if other.kind not in _VEHICLES:
                continue
            ow, _, on = other.size
            ow, on = (on, ow) if other.across else (ow, on)
            if abs(item.x - other.x) < 0.5 * (w + ow) + 0.15 and (
                item.z < other.z + on + 0.6 and other.z < item.z + n + 0.6
            ):
                return 2.0
        return 0.0

    def add(self, item: Item, protected: bool) -> None:
        """Keep an item at its place."""
        box = self.outline(item)
        self.items.append(item)
        self._boxes.append((box, max((box[2] - box[0]) * (box[3] - box[1]), 1e-9), item.z, protected))

    def place(self, make: Callable[[], Item], protected: bool, tries: int) -> bool:
        """Draw places until one is acceptable; a protected item takes the best of them all."""
        best: Item | None = None
        least = 1e9
        for _ in range(tries):
            item = make()
            trouble = self.trouble(item, protected)
            if trouble < least:
                best, least = item, trouble
            if trouble < 1.0:
                break
        if best is None or (least >= 1.0 and not protected):
            return False
        self.add(best, protected)
        return True
