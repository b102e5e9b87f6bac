"""The optimiser: AdamW or SGD, its rates and its schedule, and which weights decay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from aucseg.training.section import ConfigError, Section

MOST_STEPS = 10**9
"""Steps that nobody waits for: who writes more has made a slip."""

# A normalisation layer by the name of its class or of a base, as PyTorch, timm and others call theirs:
# LayerNorm, BatchNormAct2d, EvoNorm2dB0; but not NormFreeBlock, which holds none.
_NORM = re.compile(r"Norm(\d|d|Act|Tlu|Exp|Fp32|[A-Z]\d[a-z]?)*$")


class OptimConfig(Section):
    """Optimiser and schedule; the defaults are AUCSeg's (F.2): AdamW, linear warm-up and polynomial decay.

    What a convolutional network has in the other two papers is ``name: sgd, lr: 0.01, weight_decay: 5e-4,
    power: 0.9, floor: 1e-4, warmup_steps: 0`` (BLV 4.1) or ``weight_decay: 1e-4`` (Region Rebalance 4).

    Attributes:
        name: ``"adamw"``, whose weight decay is decoupled, or ``"sgd"``, whose is part of the gradient.
        lr: base learning rate.
        momentum: of SGD.
        nesterov: whether SGD looks ahead, as Nesterov's momentum does.
        weight_decay: weight decay.
        steps: optimiser steps of the whole run.
        schedule: ``"poly"``, or ``"step"``, which falls at the milestones.
        warmup_steps: steps over which the rate rises linearly from ``warmup_lr`` to ``lr``.
        warmup_lr: first learning rate.
        warmup_ratio: the first rate in parts of the one that the schedule has there, in the place of
            ``warmup_lr``; see :func:`learning_rate`.
        power: exponent of the decay (1 - step/steps)^power.
        floor: what the polynomial decay ends at; 0 in AUCSeg, 1e-4 in the release of BLV.
        milestones: steps at which the rate is multiplied by ``gamma``; 60,000 and 72,000 for K-Net in BLV.
        gamma: that factor.
        decoder_factor: the rate of everything but the encoder, in parts of the encoder's. An encoder that
            starts from ImageNet wants a lower rate than a decoder that starts from nothing; AUCSeg's
            released configurations have 10.
        norm_factor: the rate of normalisation layers and position embeddings, in parts of the others' rate.
        layer_decay: by what the rate falls from each block of the encoder to the one before it: 1 for one
            rate, 0.9 or so for large transformers; see :func:`encoder_layers`.
        decay_norm: whether the weight decay acts on normalisation layers and position embeddings too. It
            pulls their scales to zero; AUCSeg's released configurations exempt both, though not the biases
            of other layers.
        clip_norm: the length that the gradient of all weights together is cut to; ``None`` for no limit.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(6e-5, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(0.01, ge=0)
    steps: int = Field(160_000, ge=1, le=MOST_STEPS)
    schedule: Literal["poly", "step"] = "poly"
    warmup_steps: int = Field(1_500, ge=0, le=MOST_STEPS)
    warmup_lr: float = Field(1e-6, ge=0)
    warmup_ratio: float | None = Field(None, ge=0, le=1)
    power: float = Field(1.0, ge=0)
    floor: float = Field(0.0, ge=0)
    milestones: tuple[int, ...] = ()
    gamma: float = Field(0.1, gt=0, lt=1)
    decoder_factor: float = Field(1.0, gt=0)
    norm_factor: float = Field(1.0, gt=0)
    layer_decay: float = Field(1.0, gt=0, le=1)
    decay_norm: bool = True
    clip_norm: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _check(self) -> OptimConfig:
        if self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) must be below steps ({self.steps})")
        for key, of in (("name", _OF_OPTIMIZER), ("schedule", _OF_SCHEDULE)):
            chosen = getattr(self, key)
            for unused in (name for other, names in of.items() if other != chosen for name in names):
                value = getattr(self, unused)
                if value != type(self).model_fields[unused].default:
                    raise ValueError(f"{unused} has no part in {key} {chosen!r}; leave it out, got {value!r}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov is a kind of momentum, and momentum is 0")
        if self.warmup_ratio is not None and self.warmup_lr != type(self).model_fields["warmup_lr"].default:
            raise ValueError(
                f"warmup_lr ({self.warmup_lr}) and warmup_ratio ({self.warmup_ratio}) both say where the "
                "warm-up begins; leave one out"
            )
        if self.floor > self.lr:
            raise ValueError(f"floor ({self.floor}) is not above lr ({self.lr})")
        if self.schedule == "step":
            ends = (0, *self.milestones, self.steps)
            if len(ends) == 2 or any(a >= b for a, b in pairwise(ends)):
                raise ValueError(
                    f"milestones of schedule 'step' rise between 0 and steps ({self.steps}), at least one, "
                    f"got {list(self.milestones)}"
                )
        return self


