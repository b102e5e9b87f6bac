"""Convolution and batch norm as their formulas have them, for tests that rebuild a block by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def shaken(module: nn.Module) -> nn.Module:
    """The module in evaluation mode, with batch norms that do something."""
    generator = torch.Generator().manual_seed(1)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, low in ((norm.running_mean, -0.5), (norm.running_var, 0.5)):
                assert values is not None
                values.copy_(low + torch.rand(values.shape, generator=generator))
    return module.eval()


def normed(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Batch norm with the running statistics, and with weight 1 and bias 0 as a new one has."""
    mean, variance = norm.running_mean, norm.running_var
    return (x - mean.view(-1, 1, 1)) / (variance.view(-1, 1, 1) + 1e-5).sqrt()


def convolved(x: Tensor, block: nn.Sequential, stride: int = 1) -> Tensor:
    """Convolution and batch norm of a block without its activation; depthwise where the weight says so."""
    weight = block[0].weight
    groups = x.shape[1] // weight.shape[1]
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
    return normed(x, block[1])
