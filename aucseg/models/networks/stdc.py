"""STDC-Seg: a fast network whose detail is taught by label edges (Fan et al., 2021)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation

from aucseg.errors import OptionError
from aucseg.losses import boundary_loss, ohem_cross_entropy
from aucseg.models.networks.base import AuxiliaryTerm, FCNHead, Network, Outputs, build_encoder, resize


class AttentionRefinement(nn.Module):
    """3x3 convolution, and a gate for each of its channels from their means over the image.

    Args:
        in_channels: channels that come in.
        channels: channels that go out.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.mix = Conv2dNormActivation(in_channels, channels, 3)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            Conv2dNormActivation(channels, channels, 1, activation_layer=nn.Sigmoid, inplace=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B,channels,H,W)."""
        x = self.mix(x)
        refined: Tensor = x * self.gate(x)
        return refined


class ContextPath(nn.Module):
    """From the two deepest stages and the mean of the deepest to context at 1/8 and 1/16 (BiSeNet's).

    Each step refines a stage, adds what came from below, and enlarges the sum to the next stage (nearest
    neighbour, then a 3x3 convolution).

    Args:
        encoder_channels: channels of the encoder's stages.
        channels: its own.
    """

    def __init__(self, encoder_channels: list[int], channels: int) -> None:
        super().__init__()
        self.pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), Conv2dNormActivation(encoder_channels[-1], channels, 1)
        )
        self.refine = nn.ModuleList(AttentionRefinement(encoder_channels[i], channels) for i in (-1, -2))
        self.smooth = nn.ModuleList(Conv2dNormActivation(channels, channels, 3) for _ in range(2))

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(B,channels,H/8,W/8) and (B,channels,H/16,W/16)."""
        context = self.pool(features[-1])
        steps = []
        for refine, smooth, deep, above in zip(
            self.refine, self.smooth, features[:-3:-1], features[-2:-4:-1], strict=True
        ):
            context = F.interpolate(refine(deep) + context, size=above.shape[-2:], mode="nearest")
            context = smooth(context)
            steps.append(context)
        return steps[1], steps[0]


class FeatureFusion(nn.Module):
    """Features and context side by side, mixed by a 1x1, plus themselves times a gate for each channel.

    Args:
        in_channels: channels of both together.
        channels: channels that go out; the gate's bottleneck has a quarter of them.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.mix = Conv2dNormActivation(in_channels, channels, 1)
        self.gate = SqueezeExcitation(channels, max(1, channels // 4))

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        """(B,channels,H,W)."""
        mixed = self.mix(torch.cat([features, context], dim=1))
        fused: Tensor = mixed + self.gate(mixed)
        return fused


class STDCDecoder(nn.Module):
    """Context path and feature fusion.

    Args:
        encoder_channels: channels of the encoder's stages.
        channels: of the fused features; the context path has half of them.
    """

    def __init__(self, encoder_channels: list[int], channels: int = 256) -> None:
        super().__init__()
        self.context = ContextPath(encoder_channels, channels // 2)
        self.fuse = FeatureFusion(encoder_channels[-3] + channels // 2, channels)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Fused features (B,channels,H/8,W/8), and the context at 1/8 and 1/16."""
        fine, coarse = self.context(features)
        return self.fuse(features[-3], fine), fine, coarse


def _hard_pixels(logits: Outputs, target: Tensor, ignore_index: int) -> Tensor:
    assert isinstance(logits, Tensor)
    return ohem_cross_entropy(resize(logits, target.shape[-2:]).float(), target, ignore_index=ignore_index)


def _edges(logits: Outputs, target: Tensor, ignore_index: int) -> Tensor:
    assert isinstance(logits, Tensor)
    return boundary_loss(resize(logits, target.shape[-2:]).float(), target, ignore_index=ignore_index)


class STDC(Network):
    """STDC-Seg: encoder, context path with attention refinement, feature fusion, head.

    In training three branches look on: two heads on the context at 1/8 and 1/16, with cross entropy over hard
    pixels (:func:`aucseg.losses.ohem_cross_entropy`), and the detail head on the encoder's features at 1/8,
    which is to show where labels change (:func:`aucseg.losses.boundary_loss`). All weights are 1. The paper
    takes hard pixels for the main logits too; here the loss of the run decides (``ohem`` of its loss).

    Heads have a dropout of 0.1 as all of the package have; those of the released code have none. Means over
    an image pass through batch norm, so a training batch holds at least two images.

    Args:
        encoder_name: encoder with five stages: ``stdc1``, ``stdc2``, ``stdc1_025`` (a quarter of the width),
            or any other of smp or timm.
        encoder_weights: as smp; there are no published ones for ``stdc``.
        decoder_channels: of the fused features and the head; context has half, the auxiliary heads a quarter.
        in_channels: channels of the images.
        classes: number of classes K.
        plain_logits: as :class:`Network`.
        kwargs: further arguments of a timm encoder.

    Raises:
        ValueError: if ``decoder_channels`` is not a positive multiple of 4.
    """

    standard_encoder: ClassVar[str] = "stdc1"
    small: ClassVar[dict[str, Any]] = {"encoder": "stdc1_025", "decoder_channels": 64}

    @supports_config_loading
    def __init__(
        self,
        encoder_name: str = standard_encoder,
        encoder_weights: str | None = None,
        decoder_channels: int = 256,
        in_channels: int = 3,
        classes: int = 19,
        plain_logits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(plain_logits=plain_logits)
        if decoder_channels < 4 or decoder_channels % 4:
            raise OptionError(f"decoder_channels is a positive multiple of 4, got {decoder_channels}")
        self.encoder = build_encoder(
            encoder_name, weights=encoder_weights, network="stdc", in_channels=in_channels, **kwargs
        )
        self.decoder = STDCDecoder(self.encoder.out_channels, decoder_channels)
        self.segmentation_head = FCNHead(decoder_channels, decoder_channels, classes)
        half, quarter = decoder_channels // 2, decoder_channels // 4
        self.auxiliary_heads["context_8"] = FCNHead(half, quarter, classes)
        self.auxiliary_heads["context_16"] = FCNHead(half, quarter, classes)
        self.auxiliary_heads["detail"] = FCNHead(self.encoder.out_channels[-3], quarter, 1)
        self.auxiliary = {
            "context_8": AuxiliaryTerm(1.0, _hard_pixels),
            "context_16": AuxiliaryTerm(1.0, _hard_pixels),
            "detail": AuxiliaryTerm(1.0, _edges),
        }
        self.initialize()

    def decode(self, features: list[Tensor], images: Tensor) -> tuple[Tensor, dict[str, Outputs]]:
        """Logits at 1/8 of the image; in training those of the three branches too."""
        fused, fine, coarse = self.decoder(features)
        logits = self.segmentation_head(fused)
        if not self.training:
            return logits, {}
        seen = {"context_8": fine, "context_16": coarse, "detail": features[-3]}
        return logits, {name: head(seen[name]) for name, head in self.auxiliary_heads.items()}
