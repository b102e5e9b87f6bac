"""Figures and styled tables, drawn from images, class specifications and records."""

from aucseg.plots.auc import class_order, class_shares, pair_heatmaps, roc_curve, roc_figure
from aucseg.plots.bank import bank_overview, cutout, filmstrip, outlined, presence_grid, shelf
from aucseg.plots.benchmarks import cost_curves, ratio_plot
from aucseg.plots.class_change import change_bars, frequency_accuracy_plot, published_change_plot
from aucseg.plots.longtail import co_occurrence_heatmap, frequency_bars, lorenz_figure, presence_plot
from aucseg.plots.masks import class_legend, colorize, image_grid, overlay, to_rgb
from aucseg.plots.memory import bank_memory_bars, batch_memory_curve
from aucseg.plots.networks import network_alt_text, network_diagram
from aucseg.plots.published import effect_plot_by_dataset, effects_by_dataset
from aucseg.plots.results import (
    GROUP_SUFFIXES,
    METRIC_LABELS,
    class_bars,
    comparison_table,
    effect_plot,
    learning_curves,
    measured_table,
)
from aucseg.plots.style import ARM_COLORS, GROUP_COLORS, use_style
from aucseg.plots.sweeps import parameter_curves

__all__ = [
    "ARM_COLORS",
    "GROUP_COLORS",
    "GROUP_SUFFIXES",
    "METRIC_LABELS",
    "bank_memory_bars",
    "bank_overview",
    "batch_memory_curve",
    "change_bars",
    "class_bars",
    "class_legend",
    "class_order",
    "class_shares",
    "co_occurrence_heatmap",
    "colorize",
    "comparison_table",
    "cost_curves",
    "cutout",
    "effect_plot",
    "effect_plot_by_dataset",
    "effects_by_dataset",
    "filmstrip",
    "frequency_accuracy_plot",
    "frequency_bars",
    "image_grid",
    "learning_curves",
    "lorenz_figure",
    "measured_table",
    "network_alt_text",
    "network_diagram",
    "outlined",
    "overlay",
    "pair_heatmaps",
    "parameter_curves",
    "presence_grid",
    "presence_plot",
    "published_change_plot",
    "ratio_plot",
    "roc_curve",
    "roc_figure",
    "shelf",
    "to_rgb",
    "use_style",
]
