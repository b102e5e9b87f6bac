"""What pastes may cover: never more than the budget, no class before another, and how much it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.errors import DataError
from aucseg.memory import CopyPaste, FixedPixelBank, PixelMemoryBank, TailMemoryBank
from aucseg.memory import boxes as boxes_module
from aucseg.memory import paste as paste_module
from aucseg.memory.bank import BUDGET, _level
from tests.memory.scenes import TAIL, assert_same, plain, run, scene, seeded

ALL = {"sample_ratio": 1.0, "resize_ratio": 1.0}


def blocks(*sides, size=(40, 40)):
    """One image with a square of each tail class, side by side, in the classes' own colours."""
    images, target = plain(size=size)
    left = 0
    for label, side in enumerate(sides, start=5):
        target[0, :side, left : left + side] = label
        images[0, :, :side, left : left + side] = label
        left += side
    return images, target


def shares(before, after):
    labelled = (before != 255).flatten(1).sum(1)
    return ((after != before).flatten(1).sum(1) / labelled.clamp_min(1)).tolist()


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from([TailMemoryBank, PixelMemoryBank, CopyPaste]),
    budget=st.sampled_from([0.0, 0.004, 0.02, 0.05, 0.3, 1.0]),
    resize=st.sampled_from([0.2, 0.55, 1.0]),
    scope=st.sampled_from(["image", "batch"]),
    edge=st.sampled_from(["hard", "soft"]),
    placement=st.sampled_from(["box", "canvas"]),
    cover=st.sampled_from([None, 0.3]),
    seed=st.integers(0, 2**31),
)
def test_never_more_than_the_budget(kind, budget, resize, scope, edge, placement, cover, seed):
    options = {
        "sample_ratio": 1.0,
        "resize_ratio": resize,
        "budget": budget,
        "edge": edge,
        "placement": placement,
        "max_cover": cover,
        "generator": seeded(seed),
    }
    if kind is not CopyPaste:
        options["scope"] = scope
    bank = kind(8 if kind is PixelMemoryBank else TAIL, **options)
    found = []
    for step in range(5):
        images, target = scene(seed + step, batch=3, chance=0.6)
        _, labels = bank(images, target)
        found += shares(target, labels)
        assert max(found[-3:]) <= budget
    assert bank.covered()["mean"] == pytest.approx(sum(found) / len(found))
    assert bank.covered()["max"] == pytest.approx(max(found))
    assert bank.metrics("")["covered"] == pytest.approx(sum(found) / len(found))
    assert bank.metrics("")["covered_most"] == pytest.approx(max(found))
    if budget == 0.0:
        assert not sum(bank.stats()["pasted"].values())


def test_the_default_is_five_percent_and_the_papers_bank_has_none():
    assert TailMemoryBank(TAIL).budget == BUDGET == 0.05
    bank = TailMemoryBank((5,), budget=None, **ALL)
    bank(*blocks(30))
    bank(*plain(size=(40, 40)))
    assert bank.covered() == {"mean": 0.5 * 900 / 1600, "max": 900 / 1600}
    assert bank.stats()["shrunk"] == bank.stats()["skipped"] == {5: 0}


@settings(max_examples=100, deadline=None)
@given(wanted=st.lists(st.integers(1, 60), min_size=1, max_size=9), room=st.integers(0, 300))
def test_the_level_is_the_largest_that_fits(wanted, room):
    level = _level([float(pixels) for pixels in wanted], room)
    if math.isinf(level):
        assert sum(wanted) <= room
    else:
        assert sum(min(pixels, level) for pixels in wanted) == pytest.approx(room)
        assert level < max(wanted)


def test_large_objects_make_room_for_small_ones():
    """Of 100 pixels the squares of 1 and 16 keep theirs, those of 100 and 400 share the 83 that are left."""
    bank = TailMemoryBank((5, 6, 7, 8), budget=100 / 40**2, generator=seeded(0), **ALL)
    for side, label in ((1, 5), (4, 6), (10, 7), (20, 8)):
        images, target = plain(size=(40, 40))
        target[0, :side, :side] = label
        bank(images, target)
    shrunk = bank.stats()["shrunk"]
    _, labels = bank(*plain(batch=50, size=(40, 40)))
    areas = np.array([[int((image == label).sum()) for label in (5, 6, 7, 8)] for image in labels])
    assert areas[:, 0].max() == 1
    assert areas[:, 1].max() == 16
    assert areas[:, 2].max() == areas[:, 3].max() == 36  # the largest square within 41.5
    after = bank.stats()["shrunk"]
    assert {label: after[label] - shrunk[label] for label in after} == {5: 0, 6: 0, 7: 50, 8: 50}
    assert sum(bank.stats()["skipped"].values()) == 0


