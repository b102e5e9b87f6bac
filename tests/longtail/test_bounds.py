"""What the theorems say of a data set: exact where images are counted, a range where only sums are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aucseg.errors import UserError
from aucseg.longtail import MaskFiles, Tally, bound_report, count, train_id_maps
from aucseg.longtail.bounds import square_object
from aucseg.theory import exact_batch_size, imbalance
from tests.longtail.tallies import label_set, sums

SPEC = label_set("abcd", ("head", "head", "tail", "tail"))
MASKS = np.random.default_rng(0).integers(0, 2, (12, 8, 10)).astype(np.uint8)
MASKS[3, :4], MASKS[7, 0, 0], MASKS[5, 0] = 2, 2, 255


def by_index(index: int) -> np.ndarray:
    return MASKS[index]


FILES = MaskFiles(SPEC, [f"m{i}" for i in range(12)], range(12), by_index, state=str)


@pytest.fixture(scope="module")
def tally() -> Tally:
    return count(FILES)


def test_counted_images_are_exact(tally: Tally) -> None:
    report = bound_report(tally, FILES, delta=0.2, crop=(3, 3))
    counts = np.array([np.bincount(mask.ravel(), minlength=256)[:3] for mask in MASKS])
    assert report["absent"] == ["d"]
    assert report["tau"]["low"] == report["tau"]["high"] == pytest.approx(imbalance(counts).tau)
    assert report["tau"]["class"] == "c"
    assert report["batch_sizes"]["exact"] == exact_batch_size(counts > 0, 0.2)
    assert report["constants"]["pixels"] == 80
    windows = np.lib.stride_tricks.sliding_window_view(MASKS, (3, 3), (1, 2))
    assert report["batch_sizes"]["crops"]["min_probability"] == pytest.approx(
        (windows == 2).any((3, 4)).mean()
    )
    assert json.loads(json.dumps(report))["images"] == 12
    assert all(np.array_equal(a, b) for a, b in zip(train_id_maps(FILES), MASKS, strict=True))


def test_sums_alone_give_a_range(tally: Tally) -> None:
    known = sums(tally.names, tally.groups, tally.pixels, tally.images, tally.num_images)
    report, exact = bound_report(known), bound_report(tally)
    assert report["tau"]["low"] <= exact["tau"]["low"] <= report["tau"]["high"]
    assert "exact" not in report["batch_sizes"]
    assert report["batch_sizes"]["without_replacement"] == exact["batch_sizes"]["without_replacement"]
    with pytest.raises(UserError, match="'toy' differ in size: crops need a folder of masks"):
        bound_report(known, crop=(3, 3))


@pytest.mark.parametrize(
    ("area", "image", "size"),
    [
        (0.2, (10, 20), (1, 1)),
        (49.0, (10, 20), (7, 7)),
        (150.0, (10, 20), (10, 15)),
        (150.0, (20, 10), (15, 10)),
        (200.0, (10, 20), (10, 20)),
        (400.0, (20, 20), (20, 20)),
    ],
)
def test_object_of_the_crop_model_keeps_its_area(
    area: float, image: tuple[int, int], size: tuple[int, int]
) -> None:
    assert square_object(area, image) == size
