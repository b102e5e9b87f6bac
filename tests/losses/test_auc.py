from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.losses import AUCLoss
from tests.functional.oracle import pair_mean, pair_table, streets
from tests.losses.base import LossTester

ACTIVATIONS = {"sigmoid": torch.sigmoid, "softmax": lambda x: x.softmax(1), "identity": lambda x: x}


class TestAUCLoss(LossTester):
    factory = AUCLoss


class TestAUCLossSoftmax(LossTester):
    @staticmethod
    def factory(num_classes, **options):
        return AUCLoss(num_classes, activation="softmax", **options)


class TestAUCLossSum(LossTester):
    @staticmethod
    def factory(num_classes, **options):
        return AUCLoss(num_classes, reduction="sum", **options)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@settings(max_examples=15, deadline=None)
@given(
    k=st.integers(2, 6),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    void=st.sampled_from((0.0, 0.5, 1.0)),
    margin=st.sampled_from((0.5, 1.0, 3.0)),
    seed=st.integers(0, 2**31),
)
def test_value_and_gradient_equal_all_pairs(activation, k, height, width, void, margin, seed):
    logits, target = streets(2, k, height, width, seed=seed, void=void)
    fast, slow = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = AUCLoss(k, activation=activation, margin=margin)(fast, target)
    expected = pair_mean(ACTIVATIONS[activation](slow), target, k, margin)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-8, atol=1e-12)


def test_reductions_agree():
    logits, target = streets(2, 5, 8, 8, seed=0)
    target[target == 4] = 0
    table = AUCLoss(5, reduction="none")(logits, target)
    torch.testing.assert_close(table, pair_table(logits.sigmoid(), target, 5), equal_nan=True)
    total, mean = AUCLoss(5, reduction="sum")(logits, target), AUCLoss(5)(logits, target)
    torch.testing.assert_close(total, table.nansum())
    torch.testing.assert_close(total, mean * 4 * 3)  # n(n - 1) ordered pairs of the n = 4 classes present


def test_table_has_a_gradient_through_nanmean():
    logits, target = streets(2, 5, 4, 4, seed=0)
    target[target == 4] = 0
    grads = []
    for reduce in (
        lambda x: AUCLoss(5, reduction="none")(x, target).nanmean(),
        lambda x: AUCLoss(5)(x, target),
    ):
        x = logits.clone().requires_grad_()
        grads.append(torch.autograd.grad(reduce(x), x)[0])
    torch.testing.assert_close(*grads)


def test_single_class_is_zero():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = AUCLoss(3)(logits, torch.ones(2, 4, 4, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_descent_separates_the_classes():
    """Minimising the loss on free logits ranks every pair of pixels the right way."""
    logits, target = streets(1, 4, 8, 8, seed=1)
    logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        loss = AUCLoss(4)(logits, target)
        loss.backward()
        optimizer.step()
    assert loss < 0.01
    rows, labels = logits.detach().movedim(1, -1).reshape(-1, 4), target.reshape(-1)
    for c in range(4):
        assert rows[labels == c, c].min() > rows[(labels != c) & (labels != 255), c].max()


def test_large_offset_in_float32_is_exact():
    """E[x^2] - E[x]^2 would have lost every digit here: scores near 10000 with a spread of 1."""
    logits, target = streets(2, 4, 40, 40, seed=2)
    shifted = (logits + 1e4).float().requires_grad_()
    loss = AUCLoss(4, activation="identity")(shifted, target)
    loss.backward()
    exact = shifted.detach().double().requires_grad_()
    expected = pair_mean(exact, target, 4)
    expected.backward()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(shifted.grad.double(), exact.grad, rtol=1e-3, atol=1e-7)


def test_images_of_the_batch_form_one_set_of_pixels():
    """Eq. 7 pairs the pixels of the whole batch: one wide image with the same pixels has the same loss."""
    logits, target = streets(3, 4, 6, 6, seed=3)
    wide = torch.cat(list(logits), dim=2)[None]
    torch.testing.assert_close(
        AUCLoss(4)(logits, target), AUCLoss(4)(wide, torch.cat(list(target), dim=1)[None])
    )


def test_unknown_options_at_construction():
    for options, known in (
        ({"activation": "relu"}, "'sigmoid', 'softmax', 'identity'"),
        ({"surrogate": "cubic"}, "'square'"),
        ({"multiclass": "all"}, "'ovo'"),
        ({"reduction": "max"}, "'mean', 'sum', 'none'"),
    ):
        with pytest.raises(ValueError, match=f"unknown {next(iter(options))} .*; use one of {known}"):
            AUCLoss(4, **options)
    with pytest.raises(ValueError, match="margin must be a positive number, got -1"):
        AUCLoss(4, margin=-1)


def test_stateless():
    assert AUCLoss(19).state_dict() == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["highest", "high"])
def test_cuda_agrees(precision):
    logits, target = streets(2, 19, 64, 64, seed=4)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        here, there = logits.float().requires_grad_(), logits.float().cuda().requires_grad_()
        loss, other = AUCLoss(19)(here, target), AUCLoss(19)(there, target.cuda())
        loss.backward()
        other.backward()
    finally:
        torch.set_float32_matmul_precision(before)
    torch.testing.assert_close(loss, other.cpu(), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(here.grad, there.grad.cpu(), rtol=1e-4, atol=1e-9)
