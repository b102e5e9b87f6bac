from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from aucseg.errors import OptionError
from aucseg.losses import AUCSegLoss, micro_batched

K = 4


def batch(images=6):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(images, 3, 8, 9, generator=generator, dtype=torch.float64)
    target = torch.randint(0, K, (images, 8, 9), generator=generator)
    target[0] = 0  # classes differ between micro-batches
    return pictures, target


def gradients(network, loss):
    network.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in network.parameters()]


@pytest.mark.parametrize("size", [1, 2, 4, 6, 9])
def test_the_gradient_is_that_of_the_whole_batch(size):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.GELU(), nn.Conv2d(8, K, 1))
    network = network.double()
    images, target = batch()
    criterion = AUCSegLoss(K, ce_weight=0.5)
    whole = gradients(network, criterion(network(images), target))
    parts = gradients(network, criterion(micro_batched(network, images, size), target))
    for mine, theirs in zip(parts, whole, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)
    if size == 2:  # what accumulation makes of it instead
        network.zero_grad()
        for part, labels in zip(images.split(2), target.split(2), strict=True):
            (criterion(network(part), labels) / 3).backward()
        away = (network[3].weight.grad - whole[4]).norm() / whole[4].norm()
        assert away > 0.01


def test_two_passes_by_sums_give_the_same():
    """The way of a loop of one's own: sums of all micro-batches first, then each with the whole."""
    torch.manual_seed(0)
    network = nn.Conv2d(3, K, 3, padding=1).double()
    images, target = batch()
    criterion = AUCSegLoss(K)
    expected = gradients(network, criterion(micro_batched(network, images, 2), target))
    parts = list(zip(images.split(2), target.split(2), strict=True))
    with torch.no_grad():
        sums = [criterion.class_sums(network(part), labels) for part, labels in parts]
    whole = sums[0] + sums[1] + sums[2]
    network.zero_grad()
    for part, labels in parts:
        criterion(network(part), labels, whole=whole).backward()
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)


def test_batch_norm_moves_once_and_dropout_repeats_itself():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Conv2d(8, K, 1)
    ).double()
    other = copy.deepcopy(network)
    images, target = batch()
    torch.manual_seed(1)
    criterion = AUCSegLoss(K)
    mine = gradients(network, criterion(micro_batched(network, images, 3), target))
    torch.manual_seed(1)
    theirs = gradients(other, criterion(torch.cat([other(part) for part in images.split(3)]), target))
    for one, two in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)
    assert network[1].num_batches_tracked == 2
    torch.testing.assert_close(network[1].running_var, other[1].running_var)


def test_any_output_and_a_size_that_is_none():
    network = nn.Conv2d(3, K, 1).double()
    images, _ = batch()
    found = micro_batched(network, images, 2, logits=lambda output: output[:, :2])
    assert found.shape == (6, 2, 8, 9)
    with torch.no_grad():
        assert not micro_batched(network, images, 2).requires_grad
    with pytest.raises(OptionError, match="size must be an int of at least 1, got 0"):
        micro_batched(network, images, 0)
