"""Losses that shift or scale logits by how often a class occurs: LA, balanced softmax, VS, LDAM."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aucseg.functional.checks import check_number
from aucseg.functional.logits import adjusted_cross_entropy, class_counts, log_prior, never_seen_as_rarest
from aucseg.losses.base import PixelwiseLoss


class LogitAdjustedLoss(PixelwiseLoss):
    r"""Logit adjustment: cross entropy of logits to which the log prior is added in training.

    .. math::

        \ell_m = -\log \mathrm{softmax}(z_m + \tau \log \pi)_{y_m}, \qquad \pi_k = q_k / \sum_j q_j

    (Menon et al., 2021, Eq. 10). The prediction is made from the plain logits: the network has learnt to
    give a rare class as much more as the prior took from it. With pixel counts of real data the offsets span
    six units and more, and the head pays for the tail (AUCSeg, Table 1).

    Args:
        counts: (K,) how often each class occurs in training, see :func:`aucseg.losses.class_counts`: pixels
            or, if so wanted, images. A class that never occurs counts as the rarest that does.
        tau: strength; 0 is cross entropy, 1 the balanced softmax.
        options: those of :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: for counts that are none, and as ``PixelwiseLoss``.

    Shape:
        as ``PixelwiseLoss``.

    Example:
        >>> loss = LogitAdjustedLoss([900, 90, 10])
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    offsets: Tensor

    def __init__(self, counts: Any, *, tau: float = 1.0, **options: Any) -> None:
        q = class_counts(counts)
        super().__init__(len(q), **options)
        self.tau = check_number("tau", tau, least=0)
        self.register_buffer("offsets", self.tau * log_prior(q), persistent=False)

    def pixel_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Cross entropy of the shifted logits; see :meth:`PixelwiseLoss.pixel_losses`."""
        shift = _column(self.offsets, logits)

        def adjust(strip: Tensor, label: Tensor, out: Tensor | None) -> Tensor:
            return torch.add(strip, shift, out=out)

        return adjusted_cross_entropy(logits, rows, adjust)

    def _shown(self) -> tuple[str, ...]:
        return ("tau",)


class BalancedSoftmaxLoss(LogitAdjustedLoss):
    r"""Balanced softmax: a softmax whose terms are weighed by how often each class occurs in training.

    .. math::

        \ell_m = -\log \frac{q_{y_m} e^{z_{m,y_m}}}{\sum_k q_k e^{z_{m,k}}}

    (Ren et al., 2020, Eq. 4; Region Rebalance, Section 3.1): logit adjustment of strength 1. With numbers of
    pixels as ``counts`` it is the pixel prior of that paper's Table 1, with numbers of images its region
    prior.

    Args:
        counts: as :class:`LogitAdjustedLoss`.
        options: those of :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: as :class:`LogitAdjustedLoss`.

    Shape:
        as ``PixelwiseLoss``.

    Example:
        >>> loss = BalancedSoftmaxLoss([900, 90, 10])
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    def __init__(self, counts: Any, **options: Any) -> None:
        super().__init__(counts, tau=1.0, **options)

    def _shown(self) -> tuple[str, ...]:
        return ()


