"""STDC: short-term dense concatenation (Fan et al., "Rethinking BiSeNet", 2021), as an encoder of smp."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.encoders._base import EncoderMixin
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.errors import OptionError

_CHANNELS = (32, 64, 256, 512, 1024)


class DenseConcatenation(nn.Module):
    """The module of Section 3.1: four convolutions one after the other, all their outputs side by side.

    Their channels are c/2, c/4, c/8 and c/8; the first is 1x1, the others 3x3. With stride 2 a depthwise
    convolution halves the size after the first, and average pooling halves the first's own part of the
    result.

    Args:
        in_channels: channels that come in.
        out_channels: c, a multiple of 8.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half, quarter, eighth = (out_channels // part for part in (2, 4, 8))
        self.first = Conv2dNormActivation(in_channels, half, 1)
        self.halve: Any = None
        if stride == 2:
            self.halve = Conv2dNormActivation(half, half, 3, stride=2, groups=half, activation_layer=None)
        self.rest = nn.ModuleList(
            Conv2dNormActivation(before, after, 3)
            for before, after in ((half, quarter), (quarter, eighth), (eighth, eighth))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B,c,H/stride,W/stride)."""
        x = self.first(x)
        parts = [x]
        if self.halve is not None:
            # smp dilates an encoder by taking the strides out of its convolutions: the pooling follows them
            parts = [F.avg_pool2d(x, 3, stride=self.halve[0].stride, padding=1)]
            x = self.halve(x)
        for convolution in self.rest:
            x = convolution(x)
            parts.append(x)
        return torch.cat(parts, dim=1)


class STDCEncoder(nn.Module, EncoderMixin):
    """The STDC backbone without its classifier, in smp's conventions.

    Two strided 3x3 convolutions, then three stages of ``DenseConcatenation``, each halving the size in
    its first module. Stages beyond ``depth`` are not built.

    Args:
        out_channels: channels of the image and of the five stages.
        layers: modules in each of the last three stages: 2, 2, 2 for STDC1 and 4, 5, 3 for STDC2.
        depth: how many stages, 1 to 5.
        output_stride: 8, 16 or 32, as smp tells encoders; dilating is the work of ``make_dilated``.

    Raises:
        ValueError: for another depth.
    """

    def __init__(
        self, out_channels: Sequence[int], layers: Sequence[int], depth: int = 5, output_stride: int = 32
    ) -> None:
        if not 1 <= depth <= 5:
            raise OptionError(f"STDCEncoder has depth 1 to 5, got {depth}")
        super().__init__()
        self._depth = depth
        self._in_channels = 3
        self._out_channels = list(out_channels)
        self._output_stride = output_stride
        pairs = list(pairwise(out_channels))
        stages: list[nn.Module] = [Conv2dNormActivation(a, b, 3, stride=2) for a, b in pairs[:2]]
        for (before, after), count in zip(pairs[2:], layers, strict=True):
            modules = [DenseConcatenation(before, after, stride=2)]
            modules += [DenseConcatenation(after, after, stride=1) for _ in range(count - 1)]
            stages.append(nn.Sequential(*modules))
        self.stages = nn.ModuleList(stages[:depth])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def get_stages(self) -> dict[int, Sequence[nn.Module]]:
        """The stages by their stride, for smp's ``make_dilated``."""
        return {2 ** (i + 1): [stage] for i, stage in enumerate(self.stages)}

    def forward(self, x: Tensor) -> list[Tensor]:
        """The image, then the features of each stage at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        features = [x]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features


def _entry(layers: tuple[int, int, int], width: float = 1.0) -> dict[str, Any]:
    channels = [3, *(round(width * c) for c in _CHANNELS)]
    params = {"out_channels": channels, "layers": layers}
    return {"encoder": STDCEncoder, "pretrained_settings": {}, "params": params}


#: As smp lists its encoders; ``stdc1_025`` is STDC1 at a quarter of the width.
STDC_ENCODERS: dict[str, dict[str, Any]] = {
    "stdc1": _entry((2, 2, 2)),
    "stdc2": _entry((4, 5, 3)),
    "stdc1_025": _entry((2, 2, 2), width=0.25),
}
