"""Size and ratios of the bank from class statistics, against a bank that is filled by hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from aucseg.data.spec import ClassSpec
from aucseg.errors import OptionError
from aucseg.longtail.bank_size import (
    PAPER_MEMORY_SIZE,
    expected_cover,
    recommend_bank,
    recommend_ratios,
)
from aucseg.longtail.odds import BankModel
from aucseg.longtail.statistics import load_statistics
from aucseg.longtail.tally import Tally
from aucseg.memory import TailMemoryBank
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


@pytest.mark.parametrize("known_by_image", [True, False])
@pytest.mark.parametrize("resize_ratio", [0.5, 1.0])
def test_the_cover_is_what_a_full_bank_pastes(known_by_image, resize_ratio):
    """Against the mean over all images of all ways to draw, by counting them."""
    rng = np.random.default_rng(0)
    by_image = rng.integers(1, 40, (12, 6)) * (rng.random((12, 6)) < 0.5)
    by_image[:, 0] = 1000 - by_image[:, 1:].sum(1)
    spec = ClassSpec("toy", tuple("abcdef"), ((0, 0, 0),) * 6, ("head", "middle", *["tail"] * 4))
    data = Tally.of_images(spec, by_image)
    bank = BankModel(0.6)
    found = expected_cover(data, bank, resize_ratio)
    if not known_by_image:
        data = replace(data, by_image=None)
        assert expected_cover(data, bank, resize_ratio) == pytest.approx(found, rel=0.1)
        return
    area = {c: by_image[by_image[:, c] > 0, c].mean() / 1000 * resize_ratio**2 for c in (2, 3, 4, 5)}
    each = []
    for row in by_image:
        absent = [c for c in (2, 3, 4, 5) if row[c] == 0]
        ways = list(itertools.combinations(absent, math.ceil(0.6 * len(absent))))
        each.append(np.mean([sum(area[c] for c in way) for way in ways]))
    assert found == pytest.approx(np.mean(each))


def test_the_cover_is_what_a_bank_writes():
    """A bank that pastes into real label maps covers what was foretold, but for pastes upon pastes."""
    rng = torch.Generator().manual_seed(0)
    target = torch.zeros(64, 48, 64, dtype=torch.long)
    for labels in target:
        for label, side in ((1, 4), (2, 8), (3, 12)):
            if torch.rand((), generator=rng) < 0.4:
                labels[:side, 16 * label - 16 : 16 * label - 16 + side] = label
    spec = ClassSpec("toy", tuple("abcd"), ((0, 0, 0),) * 4, ("head", "tail", "tail", "tail"))
    data = Tally.of_images(spec, torch.stack([(target == c).flatten(1).sum(1) for c in range(4)], 1).numpy())
    for ratio in (0.3, 1.0):
        bank = TailMemoryBank((1, 2, 3), sample_ratio=ratio, resize_ratio=1.0, budget=None, generator=rng)
        bank(torch.zeros(64, 1, 48, 64), target)
        for _ in range(5):
            bank(torch.zeros(64, 1, 48, 64), target)
        foretold = expected_cover(data, BankModel(ratio))
        assert 0.85 * foretold < bank.covered()["mean"] < 1.02 * foretold


@pytest.mark.parametrize("budget", [0.01, 0.05, 0.5])
def test_recommended_ratios_keep_within_the_budget(budget):
    rng = np.random.default_rng(1)
    by_image = rng.integers(1, 200, (40, 12)) * (rng.random((40, 12)) < 0.3)
    by_image[:, 0] = 4000 - by_image[:, 1:].sum(1)
    spec = ClassSpec("toy", tuple("abcdefghijkl"), ((0, 0, 0),) * 12, ("head", *["tail"] * 11))
    data = Tally.of_images(spec, by_image)
    found = recommend_ratios(data, budget=budget)
    room = min(budget, data.pixel_share[1:].sum())
    assert found.tail_share == pytest.approx(data.pixel_share[1:].sum())
    assert found.covered == expected_cover(data, BankModel(found.sample_ratio), found.resize_ratio) <= room
    assert found.unlimited == expected_cover(data, BankModel(1.0))
    draws = round(11 * found.sample_ratio)
    if found.resize_ratio < 1:  # one object, and it would not have fitted
        assert draws == 1
        assert expected_cover(data, BankModel(found.sample_ratio), found.resize_ratio + 0.01) > room
    elif draws < 11:  # one draw more would not have fitted
        assert expected_cover(data, BankModel((draws + 1) / 11)) > room
    assert f"R_S = {found.sample_ratio:g}" in found.explanation


def test_ratios_of_many_classes_and_of_tiny_ones():
    """ADE20K: one object of 124 classes, scaled. A tail of few tiny objects: all of them, as they are."""
    many = recommend_ratios(load_statistics("ade20k"))
    assert (many.sample_ratio, many.draws) == (0.008, pytest.approx(1))
    assert 0.5 < many.resize_ratio < 1
    assert many.unlimited > 5
    by_image = np.tile([9996, 2, 2], (50, 1))
    by_image[::2, 1] = by_image[1::2, 2] = 0
    spec = ClassSpec("specks", tuple("abc"), ((0, 0, 0),) * 3, ("head", "tail", "tail"))
    tiny = recommend_ratios(Tally.of_images(spec, by_image))
    assert (tiny.sample_ratio, tiny.resize_ratio) == (1.0, 1.0)
    assert tiny.covered == pytest.approx(tiny.tail_share, rel=0.01)


def test_ratios_that_cannot_be_chosen():
    data = load_statistics("cityscapes")
    with pytest.raises(OptionError, match=r"budget is a share of an image's pixels in \(0, 1\], got 5"):
        recommend_ratios(data, budget=5)
    with pytest.raises(OptionError, match="has no tail class"):
        recommend_ratios(data, tail=())
    by_image = np.array([[9, 1, 0]])
    spec = ClassSpec("toy", tuple("abc"), ((0, 0, 0),) * 3, ("head", "middle", "tail"))
    with pytest.raises(OptionError, match="no tail class of 'toy' is in any image"):
        recommend_ratios(Tally.of_images(spec, by_image))