def test_no_class_is_served_before_another():
    """Two equal objects that do not fit together are cut to the same size, whatever their order."""
    bank = TailMemoryBank((5, 6), budget=0.02, generator=seeded(0), **ALL)
    bank(*blocks(10, 10))
    _, labels = bank(*plain(batch=200, size=(40, 40)))
    fives, sixes = ((labels == label).flatten(1).sum(1) for label in (5, 6))
    assert fives.max() == sixes.max() == 16  # of 32 pixels
    # where one covers part of the other, either may be the later one
    assert abs(int(fives.sum()) - int(sixes.sum())) < 0.1 * 16 * 200


def test_what_is_skipped_is_drawn_by_lot():
    """One pixel for three objects: each class has it as often as the others."""
    bank = TailMemoryBank(TAIL, budget=1 / 1600, generator=seeded(0), **ALL)
    bank(*blocks(3, 6, 9))
    _, labels = bank(*plain(batch=600, size=(40, 40)))
    assert (labels > 0).flatten(1).sum(1).tolist() == [1] * 600
    counts = np.array([int((labels == label).sum()) for label in TAIL])
    assert ((counts - 200) ** 2 / 200).sum() < 13.8  # chi-square of two degrees, 0.999
    assert sum(bank.stats()["skipped"].values()) == 2 * 600
    assert bank.metrics("")["skipped"] == pytest.approx(2 / 3)


def test_a_thin_object_is_cut_where_it_would_exceed_the_budget():
    """A column of 30 pixels in a wide box: the nearest neighbour may take all of it, or nothing."""
    images, target = plain(size=(40, 40))
    target[0, :30, 10] = target[0, 0, 29] = target[0, 0, 0] = 5
    for ratio in (0.3, 0.5, 0.7, 0.9):
        bank = TailMemoryBank((5,), sample_ratio=1.0, resize_ratio=ratio, budget=5 / 1600)
        bank(images, target)
        _, labels = bank(*plain(batch=8, size=(40, 40)))
        assert 1 <= (labels == 5).flatten(1).sum(1).max() <= 5


def test_void_has_no_share_in_the_budget():
    bank = TailMemoryBank((5,), budget=0.5, **ALL)
    bank(*blocks(20))
    images, target = plain(size=(40, 40))
    target[:, :, 8:] = 255
    for _ in range(20):
        _, labels = bank(images, target)
        assert (labels == 5).sum() <= 0.5 * 8 * 40
    bank(images, torch.full_like(target, 255))  # nothing is labelled, and nothing may be covered
    assert bank.stats()["skipped"] == {5: 1}


def test_a_device_that_is_not_asked_comes_to_the_same(monkeypatch):
    """Counts stay where the pixels are: the same labels by the other path, without one look at a value."""
    options = {"budget": 0.02, "sample_ratio": 1.0, "resize_ratio": 0.9}
    here = TailMemoryBank(TAIL, generator=seeded(1), **options)
    expected = run(here, range(8), batch=4)
    for module in (boxes_module, paste_module):
        monkeypatch.setattr(module, "synchronizes", lambda device: True)
    there = TailMemoryBank(TAIL, generator=seeded(1), **options)
    assert_same(expected, run(there, range(8), batch=4))
    assert there.metrics() == here.metrics()
    assert there.covered() == here.covered()


def test_resumes_with_what_was_covered(tmp_path):
    bank = TailMemoryBank(TAIL, generator=seeded(1), **ALL)
    run(bank, range(5))
    torch.save(bank.state_dict(), tmp_path / "state.pt")
    twin = TailMemoryBank(TAIL, **ALL)
    twin.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_same(run(bank, range(5, 9)), run(twin, range(5, 9)))
    assert twin.covered() == bank.covered()
    assert twin.metrics() == bank.metrics()
    assert 0 < twin.covered()["mean"] < twin.covered()["max"] <= BUDGET


def test_a_state_of_version_2_knows_no_budget():
    bank = TailMemoryBank(TAIL, generator=seeded(1), **ALL)
    run(bank, range(5))
    state = bank.get_extra_state()
    new = {"images", "covered", "recent_covered"}
    old = {key: value for key, value in state.items() if key not in new} | {"version": 2}
    old["counters"] = {k: v for k, v in state["counters"].items() if k not in ("shrunk", "skipped")}
    old["recent"] = [row[:-2] for row in state["recent"]]
    twin = TailMemoryBank(TAIL, **ALL)
    twin.set_extra_state(old)
    assert twin.covered() == {"mean": 0.0, "max": 0.0}
    assert_same(run(bank, range(5, 9)), run(twin, range(5, 9)))
    assert twin.stats()["pasted"] == bank.stats()["pasted"]
    assert twin.metrics()["bank/pasted"] == bank.metrics()["bank/pasted"]
    with pytest.raises(DataError, match=r"not the state of a TailMemoryBank \(version 1 to 3\)"):
        twin.set_extra_state(old | {"images": 3})


def test_pixels_by_number_are_a_budget_of_their_own():
    assert FixedPixelBank((5,)).budget is None
    with pytest.raises(TypeError, match="FixedPixelBank has no option budget"):
        FixedPixelBank((5,), budget=0.05)
