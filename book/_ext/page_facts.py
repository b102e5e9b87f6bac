"""What the prose pages quote, by name: numbers as text and figures as HTML, all from the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import guide_facts
import matplotlib.pyplot as plt
import status_facts

from aucseg import plots
from aucseg.experiments import (
    COVERAGE_STATES,
    FULL_SCALE,
    RecordStore,
    Results,
    benchmark_table,
    best_less_last,
    coverage_table,
    measured_on,
    published_table,
    rarity_correlations,
    record_listing,
    recorded_arms,
    remark_2,
    stated,
)
from aucseg.experiments.findings import DATASET_LABELS
from aucseg.longtail import class_table, group_table, imbalance_factor, load_statistics
from aucseg.theory import batch_sizes

BOOK = Path(__file__).resolve().parents[1]
PAPERS = {"aucseg": "AUCSeg", "blv": "BLV", "rr": "Region Rebalance"}


def facts(book: Path = BOOK) -> dict[str, str]:
    """Every substitution of the pages by its name; ``book`` is where the executed notebooks are."""
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
        "coverage_states": _coverage_states(),
        **guide_facts.facts(),
        **status_facts.facts(book),
        **figures(),
        **{f"coverage_{key}": _coverage(paper) for key, paper in PAPERS.items()},
    } | {**_attack(), **_measured(), **_laptop()}


@cache
def listing() -> list[dict[str, Any]]:
    """All records of the project in a line each, and the tables that read them."""
    return record_listing(RecordStore())


def _measured() -> dict[str, str]:
    """What the landing page and others say of timings and of published networks."""
    bench = benchmark_table("auc_loss")
    rows = (bench["device"] == "cpu") & (bench["part"] == "shapes") & (bench["candidate"] == "AUC")
    cost = bench.loc[rows, "per_cross_entropy"]
    ranks = [
        value
        for name in FULL_SCALE
        for frequency, value in rarity_correlations(name)[["frequency", "spearman"]].to_numpy()
        if frequency == "pixels"
    ]
    return {
        "cost_least": f"{cost.min():.1f}",
        "cost_most": f"{cost.max():.1f}",
        "rarity_networks": f"{len(ranks)}",
        "rarity_median": f"{median(ranks):.0f}",
        "rarity_most": f"{max(ranks):.0f}",
        "best_epoch_most": f"{best_less_last()['mIoU'].max():.1f}",
    }


def _laptop() -> dict[str, str]:
    """How large and how long the recorded runs of a laptop are."""
    records = [record for record in RecordStore() if record.profile == "laptop"]
    sides = [side for record in records for side in record.config["data"]["size"] or ()]
    steps = [record.config["optim"]["steps"] for record in records]
    times = {(row["profile"], row["identity"]): row["seconds"] for row in listing()}
    minutes = sorted(seconds / 60 for (profile, _), seconds in times.items() if profile == "laptop")
    places = {
        "streets": ("streets", None),
        "camvid": ("camvid", None),
        "camvid_imagenet": ("camvid", "imagenet"),
    }
    settings = {
        f"setting_{key}": Results("ablation_components", name, "laptop", compute="never", start=start).setting
        for key, (name, start) in places.items()
    }
    return {
        **settings,
        "laptop_sides": f"{max(sides)}",
        "laptop_steps": f"{max(steps):,}",
        "laptop_minutes": f"{median(minutes):.0f} minutes at the median, {minutes[-1]:.0f} at most",
    }


def figures() -> dict[str, str]:
    """Every figure of the pages as HTML, by the name of its substitution."""
    plots.use_style()
    methods = Results("long_tail_losses", "streets", "laptop", compute="never")
    metrics = ("mIoU", "mIoU_head", "mIoU_tail")
    effects = plots.effect_plot(
        methods.beside(), methods.labels, baseline=methods.experiment.baseline, metrics=metrics
    )
    shares = plots.share_bars(class_table(load_statistics("cityscapes")))
    sets = {label: load_statistics(name) for name, label in DATASET_LABELS.items()}
    sizes = plots.batch_size_curves(sets, remark_2().delta)
    seeds = methods.tidy["seed"].nunique()
    return {
        "figure_landing": _figure(
            1,
            effects,
            f"""What each method adds to plain cross entropy, in points of mIoU, over all classes, head and
            tail: means over {seeds} seeds with 95% intervals on drawn streets ({methods.setting}), each
            method at its published setting. Diamonds: what Table 1 of AUCSeg prints for SegNeXt on the first
            of its data sets.""",
            """Three panels of points with whiskers around a vertical line at zero, one row for each long-tail
            method.""",
            methods,
        ),
        "figure_long_tail": _figure(
            1,
            shares,
            """Cityscapes, training set. Left: share of the labelled pixels, on a logarithmic axis. Right:
            share of the images that hold at least one pixel of the class. Counted on the label files
            (data/class_stats/cityscapes_train.csv).""",
            """Two bar charts with a bar for each class from the most to the least frequent, coloured by head,
            middle and tail: pixel shares fall over three orders of magnitude, image shares do not fall in
            step.""",
            plots.Files("data/class_stats/cityscapes_train.csv"),
        ),
        "figure_pairs": _figure(
            2,
            plots.class_size_figure(),
            """The same two score distributions with equal and with very unequal numbers of pixels. At a fixed
            threshold (dotted) the rare class hardly contributes to the number of right pixels; the chance
            that a random red pixel scores higher than a random blue one is the same on both sides.""",
            "Two panels of overlapping blue and red bell curves; on the right the red one is a sliver.",
        ),
        "figure_batch_size": _figure(
            3,
            sizes,
            """Proposition 1 against the presence of the rarest class, for the number of classes of three data
            sets. Points: the data sets as they are, counted on the label files (data/class_stats).""",
            """Falling lines on two logarithmic axes, images in a batch over the share of images that hold the
            rarest class, with one point on each.""",
            plots.Files(*(f"aucseg/longtail/counted/{name}.csv" for name in DATASET_LABELS)),
        ),
    }


def _figure(
    number: int, figure: Any, caption: str, alt: str, source: Results | plots.Files | None = None
) -> str:
    caption, alt = (" ".join(text.split()) for text in (caption, alt))
    html = plots.shown_html(figure, caption, alt=alt, source=source, number=number)
    plt.close(getattr(figure, "figure", figure))
    return html


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


def _attack() -> dict[str, str]:
    """What ``make chaos`` found, as Markdown tables."""
    table = benchmark_table("reliability")
    runs = ["| attack | on | times | refused | failures |", "| --- | --- | --: | --: | --: |"]
    inputs = [
        "| | inputs | refused | failures | float32 | float64 |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for row in table.itertuples():
        numbers = f"{row.cases:,} | {row.refused:,} | {row.failures:,}"
        if row.driver == "fuzz":
            errors = [f"{e:.0e}" if e == e else "" for e in (row.error_float32, row.error_float64)]
            inputs.append(f"| `{row.subject}` | {numbers} | {' | '.join(errors)} |")
        else:
            runs.append(f"| {row.driver} | {row.subject.replace('_', ' ')} | {numbers} |")
    return {
        "chaos_machine": measured_on(table).replace("\n", "; "),
        "chaos_runs": "\n".join(runs),
        "chaos_inputs": "\n".join(inputs),
    }


def _coverage_states() -> str:
    """How many items of each paper are in which state, as a Markdown table."""
    counts = coverage_table().groupby(["state", "paper"]).size().unstack(fill_value=0)
    lines = [f"| state | what it means | {' | '.join(PAPERS.values())} |", "| --- | --- | --: | --: | --: |"]
    for state, meaning in COVERAGE_STATES.items():
        numbers = [counts.at[state, paper] if state in counts.index else 0 for paper in PAPERS.values()]
        lines.append(f"| {state} | {meaning} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


def _coverage(paper: str) -> str:
    """Every item of one paper, as a Markdown table."""
    table = coverage_table()
    lines = [
        "| item | what | state | where | records, and what is missing |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in table[table["paper"] == paper].itertuples():
        pages = ", ".join(f"{{doc}}`{_place(page)}`" for page in row.pages)
        told = [recorded_arms(listing(), name) for name in row.experiments]
        told = ["; ".join(told).replace("_", r"\_")] if told else []
        cells = (row.item, row.what, row.state, pages, ". ".join([*told, *filter(None, [row.note])]))
        lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def _place(page: str) -> str:
    return page if (BOOK / f"{page}.md").is_file() else f"notebooks/{page}"


def _printed(table: str, column: str = "value", **where: str) -> float:
    """One number of a table of AUCSeg."""
    rows = published_table("aucseg", table)
    for name, wanted in where.items():
        rows = rows[rows[name] == wanted]
    return float(rows[column].item())
