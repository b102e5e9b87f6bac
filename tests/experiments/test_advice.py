"""Kinds of tails, worked out by hand, and evidence that is read from records."""

from __future__ import annotations

import numpy as np
import pytest

from aucseg.data.spec import ClassSpec
from aucseg.experiments import Results, in_words
from aucseg.experiments.advice import advise
from aucseg.longtail import Tally

SPEC = ClassSpec(
    "parts", ("body", "rare", "tiny", "both"), ((0, 0, 0),) * 4, ("head", "tail", "tail", "tail")
)


def tally() -> Tally:
    """Twenty images of 1,000 pixels: "rare" fills a tenth of one, "tiny" a thousandth of each."""
    pixels = np.zeros((20, 4), np.int64)
    pixels[:, 2] = 1
    pixels[0, 1] = 100
    pixels[1, 3] = 1
    pixels[:, 0] = 1000 - pixels.sum(1)
    return Tally.of_images(SPEC, pixels)


def test_kinds_of_a_tail_by_hand():
    advice = advise(tally(), batch_size=8)
    rows = advice.classes.set_index("class")
    assert rows["kind"].to_dict() == {
        "both": "few images and few pixels",
        "tiny": "few pixels",
        "rare": "few images",
    }
    assert rows.loc["rare", "missed"] == pytest.approx(0.95**8)  # 0.66
    assert rows.loc["tiny", "missed"] == 0
    assert rows.index[0] == "both"  # the rarest
    assert set(advice.kinds) == {"few images", "few pixels"}
    assert advice.methods[0] == "cross_entropy"


def test_a_larger_batch_has_more():
    """Fourteen images miss one in twenty with 0.49."""
    assert advise(tally(), batch_size=14).classes.set_index("class").loc["rare", "kind"] == "neither"


def test_evidence_is_that_of_the_records():
    finding = advise(tally()).findings
    auc = next(f for f in finding if f.about.startswith("the AUC loss"))
    results = Results("ablation_components", "streets", "laptop", compute="never")
    assert in_words(results.difference("auc", "baseline", "mIoU_tail")) in auc.measured[0]
    assert auc.chapter == "notebooks/ablation_components"


def test_no_tail_asks_for_nothing():
    spec = ClassSpec("two", ("a", "b"), ((0, 0, 0),) * 2, ("head", "head"))
    advice = advise(Tally.of_images(spec, np.array([[5, 5]])))
    assert advice.classes.empty
    assert advice.findings == ()
    assert advice.methods == ("cross_entropy",)


def test_a_batch_has_an_image():
    with pytest.raises(ValueError, match="at least one image, got 0"):
        advise(tally(), batch_size=0)
