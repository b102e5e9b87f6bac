from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import aucseg.functional.moments as module
from aucseg.functional import class_moments
from tests.functional.oracle import flat, streets


def brute(scores, target, k):
    rows, labels = flat(scores.double(), target)
    count, mean, var = torch.zeros(k), torch.zeros(k, k), torch.zeros(k, k)
    count, mean, var = count.double(), mean.double(), var.double()
    for d in range(k):
        own = rows[labels == d]
        if len(own):
            count[d], mean[d], var[d] = len(own), own.mean(0), own.var(0, unbiased=False)
    return count, mean, var


def assert_moments(moments, expected, **tolerance):
    for name, value in zip(("count", "mean", "var"), expected, strict=True):
        torch.testing.assert_close(getattr(moments, name), value, **tolerance)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3),
    k=st.integers(2, 7),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    void=st.sampled_from((0.0, 0.3, 0.95, 1.0)),
    seed=st.integers(0, 2**31),
)
def test_equals_class_by_class(batch, k, height, width, void, seed):
    scores, target = streets(batch, k, height, width, seed=seed, void=void)
    assert_moments(class_moments(scores, target, k), brute(scores, target, k), rtol=1e-12, atol=1e-13)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_CPU", 1)
    monkeypatch.setattr(module, "_CHUNK_MIN_PIXELS", 7)


def test_chunks_are_merged_exactly(small_chunks):
    scores, target = streets(2, 5, 13, 11, seed=3)
    assert_moments(class_moments(scores, target, 5), brute(scores, target, 5), rtol=1e-12, atol=1e-13)
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: _table(s, target, 5), scores)


def _table(scores, target, k):
    moments = class_moments(scores, target, k)
    return torch.stack((moments.mean, moments.var))


@pytest.mark.parametrize("void", [0.0, 0.3, 1.0])
def test_gradcheck(void):
    scores, target = streets(2, 4, 3, 5, seed=1, void=void)
    target[target == 2] = 1  # a class that is missing
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: _table(s, target, 4), scores)


def test_gradient_of_float32_equals_brute_force():
    scores, target = streets(2, 6, 17, 19, seed=5)
    weight = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fast = scores.float().requires_grad_()
    moments = class_moments(fast, target, 6)
    (weight[0] * moments.mean + weight[1] * moments.var).sum().backward()
    slow = scores.float().double().requires_grad_()
    rows, labels = flat(slow, target)
    total = sum(
        (weight[0, d] * rows[labels == d].mean(0)).sum()
        + (weight[1, d] * rows[labels == d].var(0, unbiased=False)).sum()
        for d in range(6)
        if (labels == d).any()
    )
    total.backward()
    torch.testing.assert_close(fast.grad.double(), slow.grad, rtol=1e-4, atol=1e-8)
    assert (fast.grad[(target == 255)[:, None].expand_as(fast)] == 0).all()


@pytest.mark.parametrize("offset", [1e3, -1e4, 1e6])
def test_a_common_offset_costs_no_digits(offset):
    scores, target = streets(2, 5, 32, 32, seed=7)
    shifted = (scores + offset).float()
    moments = class_moments(shifted, target, 5)
    assert_moments(moments, brute(shifted, target, 5), rtol=1e-6, atol=1e-6)
    assert (moments.var >= 0).all()


def test_many_pixels_of_one_value_have_no_variance():
    scores = torch.full((1, 3, 300, 300), 0.1)
    moments = class_moments(scores, torch.zeros(1, 300, 300, dtype=torch.long), 3)
    assert (moments.var == 0).all()
    assert moments.mean[0].tolist() == pytest.approx([0.1] * 3, rel=1e-7)
    assert moments.count.tolist() == [90000, 0, 0]


@pytest.mark.parametrize("layout", ["channels_last", "transposed", "strided", "expanded"])
def test_layouts(layout):
    scores, target = streets(2, 5, 6, 8, seed=2)
    other = {
        "channels_last": lambda s: s.contiguous(memory_format=torch.channels_last),
        "transposed": lambda s: s.transpose(2, 3).contiguous().transpose(2, 3),
        "strided": lambda s: torch.stack((s, s + 1), dim=-1)[..., 0],
        "expanded": lambda s: s[:1].expand(2, -1, -1, -1),
    }[layout](scores).detach()
    plain = other.clone(memory_format=torch.contiguous_format)
    grads = []
    for s in (plain.requires_grad_(), other.requires_grad_()):
        moments = class_moments(s, target, 5)
        (grad,) = torch.autograd.grad(moments.mean.sin().sum() + moments.var.sum(), s)
        grads.append((moments.mean, grad))
    torch.testing.assert_close(grads[0][0], grads[1][0], rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(grads[0][1], grads[1][1], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_the_accelerator_path_agrees(monkeypatch, precision):
    """What accelerators run, on the CPU, also where the user allows matmuls of less precision."""
    scores, target = streets(2, 5, 40, 40, seed=4)
    scores = scores.float() + 3
    expected = class_moments(scores, target, 5)
    rows = torch.where(target == 255, 5, target)[0].flatten()
    values = scores[0].flatten(1).t().contiguous()
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        total = module._onehot_sum(values, rows, 6)
        monkeypatch.setattr(module, "_sum_by_class", module._onehot_sum)
        moments = class_moments(scores, target, 5)
    finally:
        torch.set_float32_matmul_precision(before)
    exact = torch.zeros(6, 5, dtype=torch.float64).index_add_(0, rows, values.double())
    torch.testing.assert_close(total.double(), exact, rtol=1e-6, atol=1e-5)
    assert_moments(moments, (expected.count, expected.mean, expected.var), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_integer_dtypes_of_the_target(dtype):
    scores, target = streets(1, 4, 5, 5, seed=6)
    moments = class_moments(scores, target.to(dtype), 4)
    assert_moments(moments, brute(scores, target, 4))


def test_other_void_labels():
    scores, target = streets(1, 4, 5, 5, seed=6)
    expected = brute(scores, target, 4)
    assert_moments(class_moments(scores, torch.where(target == 255, -100, target), 4, -100), expected)
    with_void_class = brute(scores, torch.where(target == 1, 255, target), 4)
    target = torch.where(target == 255, 1, target)
    assert class_moments(scores, target, 4, ignore_index=1).count[1] == 0
    torch.testing.assert_close(class_moments(scores, target, 4, ignore_index=1).mean, with_void_class[1])


def test_255_in_uint8_is_not_minus_one():
    target = torch.full((1, 2, 2), 255, dtype=torch.uint8)
    with pytest.raises(ValueError, match="label 255"):
        class_moments(torch.zeros(1, 3, 2, 2), target, 3, ignore_index=-1)


def test_empty_batch():
    scores = torch.zeros(0, 3, 4, 4, requires_grad=True)
    moments = class_moments(scores, torch.zeros(0, 4, 4, dtype=torch.long), 3)
    moments.mean.sum().backward()
    assert moments.count.tolist() == [0, 0, 0]
    assert scores.grad.shape == (0, 3, 4, 4)


def test_volumes_and_signals():
    """Any number of spatial axes."""
    scores, target = streets(2, 3, 4, 6, seed=8)
    flat_moments = class_moments(scores.flatten(2), target.flatten(1), 3)
    volume = class_moments(scores.view(2, 3, 2, 2, 6), target.view(2, 2, 2, 6), 3)
    assert_moments(flat_moments, brute(scores, target, 3))
    assert_moments(volume, brute(scores, target, 3))
