"""DANet: attention between positions and between channels, side by side (Fu et al., 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.errors import OptionError
from aucseg.models.networks.base import (
    AuxiliaryTerm,
    ClassifierHead,
    DilatedNetwork,
    Outputs,
    full_precision,
    resized_cross_entropy,
    without_autocast,
)

# Queries and keys of the position attention have this part of the channels of the values.
_REDUCTION = 8


class PositionAttention(nn.Module):
    r"""Every pixel gathers the values of all pixels that resemble it (Section 3.2 of the paper).

    .. math:: y_i = x_i + \gamma \sum_j \mathrm{softmax}_j(q_i^\top k_j)\, v_j

    The scores are not scaled, and gamma starts at zero: at first the block passes on what it gets.

    Args:
        channels: channels of the features; queries and keys have an eighth of them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // _REDUCTION, 1)
        self.key = nn.Conv2d(channels, channels // _REDUCTION, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,h,w) from (B,C,h,w)."""
        # The kernels without a matrix of all pairs of pixels want the channels of a pixel next to each other.
        query, key, value = (
            project(x).flatten(2).transpose(1, 2).contiguous().unsqueeze(1)
            for project in (self.query, self.key, self.value)
        )
        if x.device.type == "cpu":
            # That of the CPU also wants queries and keys as wide as values; zeros change no score. A GPU has
            # one that takes the widths as they are.
            missing = value.shape[-1] - query.shape[-1]
            query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
        gathered = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gamma * gathered.squeeze(1).transpose(1, 2).unflatten(2, x.shape[-2:])


class ChannelAttention(nn.Module):
    r"""Every channel gathers all channels, most of all those unlike it (Section 3.3 of the paper).

    .. math:: y_c = x_c + \gamma \sum_d \mathrm{softmax}_d\bigl(\max_e E_{ce} - E_{cd}\bigr)\, x_d,
              \qquad E = X X^\top

    The paper prints the softmax of the energies themselves. The authors' code subtracts them from the largest
    of their row, which turns the order round; so does this. There is no weight but gamma, which starts at
    zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,h,w) from (B,C,h,w)."""
        flat = x.flatten(2)
        # Energies are sums over all pixels: half precision would round them by more than their differences.
        with without_autocast(flat):
            exact = full_precision(flat)
            energy = exact @ exact.transpose(1, 2)
            attention = (energy.amax(dim=-1, keepdim=True) - energy).softmax(dim=-1)
        gathered = attention.to(flat.dtype) @ flat
        return x + self.gamma * gathered.unflatten(2, x.shape[-2:])


class DualAttention(nn.Module):
    """Both attentions on the deepest features, each between two 3x3 convolutions of its own.

    Args:
        in_channels: channels of the deepest stage.
        channels: channels of the head, a multiple of 8.

    Raises:
        ValueError: if ``channels`` is below 8 or no multiple of it.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        if channels < _REDUCTION or channels % _REDUCTION:
            raise OptionError(
                f"danet's queries have an eighth of decoder_channels: take a multiple of 8, got {channels}"
            )
        self.out_channels = channels
        self.position = nn.Sequential(
            Conv2dNormActivation(in_channels, channels, 3),
            PositionAttention(channels),
            Conv2dNormActivation(channels, channels, 3),
        )
        self.channel = nn.Sequential(
            Conv2dNormActivation(in_channels, channels, 3),
            ChannelAttention(),
            Conv2dNormActivation(channels, channels, 3),
        )

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Features (B,C,h,w) of the branch of positions and of that of channels."""
        return self.position(features[-1]), self.channel(features[-1])


class DANet(DilatedNetwork):
    """Dual attention network of Fu et al. (2019): the sum of two branches of attention is classified.

    In training each branch has a classifier of its own as well, with cross entropy of weight 1, besides the
    usual branch on the last stage but one (weight 0.4). In evaluation only the sum is classified.
    """

    def build(self, in_channels: int, channels: int, classes: int) -> None:
        """As :meth:`DilatedNetwork.build`."""
        self.decoder = DualAttention(in_channels, channels)
        self.segmentation_head = ClassifierHead(channels, classes)
        self.add_fcn_auxiliary(classes)
        for branch in ("position", "channel"):
            self.auxiliary_heads[branch] = ClassifierHead(channels, classes)
            self.auxiliary = {**self.auxiliary, branch: AuxiliaryTerm(1.0, resized_cross_entropy)}

    def decode(self, features: list[Tensor], images: Tensor) -> tuple[Tensor, dict[str, Outputs]]:
        """Logits of the sum of both branches and, in training mode, of each and of the last stage but one."""
        position, channel = self.decoder(features)
        logits = self.segmentation_head(position + channel)
        if not self.training:
            return logits, {}
        looked_at = {"fcn": features[-2], "position": position, "channel": channel}
        return logits, {name: head(looked_at[name]) for name, head in self.auxiliary_heads.items()}
