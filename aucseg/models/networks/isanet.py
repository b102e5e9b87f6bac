"""ISANet: attention in two sparse steps, to far pixels first, then to near ones (Huang et al., 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.errors import OptionError
from aucseg.models.networks.base import ClassifierHead, DilatedNetwork

#: Side of a block in pixels of the features, and distance of pixels in a long-range group.
BLOCK = 8


def group_pixels(height: int, width: int, device: torch.device, *, long_range: bool) -> tuple[Tensor, Tensor]:
    """Which pixels of an image are in which group.

    Blocks at the bottom and the right may not be full; groups have one size nevertheless.

    Args:
        height: rows of the features.
        width: columns of the features.
        device: where the result is to be.
        long_range: group pixels whose row and column agree modulo 8, so that each of the 64 groups spans the
            image; else pixels of the same block of 8x8.

    Returns:
        Index of each member, row times width plus column, (groups, size), and whether there is such a pixel,
        (groups, size) bool; where there is none, the index is 0.
    """
    columns = _blocks(width)
    place = torch.arange(BLOCK * BLOCK, device=device).unsqueeze(1)
    block = torch.arange(_blocks(height) * columns, device=device)
    row, column = place // BLOCK + block // columns * BLOCK, place % BLOCK + block % columns * BLOCK
    exists = (row < height) & (column < width)
    index = (row * width + column).where(exists, 0)
    return (index, exists) if long_range else (index.T, exists.T)


def pixel_members(height: int, width: int, device: torch.device, *, long_range: bool) -> Tensor:
    """The inverse of :func:`group_pixels`: where in the groups each pixel is, (height times width,)."""
    row, column = torch.arange(height, device=device).unsqueeze(1), torch.arange(width, device=device)
    place = row % BLOCK * BLOCK + column % BLOCK
    block = row // BLOCK * _blocks(width) + column // BLOCK
    members = place * (_blocks(height) * _blocks(width)) + block if long_range else block * BLOCK**2 + place
    return members.flatten()


def _blocks(side: int) -> int:
    """How many blocks it takes to cover a side."""
    return (side + BLOCK - 1) // BLOCK


class GroupAttention(nn.Module):
    """Attention of pixels within groups: one of the two steps of the paper (its Section 3).

    Where the features do not fill all blocks, groups just have fewer pixels: what fills them up is no key in
    any softmax, and projections with their batch norms act on pixels of the image only. So the result is that
    of groups of unequal sizes. The authors' code pads with zeros on all four sides instead and lets these
    take part, in the softmax as in the batch statistics, and what they gathered is a key of the second step.

    Args:
        channels: channels of the features; queries and keys have half of them.
        long_range: which groups, see :func:`group_pixels`.
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
        index, exists = group_pixels(height, width, x.device, long_range=self.long_range)
        query, key, value = (
            project(x).flatten(2).transpose(1, 2).index_select(1, index.flatten()).unflatten(1, index.shape)
            for project in (self.query, self.key, self.value)
        )
        # Below eight rows or columns some long-range groups have no pixel at all. Nobody reads them, but a
        # softmax over no key is NaN, and so is its gradient: let what fills them up look at itself.
        seen = exists | ~exists.any(dim=1, keepdim=True)
        gathered = F.scaled_dot_product_attention(
            query, key, value, attn_mask=seen.unsqueeze(1), scale=self.scale
        )
        members = pixel_members(height, width, x.device, long_range=self.long_range)
        image = gathered.flatten(1, 2).index_select(1, members).transpose(1, 2)
        out: Tensor = self.out(image.unflatten(2, (height, width)))
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
            raise OptionError(
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


class ISANet(DilatedNetwork):
    """Interlaced sparse self-attention network of Huang et al. (2019), with the usual auxiliary branch.

    The auxiliary branch looks at the last stage but one and has weight 0.4.
    """

    def build(self, in_channels: int, channels: int, classes: int) -> None:
        """As :meth:`DilatedNetwork.build`."""
        self.decoder = InterlacedAttention(in_channels, channels)
        self.segmentation_head = ClassifierHead(channels, classes)
        self.add_fcn_auxiliary(classes)
