from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from aucseg.errors import OptionError
from aucseg.functional import checks, hinge
from aucseg.functional.checks import check_count, label_map, logits_and_labels, where_float64_is, widest
from aucseg.losses import AUCLoss, AUCSegLoss, SumQueue, WeightedCrossEntropyLoss, cross_entropy
from tests.functional.oracle import streets


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_every_integer_is_a_number(value):
    assert check_count("size", value, 1) == 3
    assert type(check_count("size", value, 1)) is int


@pytest.mark.parametrize("value", [0, -1, 2.0, np.float64(2), "2", None, True, False, np.bool_(True), [2]])
def test_what_is_no_number_is_named(value):
    with pytest.raises(OptionError, match=r"size must be an int of at least 1, got .*; 5 is usual"):
        check_count("size", value, 1, note="; 5 is usual")


def test_a_number_may_be_too_large():
    assert check_count("bins", 9, 2, most=9) == 9
    with pytest.raises(OptionError, match="bins must be an int from 2 to 9, got 10"):
        check_count("bins", 10, 2, most=9)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_axis_for_a_channel_is_left_out(axes):
    size = (3, 4, 5)[:axes]
    labels = torch.randint(0, 7, (2, *size))
    for shaped in (labels, labels[:, None], labels[..., None]):
        found = label_map(shaped, 7, size, axes=axes)
        assert torch.equal(found, labels)
        assert found.data_ptr() == labels.data_ptr()


def test_axes_of_length_one_are_told_apart_by_the_size():
    """A picture one pixel high or wide has two such axes."""
    for size in ((1, 4), (4, 1), (1, 1)):
        labels = torch.arange(size[0] * size[1]).view(1, *size)
        for shaped in (labels[:, None], labels[..., None]):
            assert torch.equal(label_map(shaped, 7, size), labels)


def test_two_classes_may_be_one_channel_or_booleans():
    logits = torch.randn(2, 1, 3, 4)
    target = torch.rand(2, 3, 4) < 0.5
    two, labels = logits_and_labels(logits, target, 2)
    assert torch.equal(two[:, 1:], logits)
    assert not two[:, 0].any()
    assert labels.dtype == torch.uint8
    assert torch.equal(labels.bool(), target)


class Without64(TorchDispatchMode):
    """A device that knows no float64, as Apple's GPUs: whatever makes one fails."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        found = result if isinstance(result, (tuple, list)) else [result]
        if any(isinstance(part, torch.Tensor) and part.dtype == torch.float64 for part in found):
            raise TypeError(f"{func}: the device does not support float64")
        return result


@pytest.fixture
def narrow(monkeypatch):
    """The CPU, taken for such a device."""
    monkeypatch.setattr(checks, "WITHOUT_FLOAT64", {"cpu"})
    monkeypatch.setattr(checks, "synchronizes", lambda device: True)
    monkeypatch.setattr(hinge, "BACKENDS", {})
    assert widest(torch.device("cpu")) == torch.float32


LOSSES = {
    "square": lambda: AUCSegLoss(4),
    "one versus all": lambda: AUCLoss(4, multiclass="ova", activation="softmax"),
    "table": lambda: AUCLoss(4, tail_classes=[3]),
    "logistic": lambda: AUCLoss(4, surrogate="logistic"),
    "sorted": lambda: AUCSegLoss(4, surrogate="hinge", margin=0.3),
    "sorted square": lambda: AUCLoss(4, surrogate="squared_hinge", margin=0.3, tail_classes=[2]),
    "queue": lambda: AUCLoss(4, queue=SumQueue(momentum=0.5)),
    "cross entropy": lambda: cross_entropy,
    "weighted": lambda: WeightedCrossEntropyLoss([1.0, 2.0, 3.0, 4.0]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_need_no_float64(name, narrow, monkeypatch):
    logits, target = streets(2, 4, 6, 7, seed=0, void=0.2)
    logits = logits.float().requires_grad_()
    loss = LOSSES[name]()
    if isinstance(loss, torch.nn.Module):
        loss.to("cpu")  # where its buffers become float32
    if name == "logistic":  # its tables are made in float64 on the CPU, and copied to the device once
        loss.form.matrix_like(torch.empty(0))
        loss.form.slopes(loss.form.own, torch.empty(0, loss.form.degree))
    with Without64():
        value = loss(logits, target)
        (gradient,) = torch.autograd.grad(value, logits)
    monkeypatch.undo()
    exact = LOSSES[name]()
    wide = logits.detach().double().requires_grad_()
    expected = exact(wide, target)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    (expected_gradient,) = torch.autograd.grad(expected, wide)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-4, atol=1e-6)


def test_buffers_follow_to_a_device_without_float64(monkeypatch):
    loss = AUCLoss(4, tail_classes=[3], queue=SumQueue(batches=2))
    assert loss.pair_weights.dtype == loss.queue.own.dtype == torch.float64
    monkeypatch.setattr(checks, "WITHOUT_FLOAT64", {"meta"})
    loss.to("meta")
    assert loss.pair_weights.dtype == loss.queue.own.dtype == torch.float32
    assert loss.queue.age.dtype == torch.int64


def test_counts_are_computed_where_float64_is(monkeypatch):
    counts = torch.arange(3)
    assert where_float64_is(counts) is counts
    moved = []
    monkeypatch.setattr(checks, "WITHOUT_FLOAT64", {"cpu"})
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: moved.append(self) or self)
    assert where_float64_is(counts) is counts
    assert moved == [counts]
