"""What kind of tail a data set has, and what the recorded runs say about methods for it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from aucseg.errors import OptionError
from aucseg.experiments.guide import GUIDE, Claim, Verdict, judge, measure_claim
from aucseg.experiments.profiles import STARTS
from aucseg.experiments.results import in_words
from aucseg.longtail import Tally

SMALL = 0.01
"""Share of an image below which a class is small where it occurs."""

_QUESTIONS = {question.name: question for question in GUIDE}
# What each kind of tail asks for: a question of the guide, and the methods for a comparison of one's own.
_METHODS = {"few pixels": ("auc", "region_rebalance"), "few images": ("bank", "aucseg")}


@dataclass(frozen=True)
class Evidence:
    """What recorded runs say about one method.

    Attributes:
        about: the method and what it is compared with.
        verdict: what all places say together.
        measured: for each data set, in points of the tail's mIoU and of all classes', with the verdict.
        chapter: page of the book.
    """

    about: str
    verdict: Verdict
    measured: tuple[str, ...]
    chapter: str


@dataclass(frozen=True, eq=False)
class Advice:
    """What a tail asks for.

    Attributes:
        classes: the tail, rarest first: ``class``, ``pixel_share``, ``image_share``, ``missed`` (probability
            that a batch lacks it), ``area`` (mean share of an image where it occurs) and ``kind``.
        kinds: the kinds that occur, the most frequent first; none without a tail.
        findings: what was measured, for each of them.
        methods: for :func:`aucseg.experiments.comparison`.
        batch_size: images in a batch.
    """

    classes: pd.DataFrame
    kinds: tuple[str, ...]
    findings: tuple[Evidence, ...]
    methods: tuple[str, ...]
    batch_size: int


def advise(tally: Tally, batch_size: int = 8) -> Advice:
    """Say what kind of tail a data set has and which recorded runs bear on it.

    A tail class is of *few images* where a random batch lacks it more often than not,
    :math:`(1 - p)^B > 1/2` with the share p of the images that hold it, and of *few pixels* where it fills
    less than ``SMALL`` of an image that holds it. It can be both, or neither.

    A loss acts on what a batch holds, so it bears on few pixels; a bank or a sampler changes what a batch
    holds, and bears on few images. Whether either helps is not derived but read from records.

    Args:
        tally: of the training split, in its groups.
        batch_size: B.

    Raises:
        OptionError: for a batch of no image.
    """
    if batch_size < 1:
        raise OptionError(f"a batch has at least one image, got {batch_size}")
    rows = []
    for label in sorted((c for c in tally.tail if tally.pixels[c]), key=lambda c: tally.pixels[c]):
        images = float(tally.image_share[label])
        missed, area = (1 - images) ** batch_size, float(tally.area_share[label])
        tests = (("few images", missed > 0.5), ("few pixels", area < SMALL))
        kind = [name for name, is_so in tests if is_so]
        rows.append(
            {
                "class": tally.names[label],
                "pixel_share": float(tally.pixel_share[label]),
                "image_share": images,
                "missed": missed,
                "area": area,
                "kind": " and ".join(kind) or "neither",
            }
        )
    columns = ["class", "pixel_share", "image_share", "missed", "area", "kind"]
    classes = pd.DataFrame(rows, columns=columns)
    counts = {kind: int(classes["kind"].str.contains(kind).sum()) for kind in _METHODS}
    kinds = tuple(sorted((kind for kind in counts if counts[kind]), key=lambda kind: -counts[kind]))
    asked = [_QUESTIONS[kind.replace(" ", "_")] for kind in kinds]
    findings = tuple(_finding(each) for question in asked for each in question.claims)
    methods = tuple(dict.fromkeys(["cross_entropy", *(m for kind in kinds for m in _METHODS[kind])]))
    return Advice(classes, kinds, findings, methods, batch_size)


def _finding(claim: Claim) -> Evidence:
    found = measure_claim(claim)
    lines = [
        f"{each.dataset}{'' if each.start is None else f' from {STARTS[each.start]}'} "
        f"({each.seeds} seed{'' if each.seeds == 1 else 's'}): "
        f"tail {in_words(each.changes.get('mIoU_tail'))}; all classes {in_words(each.changes.get('mIoU'))}"
        for each in found
    ]
    return Evidence(claim.about, judge(found), tuple(lines) or ("not measured",), claim.chapter)
