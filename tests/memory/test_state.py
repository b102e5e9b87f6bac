"""Counters, metrics, ages and sizes against batches worked out by hand; states that are saved and resumed."""

from __future__ import annotations

import io

import pytest
import torch

from aucseg.errors import DataError, OptionError
from aucseg.memory import TailMemoryBank
from aucseg.memory.state import WINDOW
from tests.memory.scenes import TAIL, assert_same, make, one_object, run, scene, seeded


def empty(batch=1):
    return torch.zeros(batch, 3, 20, 20), torch.zeros(batch, 20, 20, dtype=torch.long)


def test_three_batches_by_hand():
    bank = TailMemoryBank((5, 6), memory_size=1, sample_ratio=1.0)
    assert bank.metrics() == {"bank/objects": 0.0, "bank/bytes": 0.0}
    bank(*one_object(5))  # step 0: 5 is stored, 6 is missing and lost
    bank(*one_object(6))  # step 1: 6 is stored, 5 is missing and pasted at age 1
    bank(*empty(2))  # step 2: both are missing twice; 5 is pasted at age 2, 6 at age 1, twice each
    bank(*one_object(5))  # step 3: 5 is stored in place of the old one; 6 is missing and pasted at age 2
    assert bank.stats() == {
        "stored": {5: 2, 6: 1},
        "replaced": {5: 1, 6: 0},
        "missing": {5: 3, 6: 4},
        "pasted": {5: 3, 6: 3},
        "empty": {5: 0, 6: 1},
        "too_small": {5: 0, 6: 0},
        "crowded": {5: 0, 6: 0},
        "shrunk": {5: 0, 6: 0},
        "skipped": {5: 0, 6: 0},
        "pasted_age": {5: 5, 6: 4},
    }
    assert bank.ages() == {5: [1], 6: [3]}
    assert bank.metrics("") == {
        "missing": 7 / 10,  # of 5 images times 2 classes
        "stored": 3 / 5,
        "replaced": 1 / 5,
        "pasted": 6 / 5,
        "lost": 1 / 7,
        "crowded": 0.0,
        "shrunk": 0.0,
        "skipped": 0.0,
        # six pastes of 1 x 2 pixels into five images of 400, two into each of the last but one batch
        "covered": 12 / 400 / 5,
        "covered_most": 4 / 400,
        "pasted_age": 9 / 6,
        "coverage_before": 0.0,
        "coverage_after": 3 / 4,
        "objects": 2.0,
        "bytes": 2 * 12 * (3 * 4 + 1),
        "age": 2.0,
    }


def test_coverage_before_is_of_the_batch():
    bank = TailMemoryBank((5, 6), sample_ratio=0.0)
    images, target = (torch.cat(parts) for parts in zip(one_object(5), one_object(6), strict=True))
    bank(images, target)
    assert bank.metrics("")["coverage_before"] == 1.0
    assert bank.metrics("")["missing"] == 0.5
    assert "lost" not in bank.metrics("")


def test_coverage_after_against_the_labels():
    """With large images and small objects nothing is covered, so the labels say what the diary says."""
    bank = TailMemoryBank(TAIL, sample_ratio=0.5, generator=seeded(1))
    found = []
    for seed in range(20):
        _, labels = bank(*scene(seed, size=(64, 64), chance=0.3, void=False))
        found.append(set(TAIL) <= set(labels.unique().tolist()))
    assert 0 < sum(found) < 20
    assert bank.metrics("")["coverage_after"] == sum(found) / 20


def test_a_batch_of_another_scope_counts_batches():
    bank = TailMemoryBank((5, 6), scope="batch", sample_ratio=1.0)
    bank(*empty(3))
    assert bank.metrics("")["missing"] == 1.0
    assert bank.stats()["missing"] == {5: 1, 6: 1}


