"""Several gloo processes together compute the loss of the whole batch, value and gradient."""

from __future__ import annotations

import pytest
import torch

from aucseg.losses import AUCLoss, AUCSegLoss, SumQueue
from tests.losses import ranks
from tests.processes import on_ranks


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    on_ranks(ranks.run, ranks.WORLD, str(folder))
    return [torch.load(folder / f"{rank}.pt") for rank in range(ranks.WORLD)]


def joined(parts):
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


@pytest.mark.parametrize("name", ranks.LOSSES)
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("number", [2, 3])
def test_ranks_are_one_batch(found, name, fused, number):
    logits, target = joined(ranks.batch(number))
    logits.requires_grad_()
    expected = ranks.build(name, fused)(logits, target)
    expected.backward()
    for gradients, factor in (("summed", 1), ("averaged", number)):
        results = [found[rank][f"{name}/{fused}/{gradients}/{number}"] for rank in range(number)]
        for value, _ in results:
            torch.testing.assert_close(value, expected.detach())
        grad = torch.cat([grad for _, grad in results])
        torch.testing.assert_close(grad, factor * logits.grad)


@pytest.mark.parametrize("name", ranks.PIXELWISE)
@pytest.mark.parametrize("number", [2, 3])
def test_a_mean_over_pixels_is_over_those_of_all_ranks(found, name, number):
    logits, target = joined(ranks.batch(number))
    logits.requires_grad_()
    expected = ranks.PIXELWISE[name]()(logits, target)
    expected.backward()
    for gradients, factor in (("summed", 1), ("averaged", number)):
        results = [found[rank][f"{name}/{gradients}/{number}"] for rank in range(number)]
        for value, _ in results:
            torch.testing.assert_close(value, expected.detach())
        torch.testing.assert_close(torch.cat([grad for _, grad in results]), factor * logits.grad)
    for rank in range(number):
        alone = ranks.PIXELWISE[name]().eval()(*ranks.batch(number)[rank])
        torch.testing.assert_close(found[rank][f"{name}/evaluation/{number}"], alone)


def test_ranks_draw_noise_of_their_own(found):
    noises = [results["noise"] for results in found]
    assert not any(torch.equal(noises[i], noises[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_rank_alone_would_have_been_wrong():
    """What the ranks' own losses average to: not the loss of the batch, which has more pairs of classes."""
    parts = ranks.batch(2)
    alone = torch.stack([AUCLoss(ranks.K)(*part) for part in parts]).mean()
    assert (alone - AUCLoss(ranks.K)(*joined(parts))).abs() > 1e-3


def test_distributed_data_parallel_gets_the_gradient_of_the_batch(found):
    model = ranks.network()
    images, target = joined(ranks.pictures(3))
    AUCSegLoss(ranks.K, ce_weight=0.7)(model(images), target).backward()
    for results in found:
        for grad, parameter in zip(results["ddp"], model.parameters(), strict=True):
            torch.testing.assert_close(grad, parameter.grad)


@pytest.mark.parametrize("number", [2, 3])
def test_queues_stay_equal(found, number):
    loss = AUCLoss(ranks.K, queue=SumQueue(momentum=0.5))
    logits, target = joined(ranks.batch(number))
    for scale in (1.0, 2.0):
        expected = loss(logits * scale, target)
    for rank in range(number):
        torch.testing.assert_close(found[rank][f"queue/{number}"], expected)


@pytest.mark.parametrize("number", [2, 3])
def test_evaluation_waits_for_nobody(found, number):
    for rank in range(number):
        expected = AUCLoss(ranks.K)(*ranks.batch(number)[rank])
        torch.testing.assert_close(found[rank][f"evaluation/{number}"], expected)
