"""DNLNet: attention to pairs of pixels and to single pixels, kept apart (Yin et al., 2020)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.errors import OptionError
from aucseg.models.networks.base import ClassifierHead, DilatedNetwork

# Spread of the first weights of the projections, as for every non-local block since Wang et al. (2018). At
# the usual spread of a convolution the temperature would make every softmax pick a single pixel.
_PROJECTION_STD = 0.01


class DisentangledNonLocal(nn.Module):
    r"""A non-local block whose pairwise term is whitened and whose unary term has its own softmax.

    .. math:: y_i = x_i + \mathrm{BN}\Bigl(W \sum_j \bigl[
              \mathrm{softmax}_j\bigl((q_i-\bar q)^\top (k_j-\bar k) / (\tau\sqrt{d})\bigr)
              + \mathrm{softmax}_j(m_j)\bigr] v_j\Bigr)

    with means over the pixels of an image (Section 4 of the paper). The root of the width and the temperature
    tau are those of the authors' code for segmentation. Scale and shift of the batch norm start at zero: at
    first the block passes on what it gets.

    Args:
        channels: channels of the features; queries, keys and values have half of them, d.
        temperature: tau of the pairwise softmax.

    Raises:
        ValueError: if there is not at least one channel in each half, or the temperature is not positive.
    """

    def __init__(self, channels: int, temperature: float = 0.05) -> None:
        super().__init__()
        if channels < 2:
            raise OptionError(
                f"dnlnet's queries have half of decoder_channels: take 2 or more, got {channels}"
            )
        if not temperature > 0:
            raise OptionError(f"temperature must be positive, got {temperature}")
        width = channels // 2
        self.scale = 1 / (math.sqrt(width) * temperature)
        # No bias where the mean or the softmax takes it away again.
        self.query = nn.Conv2d(channels, width, 1, bias=False)
        self.key = nn.Conv2d(channels, width, 1, bias=False)
        self.value = nn.Conv2d(channels, width, 1)
        self.unary = nn.Conv2d(channels, 1, 1, bias=False)
        self.out = Conv2dNormActivation(width, channels, 1, activation_layer=None)
        self.initialize()

    def initialize(self) -> None:
        """First weights: small projections, and nothing added to what comes in."""
        for projection in (self.query, self.key, self.value):
            nn.init.normal_(projection.weight, std=_PROJECTION_STD)
        nn.init.zeros_(self.out[1].weight)
        nn.init.zeros_(self.out[1].bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,h,w) from (B,C,h,w)."""
        # The kernels without a matrix of all pairs of pixels want the channels of a pixel next to each other.
        query, key, value, unary = (
            project(x).flatten(2).transpose(1, 2).contiguous()
            for project in (self.query, self.key, self.value, self.unary)
        )
        query = query - query.mean(dim=1, keepdim=True)
        key = key - key.mean(dim=1, keepdim=True)
        pairwise = F.scaled_dot_product_attention(
            query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1), scale=self.scale
        ).squeeze(1)
        salient = unary.softmax(dim=1).to(value.dtype).transpose(1, 2) @ value
        context = (pairwise + salient).transpose(1, 2).unflatten(2, x.shape[-2:])
        return x + self.out(context)


class DNLDecoder(nn.Module):
    """The block between two 3x3 convolutions, and a third over its result beside the encoder's features.

    Args:
        in_channels: channels of the deepest stage.
        channels: channels of the head.
        temperature: of the pairwise softmax.
    """

    def __init__(self, in_channels: int, channels: int, temperature: float) -> None:
        super().__init__()
        self.out_channels = channels
        self.reduce = Conv2dNormActivation(in_channels, channels, 3)
        self.block = DisentangledNonLocal(channels, temperature)
        self.refine = Conv2dNormActivation(channels, channels, 3)
        self.fuse = Conv2dNormActivation(in_channels + channels, channels, 3)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(B,C,h,w) from the stages of an encoder."""
        deepest = features[-1]
        context = self.refine(self.block(self.reduce(deepest)))
        fused: Tensor = self.fuse(torch.cat([deepest, context], dim=1))
        return fused


class DNLNet(DilatedNetwork):
    """Disentangled non-local network of Yin et al. (2020), with the usual auxiliary branch (weight 0.4)."""

    #: Of the softmax over pairs of pixels.
    temperature: ClassVar[float] = 0.05

    def build(self, in_channels: int, channels: int, classes: int) -> None:
        """As :meth:`DilatedNetwork.build`."""
        self.decoder = DNLDecoder(in_channels, channels, self.temperature)
        self.segmentation_head = ClassifierHead(channels, classes)
        self.add_fcn_auxiliary(classes)

    def initialize(self) -> None:
        """As everywhere, but the non-local block starts as the identity."""
        super().initialize()
        self.decoder.block.initialize()
