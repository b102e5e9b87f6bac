"""Strong views of a batch for training without labels: colours and blur, image by image, on its device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)
# Rows of RGB in a basis of luma and two colour differences, in which a hue is an angle (NTSC's YIQ).
_YIQ = torch.tensor(
    [_LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)], dtype=torch.float64
)


def color_matrices(
    brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor
) -> tuple[Tensor, Tensor]:
    r"""The change of colours of each image as one matrix and the share of its mean grey that is added.

    With :math:`Y` the matrix of YIQ, :math:`R(\phi)` the turn of its colour plane by :math:`\phi`, and b, c,
    s the factors of brightness, contrast and saturation:

    .. math:: x' = b c \, Y^{-1} \mathrm{diag}(1, s, s) R(\phi) Y x + b (1 - c) \bar g

    with the mean grey :math:`\bar g` of the image: hue, saturation, contrast about the mean, brightness.

    Args:
        brightness: b, (B,), at least 0.
        contrast: c, (B,), at least 0.
        saturation: s, (B,), at least 0.
        hue: turns of the hue in whole turns, (B,).

    Returns:
        (B, 3, 3) and (B,), float64, on the CPU.
    """
    angle = 2 * math.pi * hue.double()
    turn = torch.zeros(len(hue), 3, 3, dtype=torch.float64)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * angle.cos()
    turn[:, 1, 2] = -saturation * angle.sin()
    turn[:, 2, 1] = saturation * angle.sin()
    matrices = _YIQ.inverse() @ turn @ _YIQ
    return matrices * (brightness * contrast)[:, None, None], brightness * (1 - contrast)


def gaussian_kernels(sigma: Tensor, radius: int) -> Tensor:
    """Weights of a Gaussian at whole distances from -radius to radius, (B, 2 radius + 1), of sum 1.

    Args:
        sigma: standard deviations in pixels, (B,), positive.
        radius: in pixels.
    """
    at = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-(at**2) / (2 * sigma.double()[:, None] ** 2))
    return weights / weights.sum(1, keepdim=True)


class StrongView:
    """Colours jittered and pictures blurred, each image by draws of its own.

    Brightness, contrast and saturation are multiplied by factors uniform in [1 - strength, 1 + strength], the
    hue is turned by up to ``strength`` of a half turn, see :func:`color_matrices`; values stay in [0, 1]. The
    Gaussian of the blur reaches three standard deviations, and the edge is mirrored.

    DAFormer's release has a strength of 0.2 in 80% of the images (its code compares the wrong way round with
    a probability of 0.2), and a sigma of 0.15 to 1.15 pixels in half of them.

    Args:
        strength: of the jitter, in [0, 1].
        jitter: probability of the jitter, in [0, 1].
        blur: probability of the blur, in [0, 1].
        sigma: range of its standard deviation in pixels.
        mean, std: figures that images are normalised by, of red, green and blue.

    Raises:
        ValueError: for a number out of its range.
    """

    def __init__(
        self,
        *,
        strength: float = 0.2,
        jitter: float = 0.8,
        blur: float = 0.5,
        sigma: tuple[float, float] = (0.15, 1.15),
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        for name, value in (("strength", strength), ("jitter", jitter), ("blur", blur)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is in [0, 1], got {value}")
        if not 0 < sigma[0] <= sigma[1]:
            raise ValueError(f"sigma is (low, high) with 0 < low <= high, got {sigma}")
        self.strength, self.jitter, self.blur, self.sigma = strength, jitter, blur, sigma
        self.mean, self.std = (torch.tensor(figures, dtype=torch.float64) for figures in (mean, std))

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """A strong view of each image.

        Args:
            images: (B, 3, H, W), normalised.
            generator: on the CPU.

        Returns:
            New images of the same shape, dtype and device; the inputs if nothing was drawn.
        """
        number = len(images)
        draws = torch.rand(7, number, generator=generator, dtype=torch.float64)
        with torch.autocast(images.device.type, enabled=False):
            jittered = (draws[0] < self.jitter) if self.strength else torch.zeros(number, dtype=torch.bool)
            if jittered.any():
                images = self._colors(images, jittered, draws[1:5])
            blurred = draws[5] < self.blur
            if blurred.any():
                images = self._blur(images, blurred, draws[6])
        return images

    def _colors(self, images: Tensor, jittered: Tensor, draws: Tensor) -> Tensor:
        change = self.strength * (2 * draws - 1) * jittered
        brightness, contrast, saturation = (1 + change[:3]).unbind()
        matrix, grey = color_matrices(brightness, contrast, saturation, 0.5 * change[3])
        # normalised values in, normalised values out: x = (v - mean) / std with v in [0, 1]
        inner = matrix * self.std[None, None, :] / self.std[None, :, None]
        offset = (matrix @ self.mean - self.mean) / self.std
        luma = torch.tensor(_LUMA, dtype=torch.float64)
        to: dict[str, Any] = {"device": images.device, "dtype": images.dtype}
        means = images.mean((2, 3))  # (B, 3)
        value = means @ (luma * self.std).to(**to) + float(luma @ self.mean)
        shift = offset.to(**to) + grey.to(**to)[:, None] * value[:, None] / self.std.to(**to)
        planes = torch.baddbmm(shift[:, :, None], inner.to(**to), images.flatten(2)).view_as(images)
        low, high = ((bound - self.mean) / self.std for bound in (0.0, 1.0))
        planes = torch.minimum(
            torch.maximum(planes, low.to(**to)[:, None, None]), high.to(**to)[:, None, None]
        )
        if bool(jittered.all()):
            return planes
        return torch.where(jittered.to(images.device)[:, None, None, None], planes, images)

    def _blur(self, images: Tensor, blurred: Tensor, draw: Tensor) -> Tensor:
        which = blurred.nonzero()[:, 0]
        low, high = self.sigma
        radius = min(math.ceil(3 * high), min(images.shape[-2:]) - 1)
        sigma = low + (high - low) * draw[which]
        weights = gaussian_kernels(sigma, radius).to(images.device, images.dtype)
        which = which.to(images.device)
        chosen = images.index_select(0, which)
        channels = chosen.shape[1]
        groups = channels * len(chosen)
        planes = chosen.reshape(1, groups, *chosen.shape[-2:])
        planes = F.pad(planes, (radius,) * 4, mode="reflect")
        kernel = weights.repeat_interleave(channels, 0)[:, None]
        planes = F.conv2d(planes, kernel[..., None], groups=groups)
        planes = F.conv2d(planes, kernel[:, :, None], groups=groups)
        return images.index_copy(0, which, planes.view_as(chosen))
