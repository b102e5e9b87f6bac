"""Parts of a batch in one process; several processes are in ``tests/losses/test_ranks.py``."""

from __future__ import annotations

import torch

from aucseg.functional import ChannelSums
from aucseg.functional.distributed import of_whole_batch, scale_gradient


def test_values_of_the_whole_and_the_gradient_of_the_part():
    part = [torch.tensor(value, requires_grad=True) for value in ([[1.0]], [[2.0]], 3.0)]
    whole = ChannelSums(torch.tensor([[10.0]]), torch.tensor([[20.0]]), torch.tensor(30.0))
    sums = of_whole_batch(ChannelSums(*part), whole, None)
    assert [value.item() for value in vars(sums).values()] == [10.0, 20.0, 30.0]
    # d(own * rest + cross entropy): the factors are those of the whole batch
    grads = torch.autograd.grad((sums.own * sums.rest).sum() + sums.cross_entropy, part)
    assert [grad.item() for grad in grads] == [20.0, 10.0, 1.0]


def test_a_batch_that_is_whole_is_left_as_it_is():
    sums = ChannelSums(*torch.rand(3, 1, 1))
    assert vars(of_whole_batch(sums, None, None)) == vars(sums)


def test_scaled_gradient():
    x = torch.tensor(3.0, requires_grad=True)
    value = scale_gradient(x, 4.0)
    assert value == x
    assert torch.autograd.grad(value, x)[0] == 4
