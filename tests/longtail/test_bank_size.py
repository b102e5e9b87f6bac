"""The bank's size from class statistics, against a bank that is filled by hand."""

from __future__ import annotations

import numpy as np
import pytest

from aucseg.longtail.bank_size import PAPER_MEMORY_SIZE, recommend_bank
from aucseg.longtail.odds import BankModel
from aucseg.longtail.statistics import load_statistics
from aucseg.longtail.tally import Tally
from tests.longtail.tallies import sums


def known(pixels: list[int], images: list[int], num_images: int) -> Tally:
    names = tuple(f"c{i}" for i in range(len(pixels)))
    groups = ("head", *["tail"] * (len(pixels) - 1))
    return sums(names, groups, pixels, images, num_images)


def test_by_hand() -> None:
    # 10 images of 100 pixels; class 1 has 20 pixels in each of 2 images, class 2 all 100 of 1 image
    size = recommend_bank(
        known([860, 40, 100], [10, 2, 1], 10), (20, 10), batch_size=4, bank=BankModel(1.0), box_fill=0.5
    )
    assert size.memory_size == PAPER_MEMORY_SIZE
    first, second = size.classes
    assert (first.objects, first.object_pixels) == (2, 40.0)  # a fifth of 20 x 10, in both its images
    assert first.bytes == 2 * 80 * 13  # its box is twice as large; 3 float32 and a byte of mask
    assert second.bytes == 1 * 200 * 13  # its box is the image, not two images
    assert size.bytes == first.bytes + second.bytes
    assert size.worst_bytes == 3 * 200 * 13
    assert first.refill_steps == pytest.approx(5 / (4 * 0.2))
    assert first.pastes_per_object == pytest.approx(0.8 / 0.2)  # R_S = 1: each image without it gets one
    assert "Fewer than 5 images hold c1, c2." in size.explanation


def test_pastes_by_simulation() -> None:
    """Objects that come and pastes that are made, counted over batches of independent classes."""
    share = np.array([1.0, 0.5, 0.2, 0.1, 0.3])
    data = known([100] * 5, (share * 1000).astype(int).tolist(), 1000)
    bank = BankModel(0.5)
    rng = np.random.default_rng(0)
    held = rng.random((40_000, 5)) < share
    pastes = np.zeros(5)
    for row in held:
        lost = np.flatnonzero(~row[1:]) + 1
        pastes[rng.permutation(lost)[: bank.draws(len(lost))]] += 1
    wanted = pastes[1:] / held[:, 1:].sum(0)
    found = recommend_bank(data, (8, 8), batch_size=4, bank=bank).classes
    assert [c.pastes_per_object for c in found] == pytest.approx(wanted, rel=0.03)


def test_budget_and_size() -> None:
    data = load_statistics("ade20k")
    bank = BankModel(0.05)
    free = recommend_bank(data, (512, 512), batch_size=4, bank=bank)
    assert free.memory_size == 5
    tight = recommend_bank(data, (512, 512), batch_size=4, bank=bank, budget=free.bytes // 2)
    assert tight.memory_size == 2
    assert tight.bytes <= free.bytes // 2
    assert "would not fit" in tight.explanation
    whole = recommend_bank(data, (512, 512), batch_size=4, bank=bank, memory_size=20)
    assert whole.bytes == pytest.approx(4 * free.bytes, rel=1e-5)
    assert [c.pastes_per_object for c in whole.classes] == [c.pastes_per_object for c in free.classes]
    with pytest.raises(ValueError, match="over the budget of 1000"):
        recommend_bank(data, (512, 512), batch_size=4, bank=bank, budget=1000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "are at least 1"),
        ({"box_fill": 0.0}, "box_fill in"),
        ({"memory_size": 0}, "memory_size is at least 1, got 0"),
        ({"bank": BankModel(1.0, tail=())}, "has no tail class"),
        ({"bank": BankModel(1.0, tail=(1,))}, "'c1' is in no image"),
    ],
)
def test_bad_input(options: dict[str, object], message: str) -> None:
    values: dict[str, object] = {"batch_size": 2, "bank": BankModel(1.0), **options}
    with pytest.raises(ValueError, match=message):
        recommend_bank(known([5, 0], [2, 0], 3), (8, 8), **values)  # type: ignore[arg-type]
