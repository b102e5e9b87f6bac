"""Places on the ground: lanes, kerbs and pavements that are in view at a depth."""

from __future__ import annotations

from aucseg.streets.camera import Camera
from aucseg.streets.crowd import Crowd
from aucseg.streets.draw import Draw
from aucseg.streets.stage import Item
from aucseg.streets.street import Side, Street


class Places:
    """Draws places on a street for a growing crowd of objects.

    Args:
        draw: draws of the image.
        street: the street.
        camera: the camera, in units of the image's height.
        width: width of the image in the same unit.
    """

    def __init__(self, draw: Draw, street: Street, camera: Camera, width: float) -> None:
        self.draw, self.street, self.camera = draw, street, camera
        self.crowd = Crowd(camera, width)

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

    def _vehicle(self, kind: str, x: float, z: float, size: tuple[float, float, float], **how: bool) -> Item:
        across = bool(how.get("across"))
        turn = 1 if self.draw.chance(0.5) else -1
        return Item(kind, x, z, size, self.draw.units(10), turn, across, bool(how.get("toward")))
