"""The optimiser: AdamW, its rates and its schedule (AUCSeg F.2), and which weights decay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import nn

from aucseg.training.section import Section

# A normalisation layer by the name of its class or of a base, as PyTorch, timm and others call theirs:
# LayerNorm, BatchNormAct2d, EvoNorm2dB0; but not NormFreeBlock, which holds none.
_NORM = re.compile(r"Norm(\d|d|Act|Tlu|Exp|Fp32|[A-Z]\d[a-z]?)*$")


class OptimConfig(Section):
    """AdamW with linear warm-up and polynomial decay; the defaults are those of AUCSeg F.2.

    Attributes:
        lr: base learning rate.
        weight_decay: decoupled weight decay.
        steps: optimiser steps of the whole run.
        warmup_steps: steps over which the rate rises linearly from ``warmup_lr`` to ``lr``.
        warmup_lr: first learning rate.
        power: exponent of the decay (1 - step/steps)^power.
        decoder_factor: the rate of everything but the encoder, in parts of the encoder's. An encoder that
            starts from ImageNet wants a lower rate than a decoder that starts from nothing; AUCSeg's
            released configurations have 10.
        decay_norm: whether the weight decay acts on normalisation layers and position embeddings too. It
            pulls their scales to zero; AUCSeg's released configurations exempt both, though not the biases
            of other layers.
    """

    lr: float = Field(6e-5, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    steps: int = Field(160_000, ge=1)
    warmup_steps: int = Field(1_500, ge=0)
    warmup_lr: float = Field(1e-6, ge=0)
    power: float = Field(1.0, ge=0)
    decoder_factor: float = Field(1.0, gt=0)
    decay_norm: bool = True

    @model_validator(mode="after")
    def _check(self) -> OptimConfig:
        if self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) must be below steps ({self.steps})")
        return self


def learning_rate(step: int, optim: OptimConfig) -> float:
    r"""Learning rate of one optimiser step: polynomial decay times linear warm-up.

    .. math:: \eta_t = \eta \, (1 - t/T)^{p}

    and, for the first :math:`T_w` steps, the straight line from the warm-up rate to the decayed rate that the
    schedule would have at :math:`T_w`.

    Args:
        step: optimiser step t, from 0 to ``optim.steps``.
        optim: rates and lengths; ``steps`` is T, ``warmup_steps`` is T_w, ``power`` is p.

    Returns:
        The rate, in [0, lr] unless ``warmup_lr`` exceeds ``lr``.
    """

    def decayed(t: int) -> float:
        return optim.lr * max(0.0, 1 - t / optim.steps) ** optim.power

    if step >= optim.warmup_steps:
        return decayed(step)
    done = step / optim.warmup_steps
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
    """
    undecayed = set() if optim.decay_norm else set(map(id, _undecayed(model, objective)))
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, True): [], (optim.decoder_factor, True): []}
    named = [(name, parameter) for name, parameter in model.named_parameters()]
    named += [(f"objective.{name}", parameter) for name, parameter in objective.named_parameters()]
    for name, parameter in named:
        rate = 1.0 if name.startswith("encoder.") else optim.decoder_factor
        groups.setdefault((rate, id(parameter) not in undecayed), []).append(parameter)
    return [
        {"params": parameters, "lr": rate} | ({} if decayed else {"weight_decay": 0.0})
        for (rate, decayed), parameters in groups.items()
    ]


def _undecayed(*modules: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters of normalisation layers, whoever wrote them, and position embeddings."""
    for root in modules:
        for module in root.modules():
            norm = any(_NORM.search(kind.__name__) for kind in type(module).__mro__)
            for name, parameter in module.named_parameters(recurse=False):
                if norm or name.startswith("pos_"):
                    yield parameter
