"""One look for every figure: seaborn on matplotlib, colours that mean the same everywhere."""

from __future__ import annotations

import matplotlib.pyplot as plt
import seaborn as sns

GROUP_COLORS = {"head": "#4c72b0", "middle": "#8c8c8c", "tail": "#c44e52"}
# Arms of an experiment in order; the first, the baseline, is grey.
ARM_COLORS = ("#8c8c8c", "#dd8452", "#55a868", "#8172b3", "#937860", "#64b5cd")


def as_label(name: str) -> str:
    """A name as a label of a figure: what its user calls ``$10`` is no mathematics.

    Args:
        name: the name of a class, a data set or a run.
    """
    return name.replace("$", r"\$")


def use_style() -> None:
    """Set seaborn's theme and matplotlib's defaults for the figures of the book."""
    sns.set_theme(context="notebook", style="whitegrid", font="DejaVu Sans")
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.frameon": False,
            "image.interpolation": "nearest",
        }
    )
