"""One look for every figure: seaborn on matplotlib, colours that mean the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns

# Groups of classes, and below arms: any two differ for who sees no red, green or blue (tested).
GROUP_COLORS = {"head": "#3b6fb6", "middle": "#a5a5a5", "tail": "#c8452f"}
# What is written and ruled, and what lies beneath: figures in pages take those of the page, so these are
# used for nothing else.
INK, GRID, PAPER = "#26282b", "#d0d3d8", "#fffffe"
# Arms of an experiment in order; the first, the baseline, is grey.
ARM_COLORS = (
    "#8c8c8c",
    "#ef7a06",
    "#35ade9",
    "#1d5287",
    "#a83fd0",
    "#87401d",
    "#d1a375",
    "#00cc3d",
    "#7000ff",
    "#ad2952",
    "#521f47",
)
# What those that are hard to see on a dark page become there, which the style of the pages says.
DARK = {
    "#35ade9": "#a7e5f0",
    "#1d5287": "#4e6ead",
    "#a83fd0": "#9e3be6",
    "#87401d": "#845f3d",
    "#d1a375": "#f9bea6",
    "#7000ff": "#8514ff",
    "#ad2952": "#eb3370",
    "#521f47": "#c285b8",
    "#3b6fb6": "#6b98e3",
    "#a5a5a5": "#b0b0b0",
    "#c8452f": "#ea6a52",
}
# Besides the colours: a line of its own style, a point of its own shape and a bar of its own hatch for each.
ARM_LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
ARM_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
GROUP_MARKERS = {"head": "^", "middle": "s", "tail": "o"}
ARM_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo", "+++", "|||", "---", "OO", "**")


# The look of a method is the same in every figure: a place in ARM_COLORS, which no other method has, and a
# marker. Names are those of arms, of methods of `aucseg compare` and of objectives.
METHOD_LOOKS = {
    name: (color, marker)
    for names, color, marker in (
        (("auc",), 1, "s"),
        (("bank",), 2, "^"),
        (("both", "aucseg"), 3, "D"),
        (("blv",), 4, "v"),
        (("rr", "region_rebalance"), 5, "P"),
        (("la", "logit_adjusted"), 6, "X"),
        (("focal",), 7, "<"),
        (("vs",), 8, ">"),
        (("ldam",), 9, "*"),
        (("disalign",), 10, "o"),
    )
    for name in names
}


def arm_looks(arms: Sequence[str], baseline: str | None = None) -> dict[str, tuple[str, str]]:
    """Colour and marker of each arm, those of its method where it is one.

    The others take what is free: a colour that no arm has while there is one, and a marker that is not yet
    there with that colour. Grey is the baseline's alone, whatever method it is.

    Args:
        arms: names of arms, in order.
        baseline: the arm that the others are compared with, if it is among them.

    Example:
        >>> arm_looks(["baseline", "auc"], "baseline")
        {'baseline': ('#8c8c8c', 'o'), 'auc': ('#ef7a06', 's')}
    """
    looks = {arm: METHOD_LOOKS[arm] for arm in arms if arm in METHOD_LOOKS}
    if baseline is not None:
        looks[baseline] = (0, ARM_MARKERS[0])
    used = {color for color, _ in looks.values()}
    others = [n for n in range(1, len(ARM_COLORS)) if n not in used]
    others += [n for n in range(1, len(ARM_COLORS)) if n in used]
    free = [(color, marker) for marker in ARM_MARKERS for color in others]
    free = [look for look in free if look not in looks.values()]
    unknown = [arm for arm in arms if arm not in looks]
    looks |= {arm: free[number % len(free)] for number, arm in enumerate(unknown)}
    return {arm: (ARM_COLORS[looks[arm][0]], looks[arm][1]) for arm in arms}


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
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "axes.edgecolor": GRID,
            "grid.color": GRID,
            "patch.edgecolor": PAPER,
            "xtick.color": INK,
            "ytick.color": INK,
            "image.interpolation": "nearest",
        }
    )
