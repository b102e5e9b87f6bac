"""Pictures of the memory bank at work: what it holds, what it pastes, and which classes that completes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Patch, Rectangle

from aucseg.data.spec import ClassSpec
from aucseg.plots.masks import to_rgb
from aucseg.plots.style import GROUP_COLORS, INK, as_label

PASTED_COLOR = "#ffd21f"

Objects = Mapping[int, Sequence[tuple[Any, Any]]]


def cutout(image: Any, mask: Any) -> np.ndarray:
    """An object without its surroundings, (h, w, 4) uint8: what is not the object is transparent.

    Args:
        image: (3, h, w), uint8 or floating point in [0, 1].
        mask: (h, w), boolean.
    """
    # always channels first here: of an object three pixels wide the shape alone would not tell
    rgb = np.moveaxis(np.asarray(image), 0, -1)
    if rgb.dtype != np.uint8:
        rgb = (255 * np.clip(rgb, 0, 1)).round().astype(np.uint8)
    return np.dstack((rgb, np.where(np.asarray(mask), 255, 0).astype(np.uint8)))


def outlined(ax: Axes, image: Any, before: Any, after: Any, *, title: str = "") -> None:
    """An image with a line around the pixels whose label is another than before.

    Args:
        ax: axes to draw on.
        image: (3, H, W) or (H, W, 3), the picture after pasting.
        before: (H, W), labels before pasting.
        after: (H, W), labels after pasting.
        title: heading.
    """
    changed = np.asarray(before) != np.asarray(after)
    ax.imshow(to_rgb(image))
    if changed.any():
        # a border of one pixel, so that the line closes where an object touches the edge of the image
        extent = (-1.0, float(changed.shape[1]), -1.0, float(changed.shape[0]))
        ax.contour(np.pad(changed, 1), levels=[0.5], colors=PASTED_COLOR, linewidths=1.3, extent=extent)
    ax.set_axis_off()
    if title:
        ax.set_title(title, fontsize=9)


def shelf(ax: Axes, objects: Objects, spec: ClassSpec, *, slots: int) -> None:
    """What a bank holds: a row for each class, a place for each of S_M objects.

    Args:
        ax: axes to draw on.
        objects: by class, as ``bank.objects()`` returns them.
        spec: names of the classes.
        slots: S_M, places in a row.
    """
    labels = list(objects)
    for row, label in enumerate(labels):
        for column in range(slots):
            ax.add_patch(
                Rectangle((column + 0.04, row + 0.06), 0.92, 0.88, facecolor="#f4f4f4", edgecolor="#cccccc")
            )
        for column, (image, mask) in enumerate(objects[label][:slots]):
            picture = cutout(image, mask)
            height, width = picture.shape[:2]
            scale = min(0.84 / width, 0.8 / height)
            x, y = column + 0.5 - width * scale / 2, row + 0.5 - height * scale / 2
            ax.imshow(picture, extent=(x, x + width * scale, y + height * scale, y), aspect="auto", zorder=2)
    ax.set(xlim=(0, slots), ylim=(len(labels), 0), xticks=[])
    ax.set_yticks([row + 0.5 for row in range(len(labels))], labels=[as_label(spec.names[c]) for c in labels])
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def bank_overview(
    before: tuple[Any, Any], after: tuple[Any, Any], objects: Objects, spec: ClassSpec, *, slots: int
) -> Figure:
    """The bank in one picture, with real crops: store, memory and retrieve branch (AUCSeg, Figure 2).

    Args:
        before: images (B, 3, H, W) uint8 and labels (B, H, W) that came in.
        after: those that went out.
        objects: by class, as ``bank.objects()`` returns them.
        spec: the classes.
        slots: S_M, places for each class.
    """
    number = len(before[0])
    figure = plt.figure(figsize=(11.5, 1.15 + max(1.25 * number, 0.62 * len(objects))))
    grid = figure.add_gridspec(number, 3, width_ratios=(1, 1.12, 1))
    middle = figure.add_subplot(grid[:, 1])
    shelf(middle, objects, spec, slots=slots)
    middle.set_title(f"memory branch: up to S_M = {slots} objects a class", fontsize=10)
    left = [figure.add_subplot(grid[row, 0]) for row in range(number)]
    right = [figure.add_subplot(grid[row, 2]) for row in range(number)]
    for row in range(number):
        missing = [spec.names[c] for c in objects if not (np.asarray(before[1][row]) == c).any()]
        pasted = [
            spec.names[c]
            for c in objects
            if (np.asarray(after[1][row]) == c).any() and spec.names[c] in missing
        ]
        left[row].imshow(to_rgb(before[0][row]))
        left[row].set_axis_off()
        left[row].set_title(_listed("misses", missing), fontsize=8, fontweight="normal")
        outlined(right[row], after[0][row], before[1][row], after[1][row])
        right[row].set_title(_listed("pasted", pasted), fontsize=8, fontweight="normal")
    figure.text(0.16, 1.0, "1  store what is there", ha="center", va="bottom", fontsize=11, fontweight="bold")
    figure.text(0.85, 1.0, "2  paste what misses", ha="center", va="bottom", fontsize=11, fontweight="bold")
    centre = (number - 1) // 2
    for start, first, end, second in (
        ((1.02, 0.5), left[centre], (-0.2, 0.5), middle),  # left of the names of the classes
        ((1.01, 0.5), middle, (-0.02, 0.5), right[centre]),
    ):
        places = start, end, first.transAxes, second.transAxes
        figure.add_artist(
            ConnectionPatch(*places, arrowstyle="-|>", mutation_scale=16, linewidth=1.6, color=INK)
        )
    return figure


def _listed(word: str, names: Sequence[str], most: int = 4) -> str:
    if not names:
        return f"{word} nothing"
    rest = len(names) - most
    return f"{word} " + as_label(", ".join(names[:most])) + (f" and {rest} more" if rest > 0 else "")


def presence_grid(
    grids: Mapping[str, tuple[Any, Any]], spec: ClassSpec, *, rows: Mapping[str, str] | None = None
) -> Figure:
    """Which image of a batch holds which class, and what a bank added (AUCSeg, Figure 3).

    A filled cell is a class that the image holds, in the colour of its group; a ring is a pasted class; a
    dot below a column says that the whole batch lacks the class.

    Args:
        grids: by title, two matrices (B, K) of bool: present before, present after pasting.
        spec: the classes; columns are sorted by how many images hold them, where that is known.
        rows: what a row of each grid is called; ``"image"`` by default.
    """
    share = np.array(spec.image_share or np.arange(spec.num_classes)[::-1])
    order = np.argsort(-share, kind="stable")
    heights = [len(before) for before, _ in grids.values()]
    figure, axes = plt.subplots(
        1, len(grids), figsize=(4.0 * len(grids), 0.3 * max(heights) + 2.4), squeeze=False
    )
    colors = [GROUP_COLORS[spec.groups[c]] for c in order]
    for (title, (before, after)), ax in zip(grids.items(), axes[0], strict=True):
        there, then = np.asarray(before, bool)[:, order], np.asarray(after, bool)[:, order]
        number = len(there)
        for x, color in enumerate(colors):
            for y in range(number):
                if there[y, x]:
                    ax.add_patch(Rectangle((x + 0.08, y + 0.08), 0.84, 0.84, color=color, linewidth=0))
                elif then[y, x]:
                    ax.add_patch(
                        Rectangle(
                            (x + 0.16, y + 0.16),
                            0.68,
                            0.68,
                            facecolor=to_rgba(PASTED_COLOR, 0.55),
                            edgecolor=color,
                            linewidth=1.4,
                        )
                    )
            if not then[:, x].any():
                ax.plot(x + 0.5, number + 0.5, marker="x", color=INK, markersize=6, clip_on=False)
        ax.set(xlim=(0, len(order)), ylim=(number + 1, 0), title=title)
        ax.set_xticks(
            np.arange(len(order)) + 0.5, [as_label(spec.names[c]) for c in order], rotation=90, fontsize=7.5
        )
        for tick, color in zip(ax.get_xticklabels(), colors, strict=True):
            tick.set_color(color)
        ax.set_yticks(np.arange(number) + 0.5, np.arange(1, number + 1), fontsize=8)
        ax.set_ylabel((rows or {}).get(title, "image"))
        ax.tick_params(length=0)
        ax.grid(visible=False)
        for spine in ax.spines.values():
            spine.set_visible(False)
    figure.legend(handles=_presence_legend(), loc="outside lower center", ncols=5, fontsize=9)
    return figure


def _presence_legend() -> list[Any]:
    handles: list[Any] = [
        Patch(color=GROUP_COLORS[group], label=f"{group} class, present") for group in GROUP_COLORS
    ]
    handles.append(Patch(facecolor=PASTED_COLOR, edgecolor=GROUP_COLORS["tail"], label="pasted by the bank"))
    cross = plt.Line2D([], [], marker="x", color=INK, linestyle="", label="missing from the batch")
    return [*handles, cross]


def filmstrip(frames: Sequence[tuple[Any, Any, Any, Any]], *, labels: Sequence[str]) -> Figure:
    """Steps of a bank one below the other: an image as it came, and as it went.

    Args:
        frames: for each step the image before, its labels, the image after, its labels.
        labels: what happened in each step, as the heading of its pictures.
    """
    figure, axes = plt.subplots(
        2, len(frames), figsize=(2.9 * len(frames), 3.5), squeeze=False, gridspec_kw={"hspace": 0.02}
    )
    for (image, target, pasted, labelled), label, (top, bottom) in zip(frames, labels, axes.T, strict=True):
        top.imshow(to_rgb(image))
        top.set_axis_off()
        top.set_title(label, fontsize=9)
        outlined(bottom, pasted, target, labelled)
    for ax, word in zip(axes[:, 0], ("came in", "went out"), strict=True):
        ax.text(-0.03, 0.5, word, transform=ax.transAxes, rotation=90, ha="right", va="center", fontsize=9)
    return figure
