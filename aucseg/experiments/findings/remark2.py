"""The example of AUCSeg Remark 2: what the formula makes of it, and what the data sets really have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aucseg.experiments.findings.finding import DATASET_LABELS, Finding
from aucseg.experiments.published import stated
from aucseg.longtail.statistics import load_statistics
from aucseg.theory import minimum_batch_size, necessary_batch_size, proposition1


@dataclass(frozen=True)
class Remark2:
    """The example of Remark 2 and the numbers that belong to it.

    Attributes:
        num_classes: number of classes K.
        delta: accepted probability that a class is missing.
        min_probability: smallest probability p that an image holds a class.
        printed: images that the paper asks for.
        formula: what the formula of Proposition 1 gives, before it is rounded up.
        enough: images; the next whole number.
        failure: the union bound K (1 - p)^B there, at most delta.
        needed: images; what the rarest class alone asks for.
        plus: what the formula gives with ln(1 + p) in the place of -ln(1 - p), which is what was printed.
    """

    num_classes: int
    delta: float
    min_probability: float
    printed: int
    formula: float
    enough: int
    failure: float
    needed: int
    plus: float


def remark_2() -> Remark2:
    """The example as printed, and what the formula gives for it."""
    k, delta, p, printed = (
        stated("aucseg", f"Remark 2 example: {what}")
        for what in (
            "number of classes K",
            "failure probability delta",
            "smallest image-level class probability",
            "stated batch size B",
        )
    )
    formula, enough = float(proposition1(int(k), delta, p)), minimum_batch_size(int(k), delta, p)
    return Remark2(
        num_classes=int(k),
        delta=delta,
        min_probability=p,
        printed=int(printed),
        formula=formula,
        enough=enough,
        failure=k * (1 - p) ** enough,
        needed=necessary_batch_size(delta, p),
        plus=formula * float(-np.log1p(-p) / np.log1p(p)),
    )


def smallest_image_share() -> Finding:
    """The rarest class of Cityscapes is in far more images than the example of AUCSeg Remark 2 assumes."""
    example = remark_2()
    rows = [("Remark 2", example.num_classes, example.min_probability, float(example.printed))]
    for name, label in DATASET_LABELS.items():
        known = load_statistics(name)
        rows.append((label, known.num_classes, float(known.image_share.min()), np.nan))
    table = pd.DataFrame(rows, columns=["example", "classes", "p_min", "printed"])
    table["recomputed"] = [float(minimum_batch_size(k, example.delta, p)) for _, k, p, _ in rows]
    table["difference"] = table["recomputed"] - table["printed"]
    sizes = table.set_index("example")["recomputed"].astype(int)
    city = table.set_index("example").loc["Cityscapes"]
    return Finding(
        "smallest_image_share",
        "AUCSeg, Remark 2",
        f"With {example.num_classes} classes and the rarest in {100 * example.min_probability:g} % of the "
        f"images a batch needs {example.printed} images.",
        f"The formula gives {sizes['Remark 2']}. The rarest class of Cityscapes is in "
        f"{100 * city['p_min']:.2f} % of the images, which takes {sizes['Cityscapes']}; ADE20K takes "
        f"{sizes['ADE20K']}, COCO-Stuff {sizes['COCO-Stuff 164K']}.",
        table,
    )
