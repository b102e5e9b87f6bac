from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aucseg.losses import AUCLoss
from aucseg.training import LossConfig, Objective


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 4, (2, 6, 5), generator=generator)
    target[0, :2] = 255
    return logits, target


@pytest.mark.parametrize("weight", [0.0, 0.25, 3.0])
def test_auc_objective_is_algorithm_2_line_21(batch, weight):
    logits, target = batch
    parts = Objective(LossConfig(name="auc", ce_weight=weight), 4)(logits.float(), target)
    expected = AUCLoss(4)(logits.float(), target) + weight * F.cross_entropy(
        logits.float(), target, ignore_index=255
    )
    torch.testing.assert_close(parts["loss"], expected)
    assert set(parts) == {"loss", "auc", "cross_entropy"}


def test_cross_entropy_objective_has_no_auc_part(batch):
    logits, target = batch
    parts = Objective(LossConfig(name="cross_entropy"), 4)(logits.float(), target)
    assert set(parts) == {"loss", "cross_entropy"}
    assert parts["loss"].requires_grad
    assert not parts["cross_entropy"].requires_grad
