"""Work in threads gives what a loop gives, and leaves PyTorch's threads as they were."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import pytest
import torch

from aucseg.functional import Request, class_sums, parallel, surrogate_form
from aucseg.losses import AUCSegLoss
from tests.functional.oracle import streets


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_every_item_once_and_in_order(three_threads):
    seen = []

    def work(number):
        seen.append((number, threading.get_ident(), torch.get_num_threads()))
        return number * number

    assert parallel.in_threads(work, range(50)) == [n * n for n in range(50)]
    assert sorted(number for number, _, _ in seen) == list(range(50))
    assert {threads for _, _, threads in seen} == {1}
    assert torch.get_num_threads() == 3
    assert parallel.in_threads(work, []) == []


def test_the_threads_work_at_the_same_time(three_threads):
    meeting = threading.Barrier(3, timeout=60)
    parallel.in_threads(lambda number: meeting.wait(), range(3))


def test_threads_that_are_born_later_have_their_share(three_threads):
    parallel.in_threads(lambda number: None, range(3))
    found = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [3]


def test_an_error_of_any_thread_is_raised_when_all_have_ended(three_threads):
    running = []

    def work(number):
        running.append(number)
        if number == 5:
            raise KeyError("five")

    with pytest.raises(KeyError, match="five"):
        parallel.in_threads(work, range(20))
    assert torch.get_num_threads() == 3
    assert parallel.in_threads(str, range(4)) == ["0", "1", "2", "3"]


def test_the_modes_of_the_caller_go_along(three_threads):
    def modes(number):
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    assert set(parallel.in_threads(modes, range(9))) == {(True, False)}
    with torch.no_grad():
        assert set(parallel.in_threads(modes, range(9))) == {(False, False)}
    with torch.inference_mode():
        assert set(parallel.in_threads(modes, range(9))) == {(False, True)}


def test_scratch_is_lent_again_and_to_one_at_a_time(monkeypatch):
    monkeypatch.setattr(parallel, "_spare", SimpleQueue())
    first, second = parallel.borrow(), parallel.borrow()
    like = torch.zeros(0)
    with torch.inference_mode():
        block = first.get("a", 10, like, torch.float32)
    block.fill_(1)  # outside of the mode it was made in
    assert second.get("a", 10, like, torch.float32).data_ptr() != block.data_ptr()
    assert first.get("a", 4, like, torch.float32).data_ptr() == block.data_ptr()
    assert first.get("a", 4, like, torch.float64).dtype == torch.float64
    parallel.give_back(first, second)
    assert [parallel.borrow() for _ in range(3)][:2] == [first, second]


def test_too_much_scratch_goes_back_to_the_system(monkeypatch):
    monkeypatch.setattr(parallel, "_spare", SimpleQueue())
    monkeypatch.setattr(parallel, "_SPARE", 100)
    large = parallel.Scratch()
    large.get("a", 1000, torch.zeros(0), torch.float32)
    parallel.give_back(large)
    assert parallel.borrow() is not large


@pytest.mark.parametrize("weights", [None, torch.linspace(0.5, 2, 7, dtype=torch.float64)])
@pytest.mark.parametrize("name", ["square", "logistic"])
def test_sums_and_gradient_are_those_of_one_thread_to_the_last_bit(name, weights):
    logits, target = streets(3, 7, 120, 90, seed=4)
    rows = torch.where(target == 255, 7, target).flatten(1)
    request = Request(surrogate_form(name, tolerance=1e-3), 7, cross_entropy=True)

    def result():
        leaf = logits.float().flatten(2).requires_grad_()
        parts = [v for v in vars(class_sums(leaf, rows, request, weights)).values() if v.requires_grad]
        (gradient,) = torch.autograd.grad(sum((part * part).sum() for part in parts), leaf)
        return [*(part.detach() for part in parts), gradient]

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = result()
        torch.set_num_threads(3)
        together = result()
    finally:
        torch.set_num_threads(before)
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


def test_two_threads_of_the_user_take_their_losses_at_once(three_threads):
    logits, target = streets(2, 5, 200, 200, seed=1)
    loss = AUCSegLoss(5)
    expected = loss(logits, target)
    found = []
    users = [
        threading.Thread(target=lambda: found.extend(loss(logits, target) for _ in range(5)))
        for _ in range(3)
    ]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert len(found) == 15
    assert all(torch.equal(value, expected) for value in found)
