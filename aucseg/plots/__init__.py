"""Figures and styled tables, drawn from images, class specifications and records."""

from aucseg.errors import extra

with extra("train"):
    from aucseg.plots.auc import (
        class_order,
        class_shares,
        class_size_figure,
        pair_heatmaps,
        roc_curve,
        roc_figure,
    )
    from aucseg.plots.bank import bank_overview, cutout, filmstrip, outlined, presence_grid, shelf
    from aucseg.plots.benchmarks import bank_memory_bars, batch_memory_curve, cost_curves, ratio_plot
    from aucseg.plots.class_change import (
        change_bars,
        change_heatmap,
        confusion_heatmap,
        frequency_accuracy_plot,
        published_change_plot,
    )
    from aucseg.plots.full_scale import correlation_figure, gap_figure
    from aucseg.plots.longtail import (
        batch_size_curves,
        co_occurrence_heatmap,
        frequency_bars,
        lorenz_figure,
        presence_plot,
        share_bars,
    )
    from aucseg.plots.masks import class_legend, colorize, image_grid, to_rgb
    from aucseg.plots.report import check_report_folder, comparison_report
    from aucseg.plots.results import (
        class_bars,
        effect_plot,
        effect_plot_by_dataset,
        learning_curves,
        parameter_curves,
        power_figure,
        sign_figure,
        tradeoff_plot,
    )
    from aucseg.plots.style import ARM_COLORS, GROUP_COLORS, as_label, use_style
    from aucseg.plots.tables import (
        GROUP_SUFFIXES,
        METRIC_LABELS,
        as_markdown,
        comparison_table,
        effects_by_dataset,
        measured_by_dataset,
        measured_table,
        say,
        styled,
    )

__all__ = [
    "ARM_COLORS",
    "GROUP_COLORS",
    "GROUP_SUFFIXES",
    "METRIC_LABELS",
    "as_label",
    "as_markdown",
    "bank_memory_bars",
    "bank_overview",
    "batch_memory_curve",
    "batch_size_curves",
    "change_bars",
    "change_heatmap",
    "check_report_folder",
    "class_bars",
    "class_legend",
    "class_order",
    "class_shares",
    "class_size_figure",
    "co_occurrence_heatmap",
    "colorize",
    "comparison_report",
    "comparison_table",
    "confusion_heatmap",
    "correlation_figure",
    "cost_curves",
    "cutout",
    "effect_plot",
    "effect_plot_by_dataset",
    "effects_by_dataset",
    "filmstrip",
    "frequency_accuracy_plot",
    "frequency_bars",
    "gap_figure",
    "image_grid",
    "learning_curves",
    "lorenz_figure",
    "measured_by_dataset",
    "measured_table",
    "outlined",
    "pair_heatmaps",
    "parameter_curves",
    "power_figure",
    "presence_grid",
    "presence_plot",
    "published_change_plot",
    "ratio_plot",
    "roc_curve",
    "roc_figure",
    "say",
    "share_bars",
    "shelf",
    "sign_figure",
    "styled",
    "to_rgb",
    "tradeoff_plot",
    "use_style",
]
