"""The colour table of PASCAL VOC, which other label sets without colours of their own use too."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=1)
def interleaved_palette() -> np.ndarray:
    """Colours of the labels 0 to 255, (256, 3) uint8: the label's bits dealt out to red, green and blue.

    Bit 3j of the label is bit 7 - j of red, bit 3j + 1 of green, bit 3j + 2 of blue. All colours differ.
    """
    labels = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colors[:, bit % 3] |= ((labels >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    colors.flags.writeable = False
    return colors
