"""FastFCN: features at 1/8 without dilation in the encoder (Wu et al., 2019)."""

from __future__ import annotations

from typing import Any

import torch
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from segmentation_models_pytorch.decoders.pspnet.decoder import PSPModule
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.models.networks.base import ClassifierHead, Network, build_encoder, resize


class JointPyramidUpsampling(nn.Module):
    """The three deepest stages brought to the size of the shallowest, then looked at with four dilations.

    ("FastFCN: Rethinking Dilated Convolution in the Backbone for Semantic Segmentation", Section 3.3.)

    Args:
        encoder_channels: channels of the stages of the encoder, as smp's ``out_channels``.
        channels: what each stage is brought to, and what each dilation gives.
        dilations: of the 3x3 convolutions, each depthwise and then 1x1.
    """

    def __init__(
        self, encoder_channels: list[int], channels: int, dilations: tuple[int, ...] = (1, 2, 4, 8)
    ) -> None:
        super().__init__()
        stages = encoder_channels[-3:]
        self.out_channels = channels * len(dilations)
        self.narrow = nn.ModuleList(Conv2dNormActivation(stage, channels, 3) for stage in stages)
        self.dilated = nn.ModuleList(_separable(channels * len(stages), channels, d) for d in dilations)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(B,4C,H/8,W/8) from the stages of an encoder, small dilations first."""
        stages = [narrow(stage) for narrow, stage in zip(self.narrow, features[-3:], strict=True)]
        pyramid = torch.cat([resize(stage, stages[0].shape[-2:]) for stage in stages], dim=1)
        return torch.cat([dilated(pyramid) for dilated in self.dilated], dim=1)


def _separable(in_channels: int, channels: int, dilation: int) -> nn.Sequential:
    """A 3x3 convolution for each channel, batch norm, then 1x1 across channels, batch norm, ReLU."""
    return nn.Sequential(
        Conv2dNormActivation(
            in_channels, in_channels, 3, dilation=dilation, groups=in_channels, activation_layer=None
        ),
        Conv2dNormActivation(in_channels, channels, 1),
    )


class FastFCN(Network):
    """FastFCN (Wu et al., 2019) with the head of PSPNet (Zhao et al., 2017), 1, 2, 3 and 6 bins to a side.

    The encoder keeps its stride of 32; joint pyramid upsampling gives what a dilated one would at 1/8, for
    less. An FCN head reads the last stage but one in training. The pyramid pooling is smp's: against
    mmsegmentation's it has a bias in place of batch norm after the single bin, which makes it fit for one
    image, and aligns corners when it scales up, as PSPNet's authors do.

    Args:
        encoder_name: encoder of smp or timm.
        encoder_weights: as smp.
        decoder_channels: width of the upsampling and of the head, 512 as published.
        in_channels: channels of the images.
        classes: number of classes K.
        plain_logits: as :class:`Network`.
        kwargs: further arguments of a timm encoder.
    """

    @supports_config_loading
    def __init__(
        self,
        encoder_name: str = "resnet50",
        encoder_weights: str | None = None,
        decoder_channels: int = 512,
        in_channels: int = 3,
        classes: int = 19,
        plain_logits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(plain_logits=plain_logits)
        self.encoder = build_encoder(
            encoder_name, weights=encoder_weights, network="fastfcn", in_channels=in_channels, **kwargs
        )
        upsampling = JointPyramidUpsampling(self.encoder.out_channels, decoder_channels)
        self.decoder = nn.Sequential(
            upsampling,
            PSPModule(upsampling.out_channels, sizes=(1, 2, 3, 6)),
            Conv2dNormActivation(2 * upsampling.out_channels, decoder_channels, 3),
        )
        self.segmentation_head = ClassifierHead(decoder_channels, classes)
        self.add_fcn_auxiliary(classes, decoder_channels // 2)
        self.initialize()
