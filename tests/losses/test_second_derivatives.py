"""Second derivatives of the AUC losses, and the transforms of torch.func, against all pairs of pixels."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch.func import grad, hessian, vmap
from torch.nn import functional as F

from aucseg.functional.auc import auc_risk
from aucseg.losses import AUCLoss, AUCSegLoss, SumQueue
from tests.functional import oracle
from tests.functional.oracle import ACTIVATIONS, streets

K = 3
OPTIONS = (
    {},
    {"activation": "softmax"},
    {"activation": "identity", "margin": 5.0},
    {"multiclass": "ova"},
    {"surrogate": "exp", "scale": 2.0},
    {"surrogate": "logistic", "activation": "softmax"},
    {"surrogate": "hinge"},
    {"surrogate": "hinge", "margin": 0.37},
    {"surrogate": "squared_hinge", "margin": 0.37, "scale": 1.3},
    {"surrogate": "squared_hinge", "margin": 0.5, "multiclass": "ova"},
    {"pair_weights": [[0, 1, 2], [3, 0, 1], [1, 1, 0]]},
)
NAMES = ["-".join(map(str, options.values())) or "square" for options in OPTIONS]


def brute(options):
    """The loss by all pairs of pixels."""
    options = dict(options)
    activation, multiclass = options.pop("activation", "sigmoid"), options.pop("multiclass", "ovo")
    weights = torch.tensor(options.pop("pair_weights", [[1.0] * K] * K), dtype=torch.float64)
    margin = options.pop("margin", 1.0)
    every = oracle.pair_table if multiclass == "ovo" else oracle.one_versus_all

    def loss(logits, target):
        values = every(ACTIVATIONS[activation](logits), target, K, margin, **options)
        here = ~values.isnan()
        share = (weights if multiclass == "ovo" else torch.ones(K, dtype=torch.float64))[here]
        return (share * values[here]).sum() / share.sum()

    return loss


def network(weight, pixels):
    """A network whose own second derivative matters too."""
    return torch.einsum("kc,bchw->bkhw", weight, pixels).tanh() * 2


def hessian_vector(loss, weight, pixels, target, direction):
    """As a user writes it who lets parameters be without a part in the loss."""
    weight = weight.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(network(weight, pixels), target), weight, create_graph=True)
    (second,) = torch.autograd.grad((first * direction).sum(), weight, allow_unused=True)
    return first.detach(), second


def batch(seed=0):
    pixels, target = streets(2, 4, 4, 5, seed=seed, void=0.2)
    target = torch.where((target < K) | (target == 255), target, 0)
    generator = torch.Generator().manual_seed(seed)
    weight, direction = torch.randn(2, K, 4, generator=generator, dtype=torch.float64)
    return weight, pixels, target, direction


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_hessian_vector_product(options, fused, missing):
    weight, pixels, target, direction = batch()
    if missing:
        target[target == 1] = 0
    slow, slow_pairs = brute(options), brute(options)
    loss = AUCLoss(K, **options)
    if fused:
        loss = AUCSegLoss(K, ce_weight=0.6, **options)

        def slow(logits, target):
            return slow_pairs(logits, target) + 0.6 * F.cross_entropy(logits, target, ignore_index=255)

    first, second = hessian_vector(loss, weight, pixels, target, direction)
    expected = hessian_vector(slow, weight, pixels, target, direction)
    tolerance = {"rtol": 1e-8, "atol": 1e-10 + 1e3 * loss.error_bound}
    torch.testing.assert_close(first, expected[0], **tolerance)
    torch.testing.assert_close(second, expected[1], **tolerance)


@pytest.mark.parametrize("options", OPTIONS[:-1:3], ids=NAMES[:-1:3])
def test_gradgradcheck(options):
    logits, target = streets(1, K, 2, 3, seed=1, void=0.2)
    loss = AUCSegLoss(K, **options)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, target).square(), logits.requires_grad_())


def test_third_derivative():
    weight, pixels, target, direction = batch()
    found = []
    for loss in (AUCLoss(K), brute({})):
        weight = weight.detach().requires_grad_()
        value = loss(network(weight, pixels), target)
        for _ in range(3):
            (gradient,) = torch.autograd.grad(value, weight, create_graph=True)
            value = (gradient * direction).sum()
        found.append(gradient.detach())
    torch.testing.assert_close(*found)


def test_float32_and_half_come_close_too():
    weight, pixels, target, direction = batch()
    expected = hessian_vector(AUCSegLoss(K), weight, pixels, target, direction)[1]
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.1)):
        found = hessian_vector(
            AUCSegLoss(K), *(x.to(dtype) for x in (weight, pixels)), target, direction.to(dtype)
        )[1]
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


def test_second_derivatives_do_not_change_the_first():
    logits, target = streets(2, K, 6, 7, seed=0, void=0.2)
    for options in OPTIONS:
        loss, logits = AUCSegLoss(K, **options), logits.detach().requires_grad_()
        (plain,) = torch.autograd.grad(loss(logits, target), logits)
        (again,) = torch.autograd.grad(loss(logits, target), logits, create_graph=True)
        torch.testing.assert_close(again.detach(), plain, rtol=1e-10, atol=1e-13)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # inside torch.func
@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_transforms_of_torch_func(options):
    logits, target = streets(3, K, 3, 4, seed=2, void=0.2)
    loss, slow = AUCSegLoss(K, ce_weight=0.0, **options), brute(options)
    tolerance = {"rtol": 1e-8, "atol": 1e-10 + 1e3 * loss.error_bound}
    torch.testing.assert_close(grad(loss)(logits, target), grad(slow)(logits, target), **tolerance)
    torch.testing.assert_close(
        hessian(loss)(logits[:1], target[:1]), hessian(slow)(logits[:1], target[:1]), **tolerance
    )
    # the gradient of each image by itself
    found = vmap(grad(lambda x, y: loss(x[None], y[None])))(logits, target)
    for image, labels, gradient in zip(logits, target, found, strict=True):
        torch.testing.assert_close(gradient, grad(slow)(image[None], labels[None])[0], **tolerance)


def test_transforms_cannot_look_at_values():
    """A label that is none, which only an error could tell, makes the loss nan."""
    logits, target = streets(2, K, 3, 4, seed=2)
    target[1, 0, 0] = 17
    values = vmap(lambda x, y: AUCLoss(K)(x[None], y[None]))(logits, target)
    assert values[0].isfinite()
    assert values[1].isnan()


@pytest.mark.parametrize("margin", [1.0, 0.3])
def test_several_ranks_are_refused(margin, tmp_path):
    """Without an error the second derivatives between the ranks would be missing."""
    logits, target = streets(2, K, 3, 4, seed=2)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        loss = AUCLoss(K, surrogate="hinge", margin=margin)
        scores, rows, request = loss._batch(logits.requires_grad_(), target)
        risk, _ = auc_risk(scores, rows, request, group=dist.group.WORLD)
        assert torch.autograd.grad(risk, logits, retain_graph=True)[0].any()
        with pytest.raises(RuntimeError, match=r"several ranks or micro-batches has no second derivative"):
            torch.autograd.grad(risk, logits, create_graph=True)
    finally:
        dist.destroy_process_group()


def test_micro_batches_are_refused():
    logits, target = streets(2, K, 3, 4, seed=2)
    loss = AUCLoss(K)
    part = logits[:1].clone().requires_grad_()
    value = loss(part, target[:1], whole=loss.class_sums(logits, target))
    with pytest.raises(RuntimeError, match=r"no second derivative here.* without whole="):
        torch.autograd.grad(value, part, create_graph=True)
    with pytest.raises(RuntimeError, match=r"one whole batch: .*leave out queue"):
        grad(AUCLoss(K, queue=SumQueue(momentum=0.5)))(logits.detach(), target)


def test_queue_has_second_derivatives():
    """What the queue fills in is constant; the pixels that are there are not."""
    weight, pixels, target, direction = batch()
    first = target.masked_fill(target == 2, 0)
    found = []
    for second in (False, True):
        loss = AUCLoss(K, queue=SumQueue(batches=2))
        loss(network(weight, pixels), target)

        def fill(logits, labels, loss=loss):
            return loss.eval()(logits, labels)

        if second:
            found.append(hessian_vector(fill, weight, pixels, first, direction)[1])
        else:  # by central differences of the first
            step = 1e-5
            ends = [
                hessian_vector(fill, weight + s * step * direction, pixels, first, direction)[0]
                for s in (-1, 1)
            ]
            found.append((ends[1] - ends[0]) / (2 * step))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-8)


def test_compiled_whole_is_told_how():
    loss = AUCLoss(K)
    logits, target = streets(1, K, 3, 4, seed=0)
    compiled = torch.compile(lambda x, y: loss(x.tanh(), y), fullgraph=True, backend="eager")
    with pytest.raises(Exception, match=r"with fullgraph=True compile the network alone"):
        compiled(logits, target)
    broken = torch.compile(lambda x, y: loss(x.tanh(), y), backend="eager")
    assert torch.equal(broken(logits, target), loss(logits.tanh(), target))
