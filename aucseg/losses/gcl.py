"""Gaussian clouded logits, what logit variation came after: noise that lowers rare classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aucseg.functional.checks import check_number
from aucseg.functional.logits import class_counts, draw_noise, rarity
from aucseg.losses.noise import NoisyLoss


class GCLLoss(NoisyLoss):
    r"""Gaussian clouded logit adjustment: noise lowers the logits of a class, the more the rarer it is.

    .. math::

        \ell_m = -\log \mathrm{softmax}\bigl(s (z_m - \lambda\, w \odot |\epsilon_m|)\bigr)_{y_m}, \qquad
        w_k = \frac{\log q_{\max} - \log q_k}{\log q_{\max} - \log q_{\min}}

    with :math:`\epsilon` from :math:`N(0, \sigma^2)`, clipped to [-1, 1], for each pixel and class (Li,
    Cheung and Lu, CVPR 2022; the scale, sigma and lambda are those of their released code). A rare class has
    to be ahead by its cloud to be told right, as with a margin. :class:`aucseg.losses.BLVLoss`, a year later,
    has the same noise with the opposite sign. Logits are cosines: the network wants ``head="cosine"``
    (:func:`aucseg.models.use_head`). The second stage of that paper, a new classifier on balanced samples, is
    not part of the loss. In evaluation mode there is no noise.

    Args:
        counts: (K,) how often each class occurs in training, see :func:`aucseg.losses.class_counts`. A class
            that never occurs counts as the rarest that does.
        strength: lambda, the largest that the cloud of the rarest class lowers its cosine.
        sigma: standard deviation before clipping.
        scale: s, positive.
        draws: what shares a draw, as for ``BLVLoss``.
        seed: of the stream of noise, as for ``BLVLoss``.
        options: those of :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: for an option out of range, for counts that are none, and as ``PixelwiseLoss``.

    Shape:
        as ``PixelwiseLoss``.

    Example:
        >>> loss = GCLLoss([900, 90, 10])
        >>> cosines = torch.rand(2, 3, 8, 8, requires_grad=True)
        >>> loss(cosines, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    rarities: Tensor

    def __init__(
        self,
        counts: Any,
        *,
        strength: float = 0.5,
        sigma: float = 1 / 3,
        scale: float = 30.0,
        draws: str = "pixel_class",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        q = class_counts(counts)
        super().__init__(len(q), draws=draws, seed=seed, **options)
        self.strength = check_number("strength", strength, least=0)
        self.sigma = check_number("sigma", sigma, least=0)
        self.scale = check_number("scale", scale, least=0, above=True)
        self.register_buffer("rarities", rarity(q, "release"), persistent=False)

    def draw(self, out: Tensor, generator: torch.Generator) -> Tensor:
        """Fill a tensor with clouds; see :meth:`NoisyLoss.draw`."""
        return draw_noise(out, generator, sigma=self.sigma)

    def coefficients(self) -> Tensor:
        """What the noise of each class is multiplied with, (K,), none of it positive."""
        return -self.strength * self.rarities

    def _shown(self) -> tuple[str, ...]:
        return ("strength", "sigma", "scale", "draws")