# What each optimiser and each schedule has for itself: set for another, it would make another run of the
# same numbers.
_OF_OPTIMIZER = {"sgd": ("momentum", "nesterov")}
_OF_SCHEDULE = {"poly": ("power", "floor"), "step": ("milestones", "gamma")}


def learning_rate(step: int, optim: OptimConfig) -> float:
    r"""Learning rate of one optimiser step: polynomial decay or milestones, times linear warm-up.

    .. math::

        \eta_t = f + (\eta - f) (1 - t/T)^{p} \quad \text{or} \quad
        \eta_t = \eta \, \gamma^{\,|\{m : m \le t\}|}

    and, for the first :math:`T_w` steps, the straight line from the warm-up rate to the decayed rate that the
    schedule would have at :math:`T_w`. With a ratio r the warm-up follows the schedule, as mmsegmentation's
    does: :math:`\eta_t (1 - (1 - r)(1 - t / T_w))`.

    Args:
        step: optimiser step t, from 0 to ``optim.steps``.
        optim: rates and lengths; ``steps`` is T, ``warmup_steps`` is T_w, ``power`` is p, ``floor`` is f.

    Returns:
        The rate, in [0, lr] unless ``warmup_lr`` exceeds ``lr``.
    """

    def decayed(t: int) -> float:
        if optim.schedule == "step":
            return optim.lr * optim.gamma ** sum(milestone <= t for milestone in optim.milestones)
        return optim.floor + (optim.lr - optim.floor) * max(0.0, 1 - t / optim.steps) ** optim.power

    if step >= optim.warmup_steps:
        return decayed(step)
    done = step / optim.warmup_steps
    if optim.warmup_ratio is not None:
        return decayed(step) * (1 - (1 - optim.warmup_ratio) * (1 - done))
    return optim.warmup_lr + done * (decayed(optim.warmup_steps) - optim.warmup_lr)


def make_optimizer(
    optim: OptimConfig, model: nn.Module, objective: nn.Module
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """The optimiser of a run, and the schedule that is stepped with it.

    Args:
        optim: rates, decay and lengths.
        model: the network; parameters whose names begin with ``encoder.`` have the base rate, all others
            ``decoder_factor`` times as much.
        objective: its parameters are trained at the decoder's rate.
    """
    groups = parameter_groups(optim, model, objective)
    # The rate is the scheduler's alone: with a base of 1 its factor is the rate itself.
    optimizer: torch.optim.Optimizer
    if optim.name == "sgd":
        optimizer = torch.optim.SGD(
            groups,
            lr=1.0,
            momentum=optim.momentum,
            nesterov=optim.nesterov,
            weight_decay=optim.weight_decay,
        )
    else:
        optimizer = torch.optim.AdamW(groups, lr=1.0, weight_decay=optim.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, optim))
    return optimizer, schedule


