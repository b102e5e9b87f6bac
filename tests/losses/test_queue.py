from __future__ import annotations

import pytest
import torch

from aucseg.losses import AUCLoss, SumQueue
from tests.functional.oracle import pair_table, streets


def without(target, label):
    return torch.where(target == label, 0, target)


def first_and_second(k=4):
    """A batch with all classes, and one without the last."""
    x, y = streets(2, k, 8, 8, seed=0, void=0)
    z, w = streets(2, k, 8, 8, seed=1, void=0)
    return x, y, z, without(w, k - 1)


def mixed_table(x, y, z, w, k=4):
    """Pairs of all pixels of the second batch and the last class of the first, by going through them."""
    last = y == k - 1
    label = torch.full_like(y, 255)
    label[last] = k - 1
    return pair_table(torch.cat((z, x)).sigmoid(), torch.cat((w, label)), k)


def test_a_missing_class_is_the_one_of_the_last_batch_that_held_it():
    x, y, z, w = first_and_second()
    for options in ({"momentum": 0.0}, {"batches": 1}, {"batches": 3}):
        loss = AUCLoss(4, queue=SumQueue(**options), reduction="none")
        loss(x, y)
        torch.testing.assert_close(loss(z, w), mixed_table(x, y, z, w), equal_nan=True)


def test_the_gradient_ranks_the_batch_against_what_is_remembered():
    x, y, z, w = first_and_second()
    loss = AUCLoss(4, queue=SumQueue(momentum=0.9))
    loss(x, y)
    fast, slow = z.clone().requires_grad_(), z.clone().requires_grad_()
    loss(fast, w).backward()
    mixed_table(x, y, slow, w).nanmean().backward()
    torch.testing.assert_close(fast.grad, slow.grad)
    assert (fast.grad[:, 3] != 0).all()  # the channel of the missing class is trained


def test_batches_are_pixels_of_several_batches_together():
    k = 3
    batches = [streets(1, k, 6, 6, seed=seed, void=0) for seed in range(4)]
    loss = AUCLoss(k, queue=SumQueue(batches=2), reduction="none")
    for x, y in batches[:3]:
        loss(x, y)
    z, w = batches[3][0], without(batches[3][1], 2)
    old = [torch.where(y == 2, 2, 255) for _, y in batches[1:3]]
    scores = torch.cat((z, batches[1][0], batches[2][0])).sigmoid()
    expected = pair_table(scores, torch.cat((w, *old)), k)
    torch.testing.assert_close(loss(z, w), expected, equal_nan=True)


def test_momentum_is_a_moving_average_of_means():
    queue = SumQueue(momentum=0.75)
    loss = AUCLoss(3, queue=queue)
    means = []
    for seed in range(3):
        x, y = streets(1, 3, 6, 6, seed=seed, void=0)
        loss(x, y)
        means.append(x.sigmoid()[0, 1][y[0] == 2].mean())
    expected = 0.75 * (0.75 * means[0] + 0.25 * means[1]) + 0.25 * means[2]
    torch.testing.assert_close(queue.other[0, 2, 1, 0], expected)


def test_age():
    x, y, z, w = first_and_second()
    loss = AUCLoss(4, queue=SumQueue(momentum=0.5, max_age=2), reduction="none")
    plain = AUCLoss(4, reduction="none")
    loss(x, y)
    for missing in (True, True, False):
        table = loss(z, w)
        assert table[3, 0].isfinite() == missing
    torch.testing.assert_close(table, plain(z, w), equal_nan=True)
    assert loss(x, y).isfinite().sum() == 12  # seen again


def test_an_empty_queue_changes_nothing():
    x, y, *_ = first_and_second()
    y = without(y, 3)
    torch.testing.assert_close(AUCLoss(4, queue=SumQueue(momentum=0.9))(x, y), AUCLoss(4)(x, y))


def test_evaluation_leaves_it_alone():
    x, y, z, w = first_and_second()
    loss = AUCLoss(4, queue=SumQueue(momentum=0.9))
    loss(x, y)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    loss.eval()(z, w)
    with torch.no_grad():
        loss.train()(z, w)
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


@pytest.mark.parametrize("options", [{"momentum": 0.9}, {"batches": 4, "max_age": 9}])
def test_state_is_saved(options, tmp_path):
    x, y, z, w = first_and_second()
    loss, other = (AUCLoss(4, queue=SumQueue(**options)) for _ in range(2))
    loss(x, y)
    torch.save(loss.state_dict(), tmp_path / "loss.pt")
    other.load_state_dict(torch.load(tmp_path / "loss.pt", weights_only=True))
    assert torch.equal(loss(z, w), other(z, w))


def test_one_versus_all_weighs_a_remembered_class_like_a_batch():
    x, y, z, w = first_and_second()
    loss = AUCLoss(4, multiclass="ova", queue=SumQueue(batches=1), reduction="none")
    loss(x, y)
    counts = torch.bincount(w.flatten(), minlength=4).double()
    counts[3] = (y == 3).sum()
    table = mixed_table(x, y, z, w)
    expected = (counts[1:] * table[0, 1:]).sum() / counts[1:].sum()
    torch.testing.assert_close(loss(z, w)[0], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give momentum or batches, one of them; got None and None"),
        ({"momentum": 0.5, "batches": 2}, "one of them; got 0.5 and 2"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"batches": 0}, "batches must be an int of at least 1, got 0"),
        ({"momentum": 0.5, "max_age": 1.5}, "max_age must be an int of at least 1, got 1.5"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        SumQueue(**options)


def test_what_cannot_be_queued():
    with pytest.raises(ValueError, match=r"a queue cannot hold what this loss needs: .*order"):
        AUCLoss(4, surrogate="hinge", margin=0.5, queue=SumQueue(momentum=0.9))
