"""SegNeXt: convolutional attention, and a matrix factorisation for global context (Guo et al., 2022)."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.errors import OptionError
from aucseg.models.networks.base import ClassifierHead, Network, build_encoder, resize, without_autocast

_GROUPS = 32
_EPS = 1e-6
# Channels of the decoder for the encoders of the paper (its Table 2); others take the smallest.
_CHANNELS = {"mscan_t": 256, "mscan_s": 256, "mscan_b": 512, "mscan_l": 1024}


def factorise(x: Tensor, bases: Tensor, steps: int) -> Tensor:
    r"""The product of rank R that multiplicative updates find for a non-negative matrix, :math:`D C^T`.

    From the softmax of :math:`X^T D` on, each step renews first the coefficients and then the bases
    (Lee and Seung, 2001), and one last renewal of the coefficients follows:

    .. math:: C \leftarrow C \odot \frac{X^T D}{C D^T D + \epsilon}, \qquad
        D \leftarrow D \odot \frac{X C}{D C^T C + \epsilon}

    The gradient is that of the last renewal alone, with what went into it held fixed (Geng et al., 2021, "Is
    Attention Better Than Matrix Decomposition?", one-step gradient): the iteration keeps nothing for
    backward, and its gradient does not vanish or explode with the number of steps.

    Args:
        x: (B,C,N), not negative.
        bases: (B,C,R), not negative, columns of length 1.
        steps: how often both are renewed.

    Returns:
        (B,C,N).
    """
    with torch.no_grad():
        coefficients = F.softmax(x.transpose(1, 2) @ bases, dim=-1)
        for _ in range(steps):
            coefficients = _renewed(coefficients, x.transpose(1, 2), bases)
            bases = _renewed(bases, x, coefficients)
    return bases @ _renewed(coefficients, x.transpose(1, 2), bases).transpose(1, 2)


def _renewed(factor: Tensor, x: Tensor, other: Tensor) -> Tensor:
    """The multiplicative update of the left factor of ``x = factor @ other^T``."""
    return factor * (x @ other) / (factor @ (other.transpose(1, 2) @ other) + _EPS)


class NonNegativeFactorisation(nn.Module):
    """What an image has in common with itself: :func:`factorise` with random bases, in at least float32.

    In training each image has bases of its own, drawn from the global generator. In evaluation all have the
    same, drawn once from a generator of its own and saved with the network, so that a logit depends on the
    image and the weights alone. (The released code draws anew in evaluation too.)

    Args:
        channels: channels in and out.
        rank: number of bases R.
        train_steps: steps in training.
        eval_steps: steps in evaluation.
    """

    bases: Tensor

    def __init__(self, channels: int, rank: int = 64, train_steps: int = 6, eval_steps: int = 7) -> None:
        super().__init__()
        self.train_steps, self.eval_steps = train_steps, eval_steps
        drawn = torch.rand(1, channels, rank, generator=torch.Generator().manual_seed(0), device="cpu")
        # device: where the network is being built, the meta device among others
        self.register_buffer("bases", F.normalize(drawn, dim=1).to(torch.get_default_device()))

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W), not negative, to the same size."""
        # the updates divide small numbers by small numbers: half precision has not the range
        with without_autocast(x):
            columns = x.flatten(2).to(torch.promote_types(x.dtype, torch.float32))
            if self.training:
                drawn = torch.rand(x.shape[0], *self.bases.shape[1:], device=x.device, dtype=columns.dtype)
                bases, steps = F.normalize(drawn, dim=1), self.train_steps
            else:
                bases, steps = self.bases.to(columns.dtype).expand(x.shape[0], -1, -1), self.eval_steps
            return factorise(columns, bases, steps).view_as(x).to(x.dtype)


class Hamburger(nn.Module):
    """A :class:`NonNegativeFactorisation` between two 1x1 convolutions, beside a shortcut (Geng et al.).

    Args:
        channels: channels in and out, a multiple of 32.
        rank: of the factorisation.
    """

    def __init__(self, channels: int, rank: int = 64) -> None:
        super().__init__()
        self.ham_in = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU())
        self.ham = NonNegativeFactorisation(channels, rank)
        self.ham_out = _mixed(channels, channels, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) to the same size."""
        return F.relu(x + self.ham_out(self.ham(self.ham_in(x))))


class LightHam(nn.Module):
    """The three deepest stages at the size of the first of them, concatenated, and a :class:`Hamburger`.

    Args:
        encoder_channels: channels of the stages of the encoder, as smp's ``out_channels``.
        channels: channels out, a multiple of 32.
        rank: of the factorisation.
    """

    def __init__(self, encoder_channels: list[int], channels: int, rank: int = 64) -> None:
        super().__init__()
        self.squeeze = _mixed(sum(encoder_channels[-3:]), channels)
        self.hamburger = Hamburger(channels, rank)
        self.align = _mixed(channels, channels)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(B,C,H/8,W/8) from the stages of an encoder."""
        size = features[-3].shape[-2:]
        stages = torch.cat([resize(stage, size) for stage in features[-3:]], dim=1)
        aligned: Tensor = self.align(self.hamburger(self.squeeze(stages)))
        return aligned


