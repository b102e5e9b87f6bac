"""Few images that together hold every class."""

from __future__ import annotations

import numpy as np

from aucseg.errors import OptionError


def greedy_cover(presence: np.ndarray, needed: np.ndarray) -> list[int]:
    """Images that hold all needed classes, each time the one with the most that are still missing.

    At most ln(C) + 1 times as many as the smallest such set. Of two equally good images the first is taken,
    so the cover of what the first image leaves is the rest of the list: samplers rely on it.

    Args:
        presence: which image holds which class, (N, K) bool.
        needed: the classes to hold, (K,) bool.

    Raises:
        ValueError: if a needed class is in no image.
    """
    by_class = presence.T
    open_ = needed.copy()
    gain = by_class[open_].sum(0, dtype=np.int16)
    chosen = []
    while open_.any():
        best = int(gain.argmax())
        if not gain[best]:
            raise OptionError(f"class {int(np.flatnonzero(open_)[0])} is in no image: no batch can hold it")
        chosen.append(best)
        gain -= by_class[open_ & presence[best]].sum(0, dtype=np.int16)
        open_ &= ~presence[best]
    return chosen
