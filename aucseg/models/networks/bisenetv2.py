"""BiSeNetV2: a wide shallow branch for detail, a narrow deep one for meaning (Yu et al., 2021)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from segmentation_models_pytorch.base.initialization import initialize_decoder
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.errors import OptionError
from aucseg.models.networks.base import (
    AuxiliaryTerm,
    ClassifierHead,
    Network,
    Outputs,
    resize,
    resized_cross_entropy,
)

# Table 1 of the paper: channels of the stages of each branch.
_DETAIL = ((64, 64), (64, 64, 64), (128, 128, 128))
_STEM = 16
_SEMANTIC = ((32, 2), (64, 2), (128, 4))
_EXPANSION = 6
# Channels of the heads in MMSegmentation, which the published number of parameters belongs to.
_HEAD = 1024
_BOOSTERS = (16, 64, 256, 1024)


class StemBlock(nn.Module):
    """From the image to 1/4 along two ways: strided convolutions, and max pooling (Figure 4a).

    Args:
        in_channels: channels of the images.
        channels: channels that go out.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = Conv2dNormActivation(in_channels, channels, 3, stride=2)
        self.convolve = nn.Sequential(
            Conv2dNormActivation(channels, max(1, channels // 2), 1),
            Conv2dNormActivation(max(1, channels // 2), channels, 3, stride=2),
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.mix = Conv2dNormActivation(2 * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B,channels,H/4,W/4)."""
        x = self.first(x)
        mixed: Tensor = self.mix(torch.cat([self.convolve(x), self.pool(x)], dim=1))
        return mixed


class GatherExpand(nn.Module):
    """Gather-and-expansion layer (Figure 5): 3x3, depthwise 3x3 to six times the channels, 1x1 back.

    With stride 2 the depthwise part is two convolutions, of which the first strides, and the shortcut is a
    depthwise and a 1x1 convolution; else the shortcut is the input. As in MMSegmentation the last depthwise
    convolution is followed by ReLU.

    Args:
        in_channels: channels that come in.
        channels: channels that go out; as many as come in, if the stride is 1.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        wide = _EXPANSION * in_channels
        layers = [Conv2dNormActivation(in_channels, in_channels, 3)]
        self.shortcut: nn.Module = nn.Identity()
        if stride == 1:
            layers += [Conv2dNormActivation(in_channels, wide, 3, groups=in_channels)]
        else:
            layers += [_linear(in_channels, wide, 3, stride=stride, groups=in_channels)]
            layers += [Conv2dNormActivation(wide, wide, 3, groups=wide)]
            self.shortcut = nn.Sequential(
                _linear(in_channels, in_channels, 3, stride=stride, groups=in_channels),
                _linear(in_channels, channels, 1),
            )
        self.body = nn.Sequential(*layers, _linear(wide, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B,channels,H/stride,W/stride)."""
        return F.relu(self.body(x) + self.shortcut(x))


class ContextEmbedding(nn.Module):
    """Adds the mean over the image, normalised and mixed, to every pixel; then a 3x3 (Figure 4b).

    Args:
        channels: channels that come in and go out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(channels), Conv2dNormActivation(channels, channels, 1)
        )
        self.mix = Conv2dNormActivation(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B,channels,H,W)."""
        embedded: Tensor = self.mix(x + self.mean(x))
        return embedded


class TwoBranches(nn.Module):
    """Detail branch and semantic branch (Table 1), the ``encoder`` of ``BiSeNetV2``.

    Args:
        in_channels: channels of the images.
        width: factor of all channels.
    """

    output_stride = 32

    def __init__(self, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        detail: list[nn.Module] = []
        before = in_channels
        for stage in _DETAIL:
            for i, channels in enumerate(scaled(c, width) for c in stage):
                detail.append(Conv2dNormActivation(before, channels, 3, stride=1 if i else 2))
                before = channels
        self.detail = nn.Sequential(*detail)
        self.out_channels = [in_channels, before]
        before = scaled(_STEM, width)
        stages: list[nn.Module] = [StemBlock(in_channels, before)]
        self.out_channels.append(before)
        for full, count in _SEMANTIC:
            channels = scaled(full, width)
            layers = [GatherExpand(before, channels, stride=2)]
            layers += [GatherExpand(channels, channels) for _ in range(count - 1)]
            stages.append(nn.Sequential(*layers))
            self.out_channels.append(channels)
            before = channels
        self.semantic = nn.ModuleList(stages)
        self.context = ContextEmbedding(before)
        self.out_channels.append(before)
        initialize_decoder(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The image, detail at 1/8, the semantic stages at 1/4, 1/8, 1/16 and 1/32, the context at 1/32."""
        features = [x, self.detail(x)]
        for stage in self.semantic:
            x = stage(x)
            features.append(x)
        return [*features, self.context(x)]


class GuidedAggregation(nn.Module):
    """Bilateral guided aggregation (Figure 6): each branch is gated by the other, at both of their sizes.

    Args:
        channels: of both branches.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.detail_keep = _depthwise_separable(channels)
        self.detail_down = nn.Sequential(
            _linear(channels, channels, 3, stride=2), nn.AvgPool2d(3, stride=2, padding=1)
        )
        self.semantic_up = _linear(channels, channels, 3)
        self.semantic_keep = _depthwise_separable(channels)
        self.mix = Conv2dNormActivation(channels, channels, 3)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(B,channels,H/8,W/8) from the features of ``TwoBranches``."""
        detail, semantic = features[1], features[-1]
        size = detail.shape[-2:]
        fine = self.detail_keep(detail) * resize(self.semantic_up(semantic), size).sigmoid()
        coarse = self.detail_down(detail) * self.semantic_keep(semantic).sigmoid()
        mixed: Tensor = self.mix(fine + resize(coarse, size))
        return mixed


class BiSeNetV2(Network):
    """BiSeNetV2, trained from scratch: two branches, guided aggregation, head, four booster heads.

    The network is one whole and takes no encoder; ``encoder`` is both branches, so that freezing and loading
    it works as with any other. In training the boosters look at the four semantic stages, cross entropy with
    weight 1 each. Heads are those of MMSegmentation, 1024 channels for the main one and twice a 3x3
    convolution of 16, 64, 256 and 1024 for the boosters, because its parameter count is the published one.
    The mean over an image passes through batch norm, so a training batch holds at least two images.

    Args:
        width: factor of the channels of the whole network, heads included.
        in_channels: channels of the images.
        classes: number of classes K.
        plain_logits: as :class:`Network`.

    Raises:
        ValueError: if the width is not a positive number.
    """

    standard_encoder = None
    small: ClassVar[dict[str, Any]] = {"width": 0.25}

    @supports_config_loading
    def __init__(
        self, width: float = 1.0, in_channels: int = 3, classes: int = 19, plain_logits: bool = False
    ) -> None:
        super().__init__(plain_logits=plain_logits)
        if not 0 < width < float("inf"):
            raise OptionError(f"width is a positive factor of the channels, got {width!r}")
        self.encoder = TwoBranches(in_channels, width)
        stages = self.encoder.out_channels
        self.decoder = GuidedAggregation(stages[-1])
        self.segmentation_head = _head(stages[-1], scaled(_HEAD, width), classes, convolutions=1)
        for seen, full in zip(stages[2:-1], _BOOSTERS, strict=True):
            name = f"booster_{full}"
            self.auxiliary_heads[name] = _head(seen, scaled(full, width), classes, convolutions=2)
            self.auxiliary = {**self.auxiliary, name: AuxiliaryTerm(1.0, resized_cross_entropy)}
        self.initialize()

    def auxiliary_outputs(self, features: list[Tensor]) -> dict[str, Outputs]:
        """Logits of the boosters at 1/4, 1/8, 1/16 and 1/32; none in evaluation mode."""
        if not self.training:
            return {}
        stages = dict(zip(self.auxiliary, features[2:-1], strict=False))  # none where there are no boosters
        return {name: self.auxiliary_heads[name](stage) for name, stage in stages.items()}


def scaled(channels: int, width: float) -> int:
    """Channels times a width factor, at least one."""
    return max(1, round(channels * width))


def _linear(in_channels: int, channels: int, kernel: int, **options: int) -> Conv2dNormActivation:
    """Convolution and batch norm, without an activation."""
    return Conv2dNormActivation(in_channels, channels, kernel, activation_layer=None, **options)


def _depthwise_separable(channels: int) -> nn.Sequential:
    """Depthwise 3x3 with batch norm, then a bare 1x1."""
    return nn.Sequential(
        _linear(channels, channels, 3, groups=channels), nn.Conv2d(channels, channels, 1, bias=False)
    )


def _head(in_channels: int, channels: int, num_classes: int, *, convolutions: int) -> nn.Sequential:
    layers = [Conv2dNormActivation(channels if i else in_channels, channels, 3) for i in range(convolutions)]
    return nn.Sequential(*layers, *ClassifierHead(channels, num_classes))