def _mixed(
    in_channels: int, channels: int, activation: type[nn.Module] | None = nn.ReLU
) -> Conv2dNormActivation:
    """1x1 convolution, group norm and an activation."""
    norm = partial(nn.GroupNorm, _GROUPS)
    return Conv2dNormActivation(in_channels, channels, 1, norm_layer=norm, activation_layer=activation)


class SegNeXt(Network):
    """SegNeXt: MSCAN with the LightHam decoder on its stages at 1/8, 1/16 and 1/32. No auxiliary branch.

    Its sizes are T, S, B and L by the encoder, ``mscan_t`` to ``mscan_l``. Any encoder with stages from 1/8
    to 1/32 takes MSCAN's place.

    Args:
        encoder_name: encoder of this package, smp or timm.
        encoder_weights: as smp. MSCAN has weights in files only.
        decoder_channels: channels of the decoder, a multiple of 32. ``None`` takes what the paper gives the
            encoder: 256 for T and S, 512 for B, 1024 for L, and 256 for any other.
        decoder_rank: bases of the factorisation. The released configurations of B and L have 64, those of T
            and S 16.
        in_channels: channels of the images.
        classes: number of classes K.
        plain_logits: as :class:`Network`.
        kwargs: further arguments of a timm encoder.

    Raises:
        ValueError: if ``decoder_channels`` is not a multiple of 32, or ``decoder_rank`` is not positive.
    """

    standard_encoder: ClassVar[str] = "mscan_t"
    small: ClassVar[dict[str, Any]] = {"encoder": "mscan_xt", "decoder_channels": 128}

    @supports_config_loading
    def __init__(
        self,
        encoder_name: str = standard_encoder,
        encoder_weights: str | None = None,
        decoder_channels: int | None = None,
        decoder_rank: int = 64,
        in_channels: int = 3,
        classes: int = 19,
        plain_logits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(plain_logits=plain_logits)
        channels = _CHANNELS.get(encoder_name, 256) if decoder_channels is None else decoder_channels
        if channels < 1 or channels % _GROUPS:
            raise OptionError(
                f"decoder_channels is a multiple of {_GROUPS}, the groups of its norm, got {channels}"
            )
        if decoder_rank < 1:
            raise OptionError(f"decoder_rank is the number of bases, at least 1, got {decoder_rank}")
        self.encoder = build_encoder(
            encoder_name, weights=encoder_weights, network="segnext", in_channels=in_channels, **kwargs
        )
        self.decoder = LightHam(self.encoder.out_channels, channels, decoder_rank)
        self.segmentation_head = ClassifierHead(channels, classes)
        self.initialize()
