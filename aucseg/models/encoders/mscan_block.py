"""The block that MSCAN is made of: attention by convolutions (Guo et al., 2022, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

# Modules are named as in the released checkpoints of MSCAN, so that those load as they are.


class MultiScaleGate(nn.Module):
    """An image times its own context, gathered at four scales (Guo et al., Eqs. 1 and 2).

    A depthwise 5x5, then beside it pairs of depthwise strips 1xk and kx1 for k = 7, 11 and 21, which cost
    2k where a kxk would cost k^2. Their sum, mixed by a 1x1 convolution, multiplies what came in.

    Args:
        channels: channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = _depthwise(channels, 5, 5)
        self.conv0_1, self.conv0_2 = _depthwise(channels, 1, 7), _depthwise(channels, 7, 1)
        self.conv1_1, self.conv1_2 = _depthwise(channels, 1, 11), _depthwise(channels, 11, 1)
        self.conv2_1, self.conv2_2 = _depthwise(channels, 1, 21), _depthwise(channels, 21, 1)
        self.conv3 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) to the same size."""
        local = self.conv0(x)
        context = local + self.conv0_2(self.conv0_1(local))
        context = context + self.conv1_2(self.conv1_1(local))
        context = context + self.conv2_2(self.conv2_1(local))
        gated: Tensor = self.conv3(context) * x
        return gated


class SpatialAttention(nn.Module):
    """1x1 convolution, GELU, :class:`MultiScaleGate`, 1x1 convolution, and the shortcut around them.

    Args:
        channels: channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(channels, channels, 1)
        self.activation = nn.GELU()
        self.spatial_gating_unit = MultiScaleGate(channels)
        self.proj_2 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) to the same size."""
        attended: Tensor = self.proj_2(self.spatial_gating_unit(self.activation(self.proj_1(x))))
        return x + attended


class Mlp(nn.Module):
    """1x1 convolution to ``ratio`` times the channels, depthwise 3x3, GELU, 1x1 convolution back.

    Args:
        channels: channels in and out.
        ratio: hidden channels for each channel.
    """

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, ratio * channels, 1)
        self.dwconv = nn.ModuleDict({"dwconv": _depthwise(ratio * channels, 3, 3)})
        self.act = nn.GELU()
        self.fc2 = nn.Conv2d(ratio * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) to the same size."""
        mixed: Tensor = self.fc2(self.act(self.dwconv["dwconv"](self.fc1(x))))
        return mixed


class Block(nn.Module):
    """x + s1 * attention(BN x), then x + s2 * mlp(BN x), with s1 and s2 learnt for each channel from 0.01.

    Args:
        channels: channels in and out.
        mlp_ratio: hidden channels of the MLP for each channel.
        drop_path: probability that an image skips a branch in training.
    """

    def __init__(self, channels: int, mlp_ratio: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.attn = SpatialAttention(channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = Mlp(channels, mlp_ratio)
        self.drop_path = StochasticDepth(drop_path, "row")
        self.layer_scale_1 = nn.Parameter(torch.full((channels,), 0.01))
        self.layer_scale_2 = nn.Parameter(torch.full((channels,), 0.01))

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) to the same size."""
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * self.attn(self.norm1(x)))
        return x + self.drop_path(self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x)))


def _depthwise(channels: int, height: int, width: int) -> nn.Conv2d:
    padding = (height // 2, width // 2)
    return nn.Conv2d(channels, channels, (height, width), padding=padding, groups=channels)