class VSLoss(PixelwiseLoss):
    r"""Vector scaling: logits scaled and shifted by how often a class occurs.

    .. math::

        \ell_m = -\log \mathrm{softmax}(\Delta \odot z_m + \tau \log \pi)_{y_m}, \qquad
        \Delta_k = (q_k / q_{\max})^{\gamma}

    (Kini et al., 2021, Eq. 2 and Section 2.3). Without the scales (gamma 0) it is logit adjustment, without
    the offsets (tau 0) the class-dependent temperature of Ye et al., 2020.

    Args:
        counts: as :class:`LogitAdjustedLoss`.
        gamma: exponent of the scales.
        tau: strength of the offsets.
        options: those of :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: as :class:`LogitAdjustedLoss`.

    Shape:
        as ``PixelwiseLoss``.

    Example:
        >>> loss = VSLoss([900, 90, 10])
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    offsets: Tensor
    scales: Tensor

    def __init__(self, counts: Any, *, gamma: float = 0.3, tau: float = 1.0, **options: Any) -> None:
        q = class_counts(counts)
        super().__init__(len(q), **options)
        self.gamma, self.tau = check_number("gamma", gamma, least=0), check_number("tau", tau, least=0)
        self.register_buffer("offsets", self.tau * log_prior(q), persistent=False)
        seen = never_seen_as_rarest(q)
        self.register_buffer("scales", (seen / seen.max()) ** self.gamma, persistent=False)

    def pixel_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Cross entropy of the scaled and shifted logits; see :meth:`PixelwiseLoss.pixel_losses`."""
        shift, scale = _column(self.offsets, logits), _column(self.scales, logits)

        def adjust(strip: Tensor, label: Tensor, out: Tensor | None) -> Tensor:
            # not addcmul, which is slow where two of three are one number for a row
            return torch.mul(strip.to(scale.dtype), scale, out=out).add_(shift)

        return adjusted_cross_entropy(logits, rows, adjust, scale=self.scales)

    def _shown(self) -> tuple[str, ...]:
        return ("gamma", "tau")


class LDAMLoss(PixelwiseLoss):
    r"""Label-distribution-aware margins: the own logit is lowered, the more the rarer its class.

    .. math::

        \ell_m = -\log \mathrm{softmax}\bigl(s (z_m - \Delta_{y_m} e_{y_m})\bigr)_{y_m}, \qquad
        \Delta_k = C q_k^{-1/4}

    with C such that the largest margin is ``max_margin`` (Cao et al., 2019, Eq. 13 and Section 3.2). The
    scale of 30 presumes that logits are cosines, as those of a network with ``head="cosine"`` are
    (:func:`aucseg.models.use_head`): on plain logits it saturates the softmax, and there a scale of 1 is the
    reading that can be trained. Deferred re-weighting, with which that paper trains, are the options
    ``weights`` and ``weights_from``.

    Args:
        counts: as :class:`LogitAdjustedLoss`.
        max_margin: margin of the rarest class.
        scale: s, positive.
        options: those of :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: as :class:`LogitAdjustedLoss`.

    Shape:
        as ``PixelwiseLoss``.

    Example:
        >>> loss = LDAMLoss([900, 90, 10])
        >>> cosines = torch.rand(2, 3, 8, 8, requires_grad=True)
        >>> loss(cosines, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    margins: Tensor

    def __init__(self, counts: Any, *, max_margin: float = 0.5, scale: float = 30.0, **options: Any) -> None:
        q = class_counts(counts)
        super().__init__(len(q), **options)
        self.max_margin = check_number("max_margin", max_margin, least=0)
        self.scale = check_number("scale", scale, least=0, above=True)
        root = never_seen_as_rarest(q) ** -0.25
        self.register_buffer("margins", self.max_margin * root / root.max(), persistent=False)

    def pixel_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Cross entropy with a margin on the own logit; see :meth:`PixelwiseLoss.pixel_losses`."""
        margins = -self.scale * _column(self.margins, logits)[:, 0]

        def adjust(strip: Tensor, label: Tensor, out: Tensor | None) -> Tensor:
            # widened first: half precision would round the product
            scaled = torch.mul(strip.to(margins.dtype), self.scale, out=out)
            return scaled.scatter_add_(0, label[None], margins.index_select(0, label)[None])

        return adjusted_cross_entropy(logits, rows, adjust, scale=self.scale)

    def _shown(self) -> tuple[str, ...]:
        return ("max_margin", "scale")


def _column(table: Tensor, logits: Tensor) -> Tensor:
    """(K, 1) in the dtype that logits are computed in, on their device."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    return table.to(logits.device, wide)[:, None]
