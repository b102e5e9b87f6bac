"""Masks as pictures: palette colours, grids and legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from aucseg.data.spec import ClassSpec
from aucseg.plots.style import as_label


def to_rgb(image: Any) -> np.ndarray:
    """An image as (H,W,3) uint8, from a (3,H,W) tensor or an array of either order."""
    array = np.asarray(image)
    return array.transpose(1, 2, 0) if array.shape[0] == 3 and array.shape[-1] != 3 else array


def colorize(mask: Any, spec: ClassSpec) -> np.ndarray:
    """A mask in the colours of its classes, (H,W,3) uint8; void is black.

    Args:
        mask: (H,W) train ids.
        spec: classes of the mask.
    """
    return spec.palette[np.asarray(mask).astype(np.uint8)]


def image_grid(
    rows: Sequence[Sequence[np.ndarray]],
    *,
    titles: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    width: float = 3.2,
) -> Figure:
    """Pictures in rows and columns, without axes.

    Args:
        rows: pictures (H,W,3), row by row; rows may have different lengths.
        titles: headings of the columns.
        row_labels: a label at the left of each row.
        width: width of a picture in inches.
    """
    columns = max(len(row) for row in rows)
    height, breadth = rows[0][0].shape[:2]
    figure, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(width * columns, width * height / breadth * len(rows) + 0.3),
        squeeze=False,
    )
    for row, line in zip(rows, axes, strict=True):
        for ax in line:
            ax.set_axis_off()
        for picture, ax in zip(row, line, strict=False):
            ax.imshow(picture)
    for title, ax in zip(titles, axes[0], strict=False):
        ax.set_title(title)
    for label, ax in zip(row_labels, axes[:, 0], strict=False):
        ax.text(-0.02, 0.5, label, transform=ax.transAxes, rotation=90, ha="right", va="center", fontsize=9)
    return figure


def class_legend(ax: Axes, spec: ClassSpec, *, columns: int = 5) -> None:
    """A legend of class colours; tail classes are marked with an asterisk.

    Args:
        ax: axes that show the legend and nothing else.
        spec: the classes.
        columns: number of columns.
    """
    tail = set(spec.tail)
    handles = [
        Patch(color=("#{:02x}{:02x}{:02x}".format(*color)), label=as_label(name) + ("*" if i in tail else ""))
        for i, (name, color) in enumerate(zip(spec.names, spec.colors, strict=True))
    ]
    ax.set_axis_off()
    ax.legend(handles=handles, ncols=columns, loc="center", fontsize=8, handlelength=1.2)
