"""What the prose pages quote, by name: numbers as text and figures as files, all from the package."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from aucseg import plots
from aucseg.experiments import published_table, remark_2, stated
from aucseg.experiments.findings import DATASET_LABELS
from aucseg.longtail import class_table, group_table, imbalance_factor, load_statistics
from aucseg.theory import batch_sizes

# Paths for letters and a fixed salt for names: the same figure is the same file on every machine.
REPRODUCIBLE = {"svg.fonttype": "path", "svg.hashsalt": "aucseg"}


def facts() -> dict[str, str]:
    """Every substitution of the pages by its name."""
    city, example = load_statistics("cityscapes"), remark_2()
    classes, groups = class_table(city).set_index("class"), group_table(city).set_index("group")
    share, presence = 100 * classes["pixel_share"], 100 * classes["image_share"]
    tail_percent = 100 * groups.loc["tail", "pixel_share"]
    sizes = batch_sizes(city.image_share, example.delta)
    return {
        "num_classes": f"{city.num_classes}",
        "num_tail": f"{len(city.tail)}",
        "tail_names": ", ".join(city.names[i] for i in city.tail),
        "largest_name": str(share.idxmax()),
        "largest_percent": f"{share.max():.1f}",
        "smallest_name": str(share.idxmin()),
        "smallest_percent": f"{share.min():.2f}",
        "imbalance": f"{imbalance_factor(city.pixels):.0f}",
        "head_percent": f"{100 * groups.loc['head', 'pixel_share']:.1f}",
        "tail_percent": f"{tail_percent:.2f}",
        "blind_accuracy": f"{100 - tail_percent:.1f}",
        "blind_miou": f"{100 * (1 - len(city.tail) / city.num_classes):.1f}",
        "pole_images": f"{presence['pole']:.0f}",
        "pole_percent": f"{share['pole']:.1f}",
        "train_images": f"{classes.loc['train', 'images']}",
        "train_presence": f"{presence['train']:.1f}",
        "road_printed": f"{_printed('table_08', 'pixel_ratio_percent', **{'class': 'road'}):.1f}",
        "la_tail": f"{_printed('table_01', method='LA', dataset='Cityscapes', split='tail'):.1f}",
        "segnext_tail": f"{_printed('table_01', method='SegNeXt', dataset='Cityscapes', split='tail'):.1f}",
        "example_delta": f"{example.delta:g}",
        "example_p": f"{example.min_probability:.0%}",
        "example_b": f"{example.enough}",
        "example_b_real": f"{example.formula:.2f}",
        "example_b_printed": f"{example.printed}",
        "example_b_sign": f"{example.plus:.1f}",
        "example_needed": f"{example.needed}",
        "example_failure": f"{example.failure:.5f}",
        "cityscapes_b": f"{sizes.sufficient}",
        "cityscapes_b_own": f"{sizes.union}",
        "cityscapes_needed": f"{sizes.necessary}",
        "batch_size": f"{stated('aucseg', 'batch size Cityscapes'):g}",
        "memory_size": f"{stated('aucseg', 'best memory size S_M (ADE20K)'):g}",
        "sample_ratio": f"{stated('aucseg', 'best sample ratio R_S (ADE20K)'):g}",
        "resize_ratio": f"{stated('aucseg', 'best resize ratio R_R (ADE20K)'):g}",
        "ce_weight": f"{stated('aucseg', 'best CE weight lambda (ADE20K)'):g}",
        "batch_table": _batch_table(example.delta),
    }


def draw(folder: Path) -> None:
    """Write every figure of the pages as SVG into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context():
        plots.use_style()
        mpl.rcParams.update(REPRODUCIBLE)
        sets = {label: load_statistics(name) for name, label in DATASET_LABELS.items()}
        figures = {
            "long_tail": plots.share_bars(class_table(load_statistics("cityscapes"))),
            "pairs": plots.class_size_figure(),
            "batch_size": plots.batch_size_curves(sets, remark_2().delta),
        }
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


def _batch_table(delta: float) -> str:
    """Proposition 1 on the true class presence of three training sets, as a Markdown table."""
    lines = [
        "| training set | $K$ | images | rarest class | $\\min p$ | enough | needed at least |",
        "| --- | --: | --: | --- | --: | --: | --: |",
    ]
    for name, label in DATASET_LABELS.items():
        known = load_statistics(name)
        sizes, rarest = batch_sizes(known.image_share, delta), int(known.images.argmin())
        lines.append(
            f"| {label} | {known.num_classes} | {known.num_images:,} "
            f"| {known.names[rarest]} ({known.images[rarest]}) | {sizes.min_probability:.2%} "
            f"| {sizes.sufficient:,} | {sizes.necessary:,} |"
        )
    return "\n".join(lines)


def _printed(table: str, column: str = "value", **where: str) -> float:
    """One number of a table of AUCSeg."""
    rows = published_table("aucseg", table)
    for name, wanted in where.items():
        rows = rows[rows[name] == wanted]
    return float(rows[column].item())
