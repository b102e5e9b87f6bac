"""Figures and styled tables, drawn from images, class specifications and records."""

from aucseg.plots.masks import class_legend, colorize, image_grid, overlay, to_rgb
from aucseg.plots.results import (
    METRIC_LABELS,
    class_bars,
    comparison_table,
    effect_plot,
    learning_curves,
    measured_table,
)
from aucseg.plots.style import ARM_COLORS, GROUP_COLORS, use_style

__all__ = [
    "ARM_COLORS",
    "GROUP_COLORS",
    "METRIC_LABELS",
    "class_bars",
    "class_legend",
    "colorize",
    "comparison_table",
    "effect_plot",
    "image_grid",
    "learning_curves",
    "measured_table",
    "overlay",
    "to_rgb",
    "use_style",
]
