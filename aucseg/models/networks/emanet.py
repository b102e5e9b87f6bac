"""EMANet: features rebuilt from a few bases that expectation maximisation finds (Li et al., 2019)."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.models.networks.base import ClassifierHead, DilatedNetwork, full_precision, without_autocast


@torch.no_grad()
def expectation_maximization(features: Tensor, bases: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Bases of each image, and how much each pixel takes of each.

    A step shares out every pixel to the bases by softmax over their inner products, takes for each base the
    mean of the pixels with these shares as weights, and brings it to length 1 ("Expectation-Maximization
    Attention Networks for Semantic Segmentation", Section 3.2). Without gradients, as in the authors'
    release. Cost and memory are linear in pixels.

    Args:
        features: (B,C,N), float32 or wider.
        bases: (B,C,K) to start from.
        steps: number of steps, at least 1.

    Returns:
        Bases (B,C,K), and shares (B,N,K) that add up to 1 over the bases.
    """
    shares = features.new_zeros(())
    for _ in range(steps):
        shares = (features.transpose(1, 2) @ bases).softmax(dim=2)
        bases = F.normalize(features @ F.normalize(shares, p=1.0, dim=1), dim=1)
    return bases, shares


class BasisAttention(nn.Module):
    """Pixels rebuilt from their own image's bases; all images start from bases remembered in training.

    What is remembered is a moving average of the bases found, over all images of all ranks: with
    ``torch.distributed`` initialised, ranks that start from equal bases keep equal ones, whatever their
    numbers of images; in training mode all of them must call it then, as with synchronised batch norm. As in
    the authors' release the mean is not brought to length 1 again; mmsegmentation does that.

    Args:
        channels: channels C of the features.
        num_bases: number of bases K.
        steps: steps of expectation maximisation for each image.
        momentum: share of the old bases in the moving average.
    """

    bases: Tensor

    def __init__(self, channels: int, num_bases: int = 64, steps: int = 3, momentum: float = 0.9) -> None:
        super().__init__()
        self.steps, self.momentum = steps, momentum
        drawn = torch.empty(1, channels, num_bases).normal_(0, (2 / num_bases) ** 0.5)
        self.register_buffer("bases", F.normalize(drawn, dim=1))

    def forward(self, features: Tensor) -> Tensor:
        """(B,C,H,W) without a gradient, from features of that shape; the steps are in float32 or wider."""
        with torch.no_grad(), without_autocast(features):
            x = full_precision(features)
            start = self.bases.to(x).expand(x.shape[0], -1, -1)  # len would fix the batch of an export
            bases, shares = expectation_maximization(x.flatten(2), start, self.steps)
            if self.training:
                self._remember(bases)
            return (bases @ shares.transpose(1, 2)).view_as(x).to(features.dtype)

    def _remember(self, bases: Tensor) -> None:
        total, images = bases.sum(dim=0), bases.new_full((1,), len(bases))
        if dist.is_available() and dist.is_initialized():
            message = torch.cat([total.flatten(), images])
            dist.all_reduce(message)
            total, images = message[:-1].view_as(total), message[-1:]
        # in place: distributed training and compiled graphs hold on to the buffer
        self.bases.lerp_((total / images)[None].to(self.bases), 1 - self.momentum)


class BasisDecoder(nn.Module):
    """The deepest stage, joined by what :class:`BasisAttention` makes of it.

    Args:
        in_channels: channels of the deepest stage.
        channels: width of the attention; what comes out has half of it.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.out_channels = channels // 2
        self.narrow = Conv2dNormActivation(in_channels, channels, 3)
        # makes room below zero for the bases; no gradient comes back through the steps that follow
        self.signed = nn.Conv2d(channels, channels, 1).requires_grad_(False)
        self.attention = BasisAttention(channels)
        self.rebuilt = Conv2dNormActivation(channels, channels, 1, activation_layer=None)
        self.mix = Conv2dNormActivation(channels, self.out_channels, 3)
        self.join = Conv2dNormActivation(in_channels + self.out_channels, self.out_channels, 3)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(B,C/2,h,w) at the size of the deepest stage."""
        x = self.narrow(features[-1])
        rebuilt = self.rebuilt(F.relu(self.attention(self.signed(x))))
        joined: Tensor = self.join(torch.cat([features[-1], self.mix(F.relu(x + rebuilt))], dim=1))
        return joined


class EMANet(DilatedNetwork):
    """EMANet (Li et al., 2019, "Expectation-Maximization Attention Networks for Semantic Segmentation").

    A dilated encoder, and attention over 64 bases in place of pairs of pixels. The size is that of
    mmsegmentation, which adds two things to the authors' release: the input of the decoder is concatenated
    before the classifier, and an FCN head reads the last stage but one in training.
    """

    def build(self, in_channels: int, channels: int, classes: int) -> None:
        """As :meth:`DilatedNetwork.build`."""
        self.decoder = BasisDecoder(in_channels, channels)
        self.segmentation_head = ClassifierHead(self.decoder.out_channels, classes)
        self.add_fcn_auxiliary(classes, channels // 2)
