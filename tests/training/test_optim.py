from __future__ import annotations

import pytest
import torch

from aucseg.experiments import make_config
from aucseg.training import OptimConfig, SegmentationDataModule, SegmentationModule, learning_rate


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 1e-6),  # F.2: starts at 1e-6
        (5, (1e-6 + 0.9e-3) / 2),  # half way on a straight line to the decayed rate at step 10
        (10, 0.9e-3),
        (50, 0.5e-3),
        (99, 1e-5),
        (100, 0.0),
    ],
)
def test_hand_worked(step, expected):
    optim = OptimConfig(lr=1e-3, steps=100, warmup_steps=10, warmup_lr=1e-6, power=1.0)
    assert learning_rate(step, optim) == pytest.approx(expected, rel=1e-12)


def test_power_and_no_warmup():
    optim = OptimConfig(lr=1.0, steps=10, warmup_steps=0, power=2.0)
    assert [learning_rate(t, optim) for t in (0, 5, 10)] == pytest.approx([1.0, 0.25, 0.0])


def test_agrees_with_torch_polynomial_decay():
    optim = OptimConfig(lr=0.1, steps=20, warmup_steps=0, power=0.9)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    oracle = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=20, power=0.9)
    for step in range(20):
        assert learning_rate(step, optim) == pytest.approx(oracle.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        oracle.step()


@pytest.mark.parametrize("network", ["unet", "segnext"])
def test_the_decoder_has_a_rate_of_its_own(network):
    """One step of AdamW from fresh weights moves each of them by its rate, whatever the gradient."""
    config = make_config(
        "streets",
        "smoke",
        model={"name": network, "encoder": "resnet18", "options": {}},
        optim={"lr": 1e-3, "weight_decay": 0, "warmup_steps": 0, "decoder_factor": 10},
    )
    module = SegmentationModule(config, SegmentationDataModule(config).classes)
    before = {name: weight.detach().clone() for name, weight in module.model.named_parameters()}
    optimizer = module.configure_optimizers()["optimizer"]
    for weight in before:
        module.model.get_parameter(weight).grad = torch.ones_like(before[weight])
    optimizer.step()
    inside = set(module.model.encoder.parameters())
    moved = {True: [], False: []}
    for name, weight in module.model.named_parameters():
        moved[weight in inside].append((before[name] - weight.detach()).flatten())
    assert torch.cat(moved[True]).numpy() == pytest.approx(1e-3, rel=1e-3)
    assert torch.cat(moved[False]).numpy() == pytest.approx(1e-2, rel=1e-3)


def test_one_rate_is_one_group():
    """Checkpoints hold the state of the optimiser by group: those of earlier versions have one."""
    config = make_config("streets", "smoke")
    module = SegmentationModule(config, SegmentationDataModule(config).classes)
    (group,) = module.configure_optimizers()["optimizer"].param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in module.model.parameters()]
