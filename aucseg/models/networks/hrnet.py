"""HRNet: features of four resolutions side by side (Sun et al., 2019, HRNetV2)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.models.networks.base import ClassifierHead, Network, build_encoder, resize


def concatenated(features: list[Tensor]) -> Tensor:
    """The four deepest stages of an encoder brought to the largest of their sizes: (B,C,H/4,W/4)."""
    size = features[-4].shape[-2:]
    return torch.cat([resize(stage, size) for stage in features[-4:]], dim=1)


class ResolutionFusion(nn.Module):
    """The four deepest stages brought to the largest of their sizes, concatenated, mixed by a 1x1.

    Args:
        encoder_channels: channels of the stages of the encoder, as smp's ``out_channels``.
    """

    def __init__(self, encoder_channels: list[int]) -> None:
        super().__init__()
        self.out_channels = sum(encoder_channels[-4:])
        self.mix = Conv2dNormActivation(self.out_channels, self.out_channels, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(B,C,H/4,W/4) from the stages of an encoder."""
        mixed: Tensor = self.mix(concatenated(features))
        return mixed


class HRNet(Network):
    """HRNetV2 with its plain head: all four resolutions at 1/4, one 1x1 convolution, the classifier.

    The head has no dropout and no auxiliary branch. Any encoder with four stages from 1/4 to 1/32 takes the
    place of HRNet's own; the head is then that of a network which never was at high resolution all the way.

    Args:
        encoder_name: encoder of smp or timm. Of a ``tu-hrnet`` the four branches are taken as they are, 18,
            36, 72 and 144 channels for W18, and not as timm widens them for classification.
        encoder_weights: as smp.
        in_channels: channels of the images.
        classes: number of classes K.
        plain_logits: as :class:`Network`.
        kwargs: further arguments of a timm encoder.
    """

    requires_divisible_input_shape = True
    standard_encoder: ClassVar[str] = "tu-hrnet_w18"
    small: ClassVar[dict[str, Any]] = {"encoder": "tu-hrnet_w18_small"}

    @supports_config_loading
    def __init__(
        self,
        encoder_name: str = standard_encoder,
        encoder_weights: str | None = None,
        in_channels: int = 3,
        classes: int = 19,
        plain_logits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(plain_logits=plain_logits)
        self.encoder = build_encoder(
            encoder_name, weights=encoder_weights, network="hrnet", in_channels=in_channels, **kwargs
        )
        self.decoder = ResolutionFusion(self.encoder.out_channels)
        self.segmentation_head = ClassifierHead(self.decoder.out_channels, classes, dropout=0.0)
        self.initialize()