def parameter_groups(optim: OptimConfig, model: nn.Module, objective: nn.Module) -> list[dict[str, Any]]:
    """Every parameter once, in a group for each rate and decay.

    A checkpoint holds the state of the optimiser by group: a run of one rate and one decay has one group, and
    one of two rates has two, as the checkpoints of earlier versions have.

    Args:
        optim: rates and decay.
        model: the network.
        objective: the objective.

    Returns:
        Groups for an optimiser of base rate 1, ``"lr"`` in parts of the encoder's rate; the encoder's first.

    Raises:
        ConfigError: for a ``layer_decay`` where the network has no encoder of several blocks.
    """
    norms = set(map(id, _norms(model, objective)))
    depth: dict[int, int] = {}
    if optim.layer_decay < 1:
        layers = encoder_layers(model)
        if len(layers) < 2:
            raise ConfigError(
                "optim.layer_decay is for the blocks of an encoder, and none are found in this network",
                remedy="leave it out",
            )
        depth = {id(p): len(layers) - number for number, layer in enumerate(layers) for p in layer}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, True): [], (optim.decoder_factor, True): []}
    if depth:
        groups = {}
    named = [(name, parameter) for name, parameter in model.named_parameters()]
    named += [(f"objective.{name}", parameter) for name, parameter in objective.named_parameters()]
    for name, parameter in named:
        rate = 1.0 if name.startswith("encoder.") else optim.decoder_factor
        rate *= optim.layer_decay ** depth.get(id(parameter), 0)
        norm = id(parameter) in norms
        if norm:
            rate *= optim.norm_factor
        groups.setdefault((rate, optim.decay_norm or not norm), []).append(parameter)
    return [
        {"params": parameters, "lr": rate} | ({} if decayed else {"weight_decay": 0.0})
        for (rate, decayed), parameters in groups.items()
    ]


def encoder_layers(model: nn.Module) -> list[list[nn.Parameter]]:
    r"""The parameters of a network's encoder by depth, for rates that fall from layer to layer.

    The stem is the first layer, and each block is one: an element of a sequence or list of modules that has
    modules in it, as a residual or a transformer block has. What lies between blocks, such as a norm or a
    patch embedding, belongs to the block before it. The order is that in which an image passes through them:
    some encoders list all norms first. With L of them the i-th, from 0, has the rate
    :math:`\eta \, d^{L - i}` for a ``layer_decay`` of d (Bao et al., 2022, BEiT).

    Args:
        model: a network with an ``encoder`` that takes images (B,3,H,W).

    Returns:
        Lists of parameters, the stem's first; none without an encoder.

    Raises:
        ConfigError: if the encoder takes no image of 64 x 64 nor one of 224 x 224.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        return []
    blocks = {id(part): block for block in _blocks(encoder) for part in block.modules()}
    layers: list[list[nn.Parameter]] = [[]]
    begun: list[nn.Module] = []
    seen: set[int] = set()

    def visit(part: nn.Module, _: Any) -> None:
        block = blocks.get(id(part))
        if block is not None and not any(block is other for other in begun):
            begun.append(block)
            layers.append([])
        for parameter in (block or part).parameters(recurse=block is not None):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                layers[-1].append(parameter)

    hooks = [part.register_forward_pre_hook(visit) for part in encoder.modules() if part is not encoder]
    try:
        _pass_through(encoder)
    finally:
        for hook in hooks:
            hook.remove()
    layers[0] += [p for p in encoder.parameters() if id(p) not in seen]  # of the encoder itself
    return [layer for layer in layers if layer]


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The innermost elements of sequences and lists of modules that have modules with weights in them."""
    listed = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
    for child in module.children():
        inner = list(_blocks(child))
        if inner:
            yield from inner
        elif listed and any(True for part in child.children() for _ in part.parameters()):
            yield child


def _pass_through(encoder: nn.Module) -> None:
    """Let one image pass, with nothing changed by it."""
    mode = encoder.training
    first = next(encoder.parameters(), torch.zeros(()))
    failed: Exception | None = None
    for side in (64, 224):
        try:
            with torch.no_grad():
                encoder.eval()(torch.zeros(1, 3, side, side, device=first.device, dtype=first.dtype))
            return
        except (RuntimeError, ValueError, AssertionError) as error:
            failed = error
        finally:
            encoder.train(mode)
    raise ConfigError(f"optim.layer_decay: the encoder takes no image to find its layers by: {failed}")


def _norms(*modules: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters of normalisation layers, whoever wrote them, and position embeddings."""
    for root in modules:
        for module in root.modules():
            norm = any(_NORM.search(kind.__name__) for kind in type(module).__mro__)
            for name, parameter in module.named_parameters(recurse=False):
                if norm or name.startswith("pos_"):
                    yield parameter
