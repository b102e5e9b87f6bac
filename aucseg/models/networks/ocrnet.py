"""OCRNet: pixels look at the regions of classes (Yuan et al., 2020, Object-Contextual Representations)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.models.networks.base import (
    AuxiliaryTerm,
    ClassifierHead,
    Network,
    Outputs,
    build_encoder,
    resized_cross_entropy,
)
from aucseg.models.networks.hrnet import ResolutionFusion, concatenated


def region_features(pixels: Tensor, regions: Tensor) -> Tensor:
    """One feature for each soft object region: the mean of its pixels.

    The paper's Eq. 3, with the weights of its section 3.3: a softmax over the pixels of each class's logits.

    Args:
        pixels: (B,C,h,w) features.
        regions: (B,K,h,w) logits.

    Returns:
        (B,C,K), in the type of the pixels.
    """
    weights = regions.flatten(2).float().softmax(dim=2)
    return pixels.flatten(2) @ weights.to(pixels.dtype).transpose(1, 2)


def _pointwise(in_channels: int, channels: int, layers: int) -> nn.Sequential:
    """1x1 convolutions, each with batch norm and ReLU."""
    return nn.Sequential(
        *(Conv2dNormActivation(channels if i else in_channels, channels, 1) for i in range(layers))
    )


class ObjectContext(nn.Module):
    """Attention of pixels to regions: the object-contextual representation (Eq. 4 and 5).

    Memory is linear in pixels times classes.

    Args:
        channels: channels C of the pixels; queries, keys and values have half.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.query = _pointwise(channels, inner, 2)
        self.key = _pointwise(channels, inner, 2)
        self.value = _pointwise(channels, inner, 1)
        self.out = _pointwise(inner, channels, 1)

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """(B,C,h,w) context of pixels (B,C,h,w) from region features (B,C,K)."""
        regions = regions.unsqueeze(3)
        query, key, value = self.query(pixels), self.key(regions), self.value(regions)
        # scaled by the square root of the channels of a query, as the released code; Eq. 4 has no scale
        context = F.scaled_dot_product_attention(
            *(part.flatten(2).transpose(1, 2).unsqueeze(1) for part in (query, key, value))
        )
        out: Tensor = self.out(context.squeeze(1).transpose(1, 2).unflatten(2, pixels.shape[-2:]))
        return out


class ObjectContextDecoder(nn.Module):
    """Soft object regions, and pixels next to the regions they relate to.

    Args:
        encoder_channels: channels of the stages of the encoder, as smp's ``out_channels``.
        channels: channels of the result.
        num_classes: number of classes K, which is the number of regions.
    """

    def __init__(self, encoder_channels: list[int], channels: int, num_classes: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.fusion = ResolutionFusion(encoder_channels)
        self.regions = ClassifierHead(self.fusion.out_channels, num_classes, dropout=0.0)
        self.pixels = Conv2dNormActivation(self.fusion.out_channels, channels, 3)
        self.context = ObjectContext(channels)
        self.mix = Conv2dNormActivation(2 * channels, channels, 1)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Features (B,C,H/4,W/4) and the logits (B,K,H/4,W/4) of the regions."""
        stages = concatenated(features)
        regions = self.regions(self.fusion.mix(stages))
        pixels = self.pixels(stages)
        context = self.context(pixels, region_features(pixels, regions))
        return self.mix(torch.cat([context, pixels], dim=1)), regions


class OCRNet(Network):
    """HRNet with object-contextual representations.

    The head of :class:`aucseg.models.networks.hrnet.HRNet` gives the soft regions, in training with cross
    entropy of weight 0.4 (``regions``).

    Args:
        encoder_name: as :class:`aucseg.models.networks.hrnet.HRNet`.
        encoder_weights: as smp.
        decoder_channels: channels of pixels and regions; half as many in the attention.
        in_channels: channels of the images.
        classes: number of classes K.
        plain_logits: as :class:`Network`.
        kwargs: further arguments of a timm encoder.
    """

    requires_divisible_input_shape = True
    standard_encoder: ClassVar[str] = "tu-hrnet_w18"
    small: ClassVar[dict[str, Any]] = {"encoder": "tu-hrnet_w18_small", "decoder_channels": 128}

    @supports_config_loading
    def __init__(
        self,
        encoder_name: str = standard_encoder,
        encoder_weights: str | None = None,
        decoder_channels: int = 512,
        in_channels: int = 3,
        classes: int = 19,
        plain_logits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(plain_logits=plain_logits)
        self.encoder = build_encoder(
            encoder_name, weights=encoder_weights, network="ocrnet", in_channels=in_channels, **kwargs
        )
        self.decoder = ObjectContextDecoder(self.encoder.out_channels, decoder_channels, classes)
        self.segmentation_head = ClassifierHead(decoder_channels, classes)
        self.auxiliary = {"regions": AuxiliaryTerm(0.4, resized_cross_entropy)}
        self.initialize()

    def decode(self, features: list[Tensor], images: Tensor) -> tuple[Tensor, dict[str, Outputs]]:
        """Logits at 1/4 and, in training mode, those of the regions."""
        decoded, regions = self.decoder(features)
        return self.segmentation_head(decoded), {"regions": regions} if self.training else {}
