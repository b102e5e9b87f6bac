"""How large a batch must be to hold every class, against how rare the rarest class is."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aucseg.longtail.tally import Tally
from aucseg.plots.style import ARM_COLORS
from aucseg.theory import batch_sizes, proposition1


def batch_size_curves(sets: Mapping[str, Tally], delta: float) -> Figure:
    """Proposition 1 over the presence of the rarest class, with a point for each training set as it is.

    Args:
        sets: tallies of training sets, by the label of each.
        delta: accepted probability that a class is missing, in (0, 1).
    """
    figure, ax = plt.subplots(figsize=(7.2, 3.6))
    presence = np.geomspace(5e-4, 0.5, 200)
    for (label, known), color in zip(sets.items(), ARM_COLORS[1:], strict=False):
        sizes = batch_sizes(known.image_share, delta)
        ax.plot(100 * presence, proposition1(known.num_classes, delta, presence), color=color, linewidth=1.2)
        name = f"{label}, K = {known.num_classes}: {sizes.sufficient:,}"
        ax.plot(100 * sizes.min_probability, sizes.sufficient, "o", color=color, label=name)
    alone = proposition1(1, delta, presence)
    ax.plot(100 * presence, alone, color="black", linestyle=":", label="needed for one class alone")
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="images that hold the rarest class (%)", ylabel="images in a batch")
    ax.legend(fontsize=9)
    return figure
