"""MSCAN, the convolutional encoder of SegNeXt, in smp's conventions (Guo et al., 2022, section 3.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from segmentation_models_pytorch.encoders._base import EncoderMixin
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from aucseg.errors import OptionError

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


class MSCANBlock(nn.Module):
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


class Stem(nn.Module):
    """Two 3x3 convolutions of stride 2 with batch norm, a GELU between them.

    Args:
        channels: channels out; half as many after the first convolution.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            nn.Conv2d(3, channels // 2, 3, stride=2, padding=1),
            nn.BatchNorm2d(channels // 2),
            nn.GELU(),
            nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,H,W) to (B,C/2,H/2,W/2), halfway, and (B,C,H/4,W/4)."""
        half = self.proj[:3](x)
        return half, self.proj[3:](half)


class Downsampling(nn.Module):
    """A 3x3 convolution of stride 2 and batch norm.

    Args:
        in_channels: channels in.
        channels: channels out.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) to (B,C',H/2,W/2)."""
        down: Tensor = self.norm(self.proj(x))
        return down


class MSCANEncoder(nn.Module, EncoderMixin):
    """MSCAN: four stages at 1/4 to 1/32, and at 1/2 what the first convolution of its stem gives.

    Its modules are named as in the released checkpoints, so that those load as they are. It can be dilated to
    an output stride of 16 or 8. Its stages end in a layer norm over channels, after which the pixels lie
    channels last in memory; on a CPU that is the faster order for the strips too, and
    ``network.to(memory_format=torch.channels_last)`` takes the first stage there as well.

    Args:
        channels: of the four stages.
        depths: blocks in each.
        mlp_ratios: of the blocks of each.
        drop_path: probability that an image skips a branch of the last block in training; it rises linearly
            from 0 at the first.
        depth: how many of the five features are computed, as in smp.
        output_stride: as in smp, whose ``get_encoder`` then calls :meth:`make_dilated`.
    """

    patch_embed1: nn.Module
    patch_embed3: nn.Module
    patch_embed4: nn.Module
    block3: nn.Module
    block4: nn.Module

    def __init__(
        self,
        channels: Sequence[int],
        depths: Sequence[int],
        mlp_ratios: Sequence[int] = (8, 8, 4, 4),
        drop_path: float = 0.1,
        depth: int = 5,
        output_stride: int = 32,
    ) -> None:
        if not 1 <= depth <= 5:
            raise OptionError(f"MSCAN has five stages: depth is 1 to 5, got {depth}")
        super().__init__()
        self._depth, self._in_channels, self._output_stride = depth, 3, output_stride
        self._out_channels = [3, channels[0] // 2, *channels]
        probabilities = iter(torch.linspace(0, drop_path, sum(depths), device="cpu").tolist())
        for stage, (width, count, ratio) in enumerate(zip(channels, depths, mlp_ratios, strict=True), 1):
            embed = Stem(width) if stage == 1 else Downsampling(channels[stage - 2], width)
            blocks = [MSCANBlock(width, ratio, next(probabilities)) for _ in range(count)]
            self.add_module(f"patch_embed{stage}", embed)
            self.add_module(f"block{stage}", nn.Sequential(*blocks))
            self.add_module(f"norm{stage}", LayerNorm2d(width, eps=1e-5))
        self.apply(_initialize)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The image (B,3,H,W) and ``depth`` features, from 1/2 to the deepest."""
        half, x_stage = self.patch_embed1(x)
        features = [x, half]
        for stage in range(1, self._depth):
            if stage > 1:
                x_stage = getattr(self, f"patch_embed{stage}")(x_stage)
            x_stage = getattr(self, f"norm{stage}")(getattr(self, f"block{stage}")(x_stage))
            features.append(x_stage)
        return features

    def get_stages(self) -> dict[int, Sequence[nn.Module]]:
        """The modules that work at 1/16 and at 1/32."""
        return {16: [self.patch_embed3, self.block3], 32: [self.patch_embed4, self.block4]}

    def make_dilated(self, output_stride: int) -> None:
        """Keep the last stages at 1/8 or 1/16 of the image, with dilated convolutions instead of strides.

        Every second or fourth pixel of a dilated stage is then exactly what the stage gave before. smp's own
        way would pad the strips wrongly: it takes kernels to be square.

        Raises:
            ValueError: for another output stride.
        """
        if output_stride not in (8, 16):
            raise OptionError(f"output stride is 16 or 8, got {output_stride}")
        before = 1
        for stride, modules in self.get_stages().items():
            if stride <= output_stride:
                continue
            dilation = stride // output_stride
            for conv in (m for module in modules for m in module.modules() if isinstance(m, nn.Conv2d)):
                # what had the stride still looks at pixels that lie as before it
                rate = before if conv.stride == (2, 2) else dilation
                height, width = conv.kernel_size
                conv.stride, conv.dilation = (1, 1), (rate, rate)
                conv.padding = (rate * (height // 2), rate * (width // 2))
            before = dilation

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As in torch; the classifier in a released checkpoint is left out."""
        state_dict = {key: value for key, value in state_dict.items() if not key.startswith("head.")}
        return super().load_state_dict(state_dict, *args, **kwargs)


def _initialize(module: nn.Module) -> None:
    """Kaiming's normal distribution by what goes out, for each group, as the released code."""
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        fan_out = height * width * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        assert module.bias is not None
        nn.init.zeros_(module.bias)


def _sizes() -> dict[str, dict[str, Any]]:
    wide = [64, 128, 320, 512]
    return {
        "mscan_xt": {"channels": [16, 32, 80, 128], "depths": [2, 2, 3, 2]},
        "mscan_t": {"channels": [32, 64, 160, 256], "depths": [3, 3, 5, 2]},
        "mscan_s": {"channels": wide, "depths": [2, 2, 4, 2]},
        "mscan_b": {"channels": wide, "depths": [3, 3, 12, 3]},
        "mscan_l": {"channels": wide, "depths": [3, 5, 27, 3], "drop_path": 0.3},
    }


# Rows of smp's table of encoders: T, S, B and L as published (Guo et al., Table 2), and XT of half of T's
# channels for a laptop. No hub of smp's has their weights.
MSCAN_ENCODERS: dict[str, dict[str, Any]] = {
    name: {"encoder": MSCANEncoder, "pretrained_settings": {}, "params": params}
    for name, params in _sizes().items()
}
