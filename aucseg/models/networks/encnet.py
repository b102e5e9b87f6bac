"""EncNet: what is in the scene decides which channels count (Zhang et al., 2018)."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.losses import presence_cross_entropy
from aucseg.models.networks.base import (
    AuxiliaryTerm,
    ClassifierHead,
    DilatedNetwork,
    Outputs,
    full_precision,
    without_autocast,
)


class Encoding(nn.Module):
    r"""Residuals of the features of an image from learnt codewords, summed over its pixels.

    .. math::

        e_k = \sum_i a_{ik} (x_i - c_k), \qquad
        a_{ik} = \frac{\exp(s_k \lVert x_i - c_k \rVert^2)}{\sum_j \exp(s_j \lVert x_i - c_j \rVert^2)}

    ("Context Encoding for Semantic Segmentation", Section 3.1; the paper has the sign of s in the formula,
    here it is in the values, drawn below zero.) The squares are expanded and the sum is taken before the
    difference, so that no (B,H,W,K,C) tensor of differences is made. It is a sum as in the paper, so it
    grows with the number of pixels, and the batch norm that follows knows it for the size of image that it
    was trained on.

    Args:
        channels: channels C of the features.
        num_codewords: number of codewords K.
    """

    def __init__(self, channels: int, num_codewords: int = 32) -> None:
        super().__init__()
        limit = (num_codewords * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(num_codewords, channels).uniform_(-limit, limit))
        self.scale = nn.Parameter(torch.empty(num_codewords).uniform_(-1, 0))

    def forward(self, features: Tensor) -> Tensor:
        """(B,K,C) from features (B,C,H,W); as wide as the codewords, under autocast too."""
        with without_autocast(features):
            x = full_precision(features).flatten(2)
            codewords, scale = self.codewords.to(x), self.scale.to(x)
            squares = x.square().sum(dim=1, keepdim=True) + codewords.square().sum(dim=1, keepdim=True)
            assignment = (scale[:, None] * (squares - 2 * codewords @ x)).softmax(dim=1)
            encoding = assignment @ x.transpose(1, 2) - assignment.sum(dim=2, keepdim=True) * codewords
        return encoding.to(self.codewords.dtype)


class ContextEncoding(nn.Module):
    """The deepest stage, its channels scaled by a gate that the encoding of the whole image sets.

    Args:
        in_channels: channels of the deepest stage.
        channels: width of the decoder.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.narrow = Conv2dNormActivation(in_channels, channels, 3)
        self.project = Conv2dNormActivation(channels, channels, 1)
        self.encoding = Encoding(channels)
        self.norm = nn.BatchNorm1d(len(self.encoding.codewords))
        self.gate = nn.Linear(channels, channels)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Features (B,C,h,w) at the size of the deepest stage, and the encoding (B,C) of each image."""
        x = self.narrow(features[-1])
        encoding = F.relu(self.norm(self.encoding(self.project(x)))).mean(dim=1)
        gate = self.gate(encoding).sigmoid()[:, :, None, None]
        return F.relu(x + x * gate), encoding


def _presence(logits: Outputs, target: Tensor, ignore_index: int) -> Tensor:
    assert isinstance(logits, Tensor)
    return presence_cross_entropy(logits.float(), target, ignore_index=ignore_index)


class EncNet(DilatedNetwork):
    """EncNet (Zhang et al., 2018, "Context Encoding for Semantic Segmentation").

    A dilated encoder, 32 codewords and a gate on the channels. In training the encoding must also say which
    classes the image holds (the SE loss, weight 0.2), and an FCN head reads the last stage but one. As in
    the authors' release and in mmsegmentation, the encodings of the codewords are averaged, not summed.
    The lateral connections that both offer are off by default in them, and left out here.
    """

    #: Weight of the SE loss in the paper.
    presence_weight: ClassVar[float] = 0.2

    def build(self, in_channels: int, channels: int, classes: int) -> None:
        """As :meth:`DilatedNetwork.build`."""
        self.decoder = ContextEncoding(in_channels, channels)
        self.segmentation_head = ClassifierHead(channels, classes)
        self.add_fcn_auxiliary(classes, channels // 2)
        self.auxiliary_heads["presence"] = nn.Linear(channels, classes)
        self.auxiliary = {**self.auxiliary, "presence": AuxiliaryTerm(self.presence_weight, _presence)}

    def decode(self, features: list[Tensor], images: Tensor) -> tuple[Tensor, dict[str, Outputs]]:
        """As :meth:`Network.decode`; the presence of classes is read off the encoding."""
        x, encoding = self.decoder(features)
        logits = self.segmentation_head(x)
        if not self.training:
            return logits, {}
        looked_at = {"fcn": features[-2], "presence": encoding}
        return logits, {name: head(looked_at[name]) for name, head in self.auxiliary_heads.items()}
