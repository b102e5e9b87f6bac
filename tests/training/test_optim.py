from __future__ import annotations

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from aucseg.experiments import make_config
from aucseg.models import create_model
from aucseg.training import (
    ConfigError,
    OptimConfig,
    SegmentationDataModule,
    SegmentationModule,
    learning_rate,
    train,
)
from aucseg.training.optim import encoder_layers, make_optimizer, parameter_groups


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


def test_polynomial_decay_ends_at_the_floor():
    """The schedule of the release of BLV: power 0.9, floor 1e-4, by hand at three steps."""
    optim = OptimConfig(name="sgd", lr=0.01, steps=100, warmup_steps=0, power=0.9, floor=1e-4)
    for step, expected in ((0, 0.01), (50, 1e-4 + 0.0099 * 0.5**0.9), (100, 1e-4)):
        assert learning_rate(step, optim) == pytest.approx(expected, rel=1e-12)


def test_milestones_agree_with_torch():
    optim = OptimConfig(lr=0.1, steps=20, warmup_steps=0, schedule="step", milestones=(5, 12), gamma=0.3)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    oracle = torch.optim.lr_scheduler.MultiStepLR(optimizer, [5, 12], gamma=0.3)
    for step in range(20):
        assert learning_rate(step, optim) == pytest.approx(oracle.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        oracle.step()


def test_a_warm_up_by_ratio_follows_the_schedule():
    """K-Net in BLV: 1,000 steps from a thousandth of the rate."""
    options = {"lr": 6e-5, "steps": 80_000, "warmup_steps": 1_000, "warmup_ratio": 1e-3}
    steps = OptimConfig(**options, schedule="step", milestones=(60_000, 72_000))
    expected = {0: 6e-8, 500: 6e-5 * 0.5005, 1_000: 6e-5, 60_000: 6e-6, 79_999: 6e-7}
    for step, rate in expected.items():
        assert learning_rate(step, steps) == pytest.approx(rate, rel=1e-9)
    poly = OptimConfig(**options)
    assert learning_rate(500, poly) == pytest.approx(6e-5 * (1 - 500 / 80_000) * 0.5005, rel=1e-9)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_the_textbook_s(nesterov):
    """v <- m v + g + d w, and w <- w - rate v, with Nesterov's look ahead w - rate (g + d w + m v)."""
    optim = OptimConfig(
        name="sgd", lr=0.1, momentum=0.8, nesterov=nesterov, weight_decay=0.01, steps=10, warmup_steps=0
    )
    model = nn.Linear(1, 1, bias=False).double()
    optimizer, schedule = make_optimizer(optim, model, nn.Identity())
    weight = velocity = model.weight.item()
    velocity = 0.0
    for step, gradient in enumerate((0.5, -0.2, 0.7)):
        model.weight.grad = torch.full_like(model.weight, gradient)
        optimizer.step()
        schedule.step()
        whole = gradient + 0.01 * weight
        velocity = 0.8 * velocity + whole
        weight -= learning_rate(step, optim) * (whole + 0.8 * velocity if nesterov else velocity)
        assert model.weight.item() == pytest.approx(weight, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"momentum": 0.5}, "momentum has no part in name 'adamw'; leave it out, got 0.5"),
        ({"name": "sgd", "momentum": 0, "nesterov": True}, "nesterov is a kind of momentum"),
        ({"milestones": (5,)}, "milestones has no part in schedule 'poly'"),
        ({"schedule": "step"}, r"milestones of schedule 'step' rise between 0 and steps \(20\)"),
        ({"schedule": "step", "milestones": (9, 5)}, r"got \[9, 5\]"),
        ({"schedule": "step", "milestones": (20,)}, r"got \[20\]"),
        ({"schedule": "step", "milestones": (5,), "floor": 1e-6}, "floor has no part in schedule 'step'"),
        ({"floor": 1.0}, "floor"),
        ({"warmup_ratio": 0.1, "warmup_lr": 1e-5}, "both say where the warm-up begins"),
    ],
)
def test_what_does_not_go_together_is_said(options, told):
    with pytest.raises(ValueError, match=told):
        OptimConfig(steps=20, warmup_steps=2, **options)


@pytest.mark.parametrize(
    ("network", "encoder", "blocks"),
    [
        ("unet", "resnet18", 8),
        ("unet", "mit_b0", 8),  # lists the norms and embeddings of all stages beside the blocks
        ("segnext", "mscan_t", 13),
        ("unet", "tu-tf_efficientnet_lite0", 16),
    ],
)
def test_the_blocks_of_an_encoder_in_their_order(network, encoder, blocks):
    model = create_model(network, encoder, num_classes=3)
    layers = encoder_layers(model)
    assert len(layers) == 1 + blocks
    found = [id(p) for layer in layers for p in layer]
    assert sorted(found) == sorted(map(id, model.encoder.parameters()))
    if encoder == "mit_b0":
        name = {id(p): n.split(".")[0] for n, p in model.encoder.named_parameters()}
        stages = [{int(name[id(p)][-1]) for p in layer} for layer in layers]
        assert stages == [{1}, {1}, {1, 2}, {2}, {2, 3}, {3}, {3, 4}, {4}, {4}]


def test_rates_fall_with_the_depth():
    optim = OptimConfig(layer_decay=0.5, decoder_factor=4.0, norm_factor=0.25, warmup_steps=0)
    model = create_model("unet", "resnet18", num_classes=3)
    groups = parameter_groups(optim, model, nn.Identity())
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rate) == sum(1 for _ in model.parameters())
    expected = {
        "encoder.conv1.weight": 0.5**9,
        "encoder.bn1.weight": 0.5**9 / 4,
        "encoder.layer1.0.conv1.weight": 0.5**8,
        "encoder.layer4.1.conv2.weight": 0.5,
        "encoder.layer4.1.bn2.bias": 0.5 / 4,
        "segmentation_head.0.weight": 4.0,
        "decoder.blocks.0.conv1.1.weight": 1.0,  # a norm
    }
    assert {name: rate[id(model.get_parameter(name))] for name in expected} == expected
    with pytest.raises(ConfigError, match=r"optim\.layer_decay is for the blocks of an encoder"):
        parameter_groups(optim, nn.Conv2d(1, 1, 1), nn.Identity())


class _Gradients(Callback):
    """The length of the gradient that each step moves the weights by."""

    def __init__(self) -> None:
        self.lengths: list[float] = []

    def on_before_zero_grad(self, trainer, module, optimizer) -> None:
        parts = [p.grad.norm() for p in module.parameters() if p.grad is not None]
        if parts:
            self.lengths.append(torch.stack(parts).norm().item())


def test_a_run_with_sgd_cuts_its_gradients(tmp_path):
    optim = {"name": "sgd", "lr": 0.05, "steps": 3, "warmup_steps": 0, "clip_norm": 0.01}
    config = make_config("streets", "smoke", optim=optim)
    seen = _Gradients()
    record = train(config, tmp_path, progress=False, callbacks=(seen,))
    assert seen.lengths == pytest.approx([0.01] * len(seen.lengths), rel=1e-3)
    assert len(seen.lengths) >= 2
    assert record.history["learning_rate"] == pytest.approx([0.05, 0.05 * 2 / 3, 0.05 / 3])
