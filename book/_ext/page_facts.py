"""Numbers that the prose pages quote, each computed from a file under ``data/``."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from aucseg.data.spec import load_spec

DATA = Path(__file__).resolve().parents[2] / "data"
DELTA = 0.01  # the failure probability of the example in AUCSeg, Remark 2

# Label sets with their number of training images and the identifier column of their statistics.
DATASETS = {
    "Cityscapes": ("cityscapes_train", 2_975),
    "ADE20K": ("ade20k_train", 20_210),
    "COCO-Stuff 164K": ("cocostuff164k_train", 118_287),
}


def class_stats(name: str) -> pd.DataFrame:
    """Pixels and images of each class of a training set."""
    return pd.read_csv(DATA / "class_stats" / f"{name}.csv")


def sufficient_batch(num_classes: int, p_min: float, delta: float = DELTA) -> int:
    """Proposition 1: with so many images every class is seen with probability at least 1 - delta."""
    return math.ceil(math.log(delta / num_classes) / math.log1p(-p_min))


def necessary_batch(p_min: float, delta: float = DELTA) -> int:
    """With fewer images the rarest class alone is missed with a probability above delta."""
    return math.ceil(math.log(delta) / math.log1p(-p_min))


def union_failure(probabilities: pd.Series, batch: int) -> float:
    """Union bound on the probability that a batch misses some class: the sum of (1 - p)^B."""
    return float(((1 - probabilities) ** batch).sum())


def published(paper: str, section: str, quantity: str) -> str:
    """A number that stands in the running text of a paper."""
    table = pd.read_csv(DATA / "published" / "prose_facts.csv", dtype=str)
    row = table.query("paper == @paper and section == @section and quantity == @quantity")
    return str(row["value"].item())


def batch_table() -> str:
    """Proposition 1 on the true class presence of three training sets, as a Markdown table."""
    lines = [
        "| training set | $K$ | images | rarest class | $\\min p$ | enough | needed at least |",
        "| --- | --: | --: | --- | --: | --: | --: |",
    ]
    for label, (name, images) in DATASETS.items():
        stats = class_stats(name)
        rarest = stats.loc[stats["images"].idxmin()]
        p_min = rarest["images"] / images
        enough, needed = sufficient_batch(len(stats), p_min), necessary_batch(p_min)
        lines.append(
            f"| {label} | {len(stats)} | {images:,} | {rarest['name'].strip()} ({rarest['images']}) "
            f"| {p_min:.2%} | {enough:,} | {needed:,} |"
        )
    return "\n".join(lines)


def facts() -> dict[str, str]:
    """Every substitution of the pages by its name."""
    spec = load_spec("cityscapes")
    stats = class_stats("cityscapes_train").set_index("name")
    percent = 100 * stats["pixels"] / stats["pixels"].sum()
    tail = list(spec.tail)
    tail_percent = percent.iloc[tail].sum()
    example_k = int(published("aucseg", "4.3", "Remark 2 example: number of classes K"))
    example_p = float(published("aucseg", "4.3", "Remark 2 example: smallest image-level class probability"))
    example_b = sufficient_batch(example_k, example_p)
    own = stats["images"] / DATASETS["Cityscapes"][1]
    return {
        "num_classes": str(len(stats)),
        "num_tail": str(len(tail)),
        "tail_names": ", ".join(spec.names[i] for i in tail),
        "largest_name": str(percent.idxmax()),
        "largest_percent": f"{percent.max():.1f}",
        "smallest_name": str(percent.idxmin()),
        "smallest_percent": f"{percent.min():.2f}",
        "imbalance": f"{percent.max() / percent.min():.0f}",
        "head_percent": f"{percent.iloc[list(spec.group('head'))].sum():.1f}",
        "tail_percent": f"{tail_percent:.2f}",
        "blind_accuracy": f"{100 - tail_percent:.1f}",
        "blind_miou": f"{100 * (1 - len(tail) / len(stats)):.1f}",
        "pole_images": f"{100 * own['pole']:.0f}",
        "pole_percent": f"{percent['pole']:.1f}",
        "train_images": f"{stats['images']['train']}",
        "train_presence": f"{100 * own['train']:.1f}",
        "road_printed": _table_8("road"),
        "la_tail": _table_1("LA", "Cityscapes", "tail"),
        "segnext_tail": _table_1("SegNeXt", "Cityscapes", "tail"),
        "example_delta": f"{DELTA}",
        "example_p": f"{example_p:.0%}",
        "example_b": str(example_b),
        "example_b_real": f"{math.log(DELTA / example_k) / math.log1p(-example_p):.2f}",
        "example_b_printed": published("aucseg", "4.3", "Remark 2 example: stated batch size B"),
        "example_b_sign": f"{math.log(example_k / DELTA) / math.log1p(example_p):.1f}",
        "example_needed": str(necessary_batch(example_p)),
        "example_failure": f"{example_k * (1 - example_p) ** example_b:.5f}",
        "cityscapes_b": str(sufficient_batch(len(stats), own.min())),
        "cityscapes_b_own": str(next(b for b in range(1, 10_000) if union_failure(own, b) <= DELTA)),
        "cityscapes_needed": str(necessary_batch(own.min())),
        "batch_size": published("aucseg", "F.2", "batch size Cityscapes"),
        "memory_size": published("aucseg", "5.4", "best memory size S_M (ADE20K)"),
        "sample_ratio": published("aucseg", "5.4", "best sample ratio R_S (ADE20K)"),
        "resize_ratio": published("aucseg", "5.4", "best resize ratio R_R (ADE20K)"),
        "ce_weight": published("aucseg", "5.4", "best CE weight lambda (ADE20K)"),
        "batch_table": batch_table(),
    }


def _table_8(name: str) -> str:
    table = pd.read_csv(DATA / "published" / "aucseg" / "table_08.csv")
    return f"{table.loc[table['class'] == name, 'pixel_ratio_percent'].item():.1f}"


def _table_1(method: str, dataset: str, split: str) -> str:
    table = pd.read_csv(DATA / "published" / "aucseg" / "table_01.csv")
    row = table.query("method == @method and dataset == @dataset and split == @split")
    return f"{row['value'].item():.1f}"