def test_the_window_forgets():
    bank = TailMemoryBank((5,), sample_ratio=1.0)
    bank(*empty())
    assert bank.metrics("")["lost"] == 1.0
    bank(*one_object(5))
    for _ in range(WINDOW):
        bank(*empty())
    assert bank.metrics("")["lost"] == 0.0
    assert bank.stats()["empty"] == {5: 1}
    assert bank.metrics("")["pasted_age"] == (WINDOW + 1) / 2


def test_metrics_are_plain_numbers_and_change_nothing():
    bank = TailMemoryBank(TAIL, sample_ratio=1.0, generator=seeded(0))
    run(bank, range(5))
    first = bank.metrics()
    assert first == bank.metrics()
    assert all(type(value) is float for value in first.values())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_nbytes(dtype):
    bank = TailMemoryBank(TAIL, memory_size=3, sample_ratio=1.0)
    run(bank, range(6), dtype=dtype)
    found = bank.nbytes()
    pixels = sum(mask.numel() for shelf in bank.objects().values() for _, mask in shelf)
    assert found["host"] == pixels * (3 * dtype.itemsize + 1)
    assert found["device"] == 0
    file = io.BytesIO()
    torch.save(bank.state_dict(), file)
    assert found["disk"] == len(file.getvalue())
    assert found["host"] < found["disk"]


def test_reset_starts_a_new_diary():
    bank = TailMemoryBank(TAIL)
    run(bank, range(3))
    bank.reset()
    assert bank.ages() == {label: [] for label in TAIL}
    assert bank.metrics() == {"bank/objects": 0.0, "bank/bytes": 0.0}
    assert not any(count for counts in bank.stats().values() for count in counts.values())


def test_exact_resume_from_a_safe_file(tmp_path):
    bank = make(3)
    run(bank, range(5))
    torch.save({"model": bank.state_dict()}, tmp_path / "state.pt")
    expected, stats = run(bank, range(5, 12)), bank.stats()
    fresh = make(99)
    run(fresh, range(20, 22))
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True)["model"])
    assert_same(expected, run(fresh, range(5, 12)))
    assert fresh.stats() == stats
    assert fresh.sizes() == bank.sizes()


def test_a_saved_state_does_not_change_later():
    bank = make(3)
    run(bank, range(3))
    state = bank.state_dict()
    stored = [len(crops) for crops in state["_extra_state"]["crops"]]
    run(bank, range(3, 12), chance=1.0)
    assert [len(crops) for crops in state["_extra_state"]["crops"]] == stored
    fresh = make(0)
    fresh.load_state_dict(state)
    again = make(3)
    run(again, range(3))
    assert_same(run(again, range(3, 8)), run(fresh, range(3, 8)))


def test_resumes_as_part_of_a_model():
    model = torch.nn.ModuleDict({"net": torch.nn.Conv2d(3, 2, 1), "bank": make(1)})
    run(model["bank"], range(3))
    twin = torch.nn.ModuleDict({"net": torch.nn.Conv2d(3, 2, 1), "bank": make(2)})
    twin.load_state_dict(model.state_dict())
    assert_same(run(model["bank"], range(3, 6)), run(twin["bank"], range(3, 6)))


def test_a_foreign_state_is_refused():
    state = make(0).state_dict()
    with pytest.raises(OptionError, match=r"tail classes \[5, 6, 7\], this bank has \[5, 6\]"):
        TailMemoryBank((5, 6)).load_state_dict(state)
    with pytest.raises(DataError, match=r"not the state of a TailMemoryBank .*got \['weights'\]"):
        make(0).load_state_dict({"_extra_state": {"weights": 1}})
    with pytest.raises(DataError, match="got list"):
        make(0).set_extra_state([])
    full = make(0)
    run(full, range(4), chance=1.0)
    with pytest.raises(OptionError, match=r"holds 2 objects of class 5, .*memory_size=1; build it with"):
        TailMemoryBank(TAIL, memory_size=1).load_state_dict(full.state_dict())
    damaged = full.get_extra_state()
    image, mask = damaged["crops"][0][0]
    damaged["crops"][0][0] = (image, mask[:0])
    with pytest.raises(DataError, match="damaged state: an object of class 5"):
        make(0).set_extra_state(damaged)
