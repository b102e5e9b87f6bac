"""What theory refuses is told as an error for the user; mistakes of a program keep their traceback."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from aucseg.errors import OptionError, UserError
from aucseg.theory import (
    CoverageTimes,
    GapDesign,
    batch_sizes_of_set,
    crop_hit_probability,
    exact_batch_size,
    first_useful_size,
    generalization_bound,
    greedy_groups,
    imbalance,
    imbalance_range,
    minimum_batch_size,
    overlap,
    split_pairs,
    theorem2,
)

CHOSEN: dict[str, Callable[[], object]] = {
    "delta is 0; it is a probability of failure": lambda: minimum_batch_size(19, 0, 0.1),
    "num_classes is 1; it must be at least 2": lambda: minimum_batch_size(1, 0.01, 0.1),
    "probability is 0; a class that never occurs": lambda: minimum_batch_size(19, 0.01, 0),
    "lipschitz is -1; it must be above 0": lambda: generalization_bound(10, 2, 3, 0.1, lipschitz=-1),
    "give a larger cover_b or cover_c": lambda: generalization_bound(
        2, 1, 3, 0.1, cover_b=1e-9, cover_c=1e-9
    ),
    "no number of images": lambda: first_useful_size(2, 3, 0.1, target=1e-320),
    "in 9 of 4 images": lambda: batch_sizes_of_set([9, 1], 4, 0.01),
    "leave them out": lambda: exact_batch_size([[1, 0], [1, 0]], 0.01),
    "use simulate_coverage": lambda: exact_batch_size(np.eye(21), 0.01),
    "give more": lambda: CoverageTimes(np.arange(1, 10), 200, False).batch_size(0.01),
    "does not fit into 4 pixels": lambda: crop_hit_probability((4, 4), (8, 2)),
    "at least 2 of each": lambda: imbalance([[1, 2]]),
    "more than image_pixels=1": lambda: imbalance_range([9, 9], [1, 1], 2, image_pixels=1),
    "2, 4, 6 or 8": lambda: greedy_groups(5, 0),
    "sizes must ascend": lambda: GapDesign(sizes=(16, 8)),
    "class 1 has no pixel": lambda: split_pairs(np.zeros((2, 2)), np.zeros((2, 2), int), 1, 0),
    "at least 0, got TP, FN, FP": lambda: overlap(-1, 1, 1),
}


@pytest.mark.parametrize("words", CHOSEN)
def test_a_value_that_somebody_chose(words: str) -> None:
    with pytest.raises(OptionError) as caught:
        CHOSEN[words]()
    assert isinstance(caught.value, UserError)
    assert isinstance(caught.value, ValueError)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: exact_batch_size(np.ones(3), 0.01),
        lambda: generalization_bound(10, 2, 3, 0.1, variant="other"),
        lambda: theorem2([0.0, 1.0], [0, 1], weights="w"),
    ],
)
def test_a_mistake_of_a_program(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"shape|unknown") as caught:
        call()
    assert not isinstance(caught.value, UserError)
