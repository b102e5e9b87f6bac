"""ISANet: attention in two sparse steps, to far pixels first, then to near ones (Huang et al., 2019)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.models.networks.auxiliary import Classifier
from aucseg.models.networks.base import Network, build_encoder

#: Side of a block in pixels of the features, and distance of pixels in a long-range group.
BLOCK = 8


def split_groups(features: Tensor, *, long_range: bool) -> Tensor:
    """Pixels sorted into groups, filled up with zeros at the bottom and the right where blocks are not full.

    Args:
        features: (B,C,h,w).
        long_range: group pixels whose row and column agree modulo 8, so that 8x8 groups span the image; else
            pixels of the same block of 8x8.

    Returns:
        (B, groups, pixels of a group, C).
    """
    batch, channels, height, width = features.shape
    rows, columns = (height + BLOCK - 1) // BLOCK, (width + BLOCK - 1) // BLOCK
    padded = F.pad(features, (0, columns * BLOCK - width, 0, rows * BLOCK - height))
    grid = padded.reshape(batch, channels, rows, BLOCK, columns, BLOCK)
    if long_range:
        return grid.permute(0, 3, 5, 2, 4, 1).reshape(batch, BLOCK * BLOCK, rows * columns, channels)
    return grid.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, BLOCK * BLOCK, channels)


def join_groups(groups: Tensor, height: int, width: int, *, long_range: bool) -> Tensor:
    """The inverse of :func:`split_groups`: (B,C,h,w), without what it filled up."""
    batch, channels = groups.shape[0], groups.shape[-1]
    rows, columns = (height + BLOCK - 1) // BLOCK, (width + BLOCK - 1) // BLOCK
    if long_range:
        grid = groups.reshape(batch, BLOCK, BLOCK, rows, columns, channels).permute(0, 5, 3, 1, 4, 2)
    else:
        grid = groups.reshape(batch, rows, columns, BLOCK, BLOCK, channels).permute(0, 5, 1, 3, 2, 4)
    padded = grid.reshape(batch, channels, rows * BLOCK, columns * BLOCK)
    return padded[:, :, :height, :width]


class GroupAttention(nn.Module):
    """Attention of pixels within groups: one of the two steps of the paper (its Section 3.2).

    Where the features do not fill all blocks, the pixels filled in are no keys, and projections with their
    batch norms act before filling and after cropping: the result is that of groups of unequal sizes, as if
    nothing had been filled in. The authors' code fills up with zeros on all four sides and lets these take
    part, in the softmax as in the batch statistics.

    Args:
        channels: channels of the features; queries and keys have half of them.
        long_range: which groups, see :func:`split_groups`.
    """

    def __init__(self, channels: int, *, long_range: bool) -> None:
        super().__init__()
        self.long_range = long_range
        width = channels // 2
        self.scale = width**-0.5
        self.query = nn.Sequential(
            Conv2dNormActivation(channels, width, 1), Conv2dNormActivation(width, width, 1)
        )
        self.key = nn.Sequential(
            Conv2dNormActivation(channels, width, 1), Conv2dNormActivation(width, width, 1)
        )
        self.value = nn.Conv2d(channels, channels, 1)
        self.out = Conv2dNormActivation(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,h,w) from (B,C,h,w)."""
        height, width = x.shape[-2:]
        query, key, value = (
            split_groups(project(x), long_range=self.long_range)
            for project in (self.query, self.key, self.value)
        )
        real = split_groups(x.new_ones(1, 1, height, width), long_range=self.long_range) > 0
        # Below eight rows or columns whole long-range groups are filled in. They are cropped, but a softmax
        # over no key at all would be NaN: let them look at each other.
        seen = real | ~real.any(dim=2, keepdim=True)
        gathered = F.scaled_dot_product_attention(
            query, key, value, attn_mask=seen.transpose(2, 3), scale=self.scale
        )
        out: Tensor = self.out(join_groups(gathered, height, width, long_range=self.long_range))
        return out


class InterlacedAttention(nn.Module):
    """Long-range attention, then attention within blocks, and a 1x1 over the result beside what came in.

    After both steps every pixel has heard of every other, at a cost that grows with the number of pixels
    times (64 + a 64th of the number of pixels), not with its square.

    Args:
        in_channels: channels of the deepest stage.
        channels: channels of the head.

    Raises:
        ValueError: if ``channels`` is below 2.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(
                f"isanet's queries have half of decoder_channels: take 2 or more, got {channels}"
            )
        self.out_channels = channels
        self.reduce = Conv2dNormActivation(in_channels, channels, 3)
        self.attention = nn.Sequential(
            GroupAttention(channels, long_range=True), GroupAttention(channels, long_range=False)
        )
        self.fuse = Conv2dNormActivation(2 * channels, channels, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(B,C,h,w) from the stages of an encoder."""
        reduced = self.reduce(features[-1])
        fused: Tensor = self.fuse(torch.cat([self.attention(reduced), reduced], dim=1))
        return fused


class ISANet(Network):
    """Interlaced sparse self-attention network of Huang et al. (2019), with the usual auxiliary branch.

    The auxiliary branch looks at the last stage but one and has weight 0.4.

    Args:
        encoder_name: encoder of smp or timm that can be dilated.
        encoder_weights: as smp.
        encoder_output_stride: 8 in the paper; 16 or 32 for less time and memory.
        decoder_channels: channels of the head; 512 in the paper. Queries and keys have half of them.
        in_channels: channels of the images.
        classes: number of classes K.
        kwargs: further arguments of a timm encoder.
    """

    standard_encoder: ClassVar[str] = "resnet50"

    @supports_config_loading
    def __init__(
        self,
        encoder_name: str = standard_encoder,
        encoder_weights: str | None = None,
        encoder_output_stride: int = 8,
        decoder_channels: int = 512,
        in_channels: int = 3,
        classes: int = 19,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.encoder = build_encoder(
            encoder_name,
            weights=encoder_weights,
            network="isanet",
            output_stride=encoder_output_stride,
            in_channels=in_channels,
            **kwargs,
        )
        self.decoder = InterlacedAttention(self.encoder.out_channels[-1], decoder_channels)
        self.segmentation_head = Classifier(decoder_channels, classes)
        self.add_fcn_auxiliary(classes)
        self.initialize()
