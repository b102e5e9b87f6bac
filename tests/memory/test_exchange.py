"""Two gloo processes: each bank by itself, or all with the objects of all."""

from __future__ import annotations

import pytest
import torch

from tests.memory import ranks
from tests.processes import on_ranks


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    on_ranks(ranks.run, ranks.WORLD, str(folder))
    return [torch.load(folder / f"{rank}.pt") for rank in range(ranks.WORLD)]


def assert_equal(first, second):
    assert first["entries"] == second["entries"]
    for shelf, other in zip(first["crops"], second["crops"], strict=True):
        for one, two in zip(shelf, other, strict=True):
            assert all(torch.equal(*pair) for pair in zip(one, two, strict=True))


@pytest.mark.parametrize("dtype", ranks.DTYPES, ids=str)
def test_shared_objects_are_those_of_one_bank_that_sees_all(found, dtype):
    one = ranks.build()
    for step in range(ranks.STEPS):
        parts = [ranks.batch(rank, step, dtype) for rank in range(ranks.WORLD)]
        one(*(torch.cat(part) for part in zip(*parts, strict=True)))
    expected = ranks.content(one)
    assert expected["sizes"] == {5: 3, 6: 3, 7: 3}
    for results in found:
        result = results[f"all/{dtype}"]
        use = [[note[:2] + note[3:] for note in shelf] for shelf in result["entries"]]  # pastes differ
        assert use == [[note[:2] + note[3:] for note in shelf] for shelf in expected["entries"]]
        assert_equal(result | {"entries": 0}, expected | {"entries": 0})
        assert result["counters"]["stored"] == expected["counters"]["stored"]


def test_by_default_each_rank_has_its_own(found):
    for rank, results in enumerate(found):
        bank = ranks.build(share="all")  # no process group here: nobody to share with
        for step in range(ranks.STEPS):
            bank(*ranks.batch(rank, step))
        assert_equal(results["none"], ranks.content(bank))
    assert [results["none"]["sizes"] for results in found] == [{5: 3, 6: 3, 7: 0}, {5: 0, 6: 3, 7: 3}]


def test_ranks_with_different_images_are_told(found):
    for results, dtype in zip(found, ranks.DTYPES, strict=False):
        assert "the ranks' images differ in channels or dtype" in results["error"]
        assert str(dtype) in results["error"]
        assert "share='none'" in results["error"]


@pytest.mark.parametrize("name", ranks.JOINED)
def test_one_bank_of_the_whole_batch_is_that_of_one_process(found, name):
    """Pictures, labels, objects, counters and random state: all of them, bit for bit."""
    bank = ranks.joined(ranks.JOINED[name])
    for step in range(ranks.STEPS):
        parts = [ranks.batch(rank, step) for rank in range(ranks.WORLD)]
        images, target = bank(*(torch.cat(part) for part in zip(*parts, strict=True)))
        pasted = [results[f"batch/{name}"][0][step] for results in found]
        assert torch.equal(torch.cat([part[0] for part in pasted]), images)
        assert torch.equal(torch.cat([part[1] for part in pasted]), target)
    expected = ranks.whole_state(bank)
    assert sum(expected["counters"]["pasted"]) > 0
    for results in found:
        state = results[f"batch/{name}"][1]
        assert_equal(state, expected)
        assert torch.equal(state["generator"], expected["generator"])
        same = ("counters", "figures", "sizes", "recent", "policy", "steps", "images", "covered")
        assert {key: state[key] for key in same} == {key: expected[key] for key in same}


def test_what_cannot_be_one_bank_is_refused(found):
    for results in found:
        assert "max_cover=0.5 looks at the labels of every image" in results["max_cover"]
        assert "set share='none'" in results["fixed"]
