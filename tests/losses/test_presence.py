from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from aucseg.losses import class_presence, presence_cross_entropy

K = 5


def drawn(seed: int, images: int, void: float = 0.3):
    """Logits of presence and labels of few pixels, some void."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, K, generator=generator, dtype=torch.float64)
    target = torch.randint(0, K, (images, 2, 2), generator=generator)
    target[torch.rand(target.shape, generator=generator) < void] = 255
    return logits, target


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.0, 0.5, 0.9]))
def test_presence_is_a_set_of_labels(seed, images, void):
    _, target = drawn(seed, images, void)
    for row, labels in zip(class_presence(target, K), target, strict=True):
        assert set(row.nonzero().flatten().tolist()) == set(labels.flatten().tolist()) - {255}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_is_the_log_loss_over_images_that_have_a_label(seed, images):
    logits, target = drawn(seed, images, void=0.6)
    target[0, 0, 0] = 2
    truth, probability = [], []
    for row, labels in zip(logits.tolist(), target.flatten(1).tolist(), strict=True):
        if set(labels) == {255}:
            continue
        truth += [k in labels for k in range(K)]
        probability += [1 / (1 + math.exp(-value)) for value in row]
    expected = log_loss(truth, probability, labels=[False, True])
    assert float(presence_cross_entropy(logits, target)) == pytest.approx(expected)


def test_by_hand():
    """Classes 0 and 1 of three are there, the third is not; 7 is void."""
    logits = torch.tensor([[0.0, math.log(3), -math.log(3)]])
    target = torch.tensor([[[0, 1], [7, 7]]])
    expected = (math.log(2) + math.log(4 / 3) + math.log(4 / 3)) / 3
    assert float(presence_cross_entropy(logits, target, ignore_index=7)) == pytest.approx(expected)


def test_gradient():
    logits, target = drawn(0, 3)
    target[1] = 255
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: presence_cross_entropy(x, target), (logits,))
    presence_cross_entropy(logits, target).backward()
    assert not logits.grad[1].any()
    assert logits.grad[0].all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    """As the logits of a head under autocast come."""
    logits, target = drawn(0, 4)
    logits = logits.to(dtype).requires_grad_()
    found, exact = presence_cross_entropy(logits, target), presence_cross_entropy(logits.double(), target)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(exact.item(), rel=1e-6)
    found.backward()
    assert logits.grad.dtype == dtype


def test_all_void_is_zero():
    logits, target = drawn(0, 2)
    logits.requires_grad_()
    loss = presence_cross_entropy(logits, torch.full_like(target, 255))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_bad_input_is_named():
    logits, target = drawn(0, 2, void=0)
    with pytest.raises(ValueError, match="label 5"):
        presence_cross_entropy(logits, target.clamp(min=5))
    with pytest.raises(ValueError, match=r"\(2, 5, 2, 2\) for 2 images"):
        presence_cross_entropy(logits[:, :, None, None].expand(2, 5, 2, 2), target)
    with pytest.raises(ValueError, match="for 1 images"):
        presence_cross_entropy(logits, target[:1])
    with pytest.raises(TypeError, match="float"):
        presence_cross_entropy(logits, target.float())


def test_labels_of_any_width_and_shape():
    logits, target = drawn(0, 2)
    value = presence_cross_entropy(logits, target)
    assert torch.equal(presence_cross_entropy(logits, target.to(torch.uint8)[:, None]), value)
    assert torch.equal(presence_cross_entropy(logits, target.int()[..., None]), value)
    with pytest.raises(ValueError, match=r"argmax\(1\)"):
        presence_cross_entropy(logits, torch.zeros(2, 5, 6, 6))


def test_one_number_for_two_classes_is_that_of_class_1():
    _, target = drawn(0, 4, void=0)
    target = (target > 1).long()
    target[0], target[1], target[2] = 0, 1, 255
    logits = torch.tensor([[0.3], [-1.2], [4.0], [0.7]])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[[0, 1, 3], 0], torch.tensor([0.0, 1.0, float((target[3] == 1).any())])
    )
    torch.testing.assert_close(presence_cross_entropy(logits, target), expected)
