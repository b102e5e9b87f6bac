from __future__ import annotations

import pytest
import torch
from torch import nn

from aucseg.experiments import make_config
from aucseg.training import OptimConfig, SegmentationDataModule, SegmentationModule, learning_rate
from aucseg.training.optim import make_optimizer, parameter_groups


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


@pytest.mark.parametrize(
    ("network", "encoder"),
    [("unet", "resnet18"), ("segnext", "resnet18"), ("unet", "tu-tf_efficientnet_lite0")],
)
def test_the_decoder_has_a_rate_of_its_own(network, encoder):
    """One step of AdamW from fresh weights moves each of them by its rate, whatever the gradient."""
    config = make_config(
        "streets",
        "smoke",
        model={"name": network, "encoder": encoder, "options": {}},
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
    for inside, rate in ((True, 1e-3), (False, 1e-2)):
        distance = torch.cat(moved[inside])
        torch.testing.assert_close(distance, torch.full_like(distance, rate), rtol=1e-3, atol=1e-12)


def test_one_rate_is_one_group():
    """Checkpoints hold the state of the optimiser by group: those of earlier versions have one."""
    config = make_config("streets", "smoke")
    module = SegmentationModule(config, SegmentationDataModule(config).classes)
    (group,) = module.configure_optimizers()["optimizer"].param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in module.model.parameters()]


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(4))


class FilterResponseNorm(Scale):
    """A normalisation layer that is none of PyTorch's."""


class NormFreeBlock(Scale):
    """A block that does without; timm has one of this name."""


class Network(nn.Module):
    """Layers with and without a norm in them, each once in the encoder and once outside."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = self.block()
        self.decoder = self.block()
        self.norm_weight = nn.Parameter(torch.ones(1))  # its name alone makes no norm

    @staticmethod
    def block() -> nn.Module:
        block = nn.Sequential(
            nn.Conv2d(4, 4, 3),
            nn.BatchNorm2d(4),
            nn.GroupNorm(2, 4),
            nn.LayerNorm(4),
            nn.InstanceNorm2d(4, affine=True),
            FilterResponseNorm(),
            NormFreeBlock(),
        )
        block.pos_embed = nn.Parameter(torch.zeros(1, 4, 2, 2))
        return block


class Distance(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.ones(4))
        self.norm = nn.LayerNorm(4)


def grouped(optim: OptimConfig, objective: nn.Module) -> dict[tuple[float, float], list[str]]:
    """Names of the parameters by rate and decay."""
    model = Network()
    names = {id(p): name for name, p in model.named_parameters()}
    names |= {id(p): f"objective.{name}" for name, p in objective.named_parameters()}
    optimizer, _ = make_optimizer(optim, model, objective)
    found = {
        (group["initial_lr"], group["weight_decay"]): [names[id(p)] for p in group["params"]]
        for group in optimizer.param_groups
    }
    assert sorted(name for group in found.values() for name in group) == sorted(names.values())  # each once
    return found


def test_norms_of_every_kind_may_be_exempt_from_decay():
    optim = OptimConfig(weight_decay=0.1, decoder_factor=10.0, decay_norm=False)
    groups = grouped(optim, Distance())
    assert set(groups) == {(1.0, 0.1), (10.0, 0.1), (1.0, 0.0), (10.0, 0.0)}
    decayed = ["0.weight", "0.bias", "6.gamma"]
    assert groups[1.0, 0.1] == [f"encoder.{name}" for name in decayed]
    assert groups[10.0, 0.1] == ["norm_weight", *(f"decoder.{name}" for name in decayed), "objective.point"]
    exempt = ["pos_embed", *(f"{i}.{name}" for i in (1, 2, 3, 4) for name in ("weight", "bias")), "5.gamma"]
    assert groups[1.0, 0.0] == [f"encoder.{name}" for name in exempt]
    own = ["objective.norm.weight", "objective.norm.bias"]
    assert groups[10.0, 0.0] == [f"decoder.{name}" for name in exempt] + own


def test_without_an_exemption_groups_are_those_of_the_rates():
    """Their state is that of checkpoints which were written before there was an exemption."""
    assert OptimConfig().decay_norm
    (names,) = grouped(OptimConfig(weight_decay=0.1), Distance()).values()
    everything = [name for name, _ in Network().named_parameters()]
    assert names[: len(everything)] == everything
    two = grouped(OptimConfig(weight_decay=0.1, decoder_factor=10.0), nn.Identity())
    assert list(two) == [(1.0, 0.1), (10.0, 0.1)]
    assert two[1.0, 0.1] == [name for name in everything if name.startswith("encoder.")]


def test_a_network_without_an_encoder_keeps_two_groups():
    """So had the checkpoints of networks that are one whole."""
    optim = OptimConfig(decoder_factor=10.0)
    groups = parameter_groups(optim, nn.Conv2d(1, 1, 1), nn.Identity())
    assert [len(group["params"]) for group in groups] == [0, 2]


def test_what_is_exempt_does_not_shrink():
    """Without a gradient AdamW moves a weight by its decay alone: 1 - rate x decay of it is left."""
    optim = OptimConfig(lr=0.5, weight_decay=0.1, steps=10, warmup_steps=0, decay_norm=False)
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    optimizer, _ = make_optimizer(optim, model, nn.Identity())
    for parameter in model.parameters():
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    left = [parameter.item() for parameter in model.parameters()]
    assert left == pytest.approx([0.95, 0.95, 1, 1])


@pytest.mark.parametrize(
    ("network", "encoder"),
    [("segnext", "mscan_t"), ("unet", "resnet18"), ("unet", "tu-tf_efficientnet_lite0")],
)
def test_a_network_of_the_package_has_all_its_norms_exempt(network, encoder):
    model = {"name": network, "encoder": encoder, "options": {}}
    config = make_config("streets", "smoke", model=model, optim={"decay_norm": False})
    module = SegmentationModule(config, SegmentationDataModule(config).classes)
    decayed, exempt = module.configure_optimizers()["optimizer"].param_groups
    assert (decayed["weight_decay"], exempt["weight_decay"]) == (0.01, 0.0)
    norms = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
    expected = {id(p) for m in module.model.modules() if isinstance(m, norms) for p in m.parameters()}
    assert {id(p) for p in exempt["params"]} == expected
