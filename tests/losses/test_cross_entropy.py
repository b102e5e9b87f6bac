from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aucseg.losses import cross_entropy


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 4, (2, 6, 5), generator=generator)
    target[0, :2] = 255
    return logits, target


def test_cross_entropy_is_torch_mean(batch):
    logits, target = batch
    torch.testing.assert_close(
        cross_entropy(logits, target), F.cross_entropy(logits, target, ignore_index=255)
    )


def test_cross_entropy_all_void_is_zero(batch):
    logits, target = batch
    loss = cross_entropy(logits, torch.full_like(target, 255))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()
