"""Balancing logit variation: noise on the logits, the more the rarer a class."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from aucseg.errors import OptionError
from aucseg.functional.checks import check_number, check_option
from aucseg.functional.logits import (
    COEFFICIENTS,
    ORDERS,
    VARIATIONS,
    class_counts,
    draw_noise,
    noise_mean,
    rarity,
)
from aucseg.losses.noise import NoisyLoss

SCHEDULES = ("constant", "linear", "cosine")


class BLVLoss(NoisyLoss):
    r"""Balancing logit variation: cross entropy of logits that noise has raised.

    .. math::

        z'_k = z_k + w_k \, |\delta|, \qquad w_k = c_k / \max_j c_j, \qquad
        c_k = \log \sum_j q_j - \log q_k, \qquad \delta \sim N(0, \sigma^2)

    with :math:`|\delta|` limited to [0, 1] and a draw of its own for each image, class and pixel (Wang et
    al., CVPR 2023, Eq. 1 to 3; supplement, Section 2). In training only, and on the main output of a network:
    auxiliary heads keep plain cross entropy, as in the release. The logits must have the size of the labels.

    At the printed sigma of 6 87% of the draws are exactly 1, so the noise is nearly the constant
    :math:`w_k`, which raises the rare classes in training: the opposite of logit adjustment.

    Paper, supplement and release differ. Each reading has a name:

    - ``order`` of clip and absolute value: ``"formula"``, :math:`\min(|\delta|, 1)`; ``"listing"``, as in the
      supplement's Algorithm 1, half of the draws are 0;
    - ``coefficient`` :math:`w_k`: see :func:`aucseg.functional.rarity`;
    - ``draws``: ``"pixel_class"``; ``"pixel"``, shared by the classes; ``"class"``, one for a class and call;
    - ``variation``: ``"gaussian"``, ``"uniform"``, ``"beta"``, ``"exponential"`` (Table 6), and without
      variation (Table 8) ``"constant"`` or ``"mean"``, see :func:`aucseg.functional.draw_noise`;
    - ``schedule`` of sigma (supplement, Section 3, where the curve is drawn and not given): up from 0 at step
      0 to ``sigma`` at ``peak_step``, down to 0 at ``last_step`` and 0 from there on; ``"linear"`` or
      ``"cosine"``.

    Args:
        counts: (K,) pixels of each class in training, see :func:`aucseg.losses.class_counts`. A class that
            never occurs counts as the rarest that does.
        sigma: standard deviation before clipping; 6 in the paper (4 for SYNTHIA, and in the release). 0 is
            cross entropy.
        variation: what is drawn.
        order: of clip and absolute value.
        coefficient: how rare each class is.
        draws: what shares a draw.
        common_mean: the mean that the noise of the rarest class is scaled to, so that variations can be
            compared; None leaves each its own.
        schedule: of sigma over the steps of training.
        peak_step: step of the largest sigma, for a schedule.
        last_step: step from which there is no noise, for a schedule.
        seed: of the stream of noise; None draws one from PyTorch's global generator. It is kept in the
            state, with the number of calls.
        options: those of :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: for an option that does not exist or does not go with another, for counts that are none,
            and as ``PixelwiseLoss``.

    Shape:
        as ``PixelwiseLoss``.

    Example:
        >>> loss = BLVLoss([900, 90, 10])
        >>> logits = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 3, (2, 8, 8))).backward()

    """

    rarities: Tensor

    def __init__(
        self,
        counts: Any,
        *,
        sigma: float = 6.0,
        variation: str = "gaussian",
        order: str = "formula",
        coefficient: str = "formula",
        draws: str = "pixel_class",
        common_mean: float | None = None,
        schedule: str = "constant",
        peak_step: int = 30_000,
        last_step: int = 40_000,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        q = class_counts(counts)
        super().__init__(len(q), draws=draws, seed=seed, **options)
        check_option("variation", variation, VARIATIONS)
        check_option("order", order, ORDERS)
        check_option("coefficient", coefficient, COEFFICIENTS)
        check_option("schedule", schedule, SCHEDULES)
        self.variation, self.order, self.coefficient = variation, order, coefficient
        self.sigma = check_number("sigma", sigma, least=0)
        if schedule != "constant" and variation not in ("gaussian", "mean"):
            raise OptionError(
                f"schedule {schedule!r} is of sigma, which variation {variation!r} does not have"
            )
        if not 0 < peak_step < last_step:
            raise OptionError(f"0 < peak_step < last_step, got {peak_step!r} and {last_step!r}")
        self.schedule, self.peak_step, self.last_step = schedule, peak_step, last_step
        self.common_mean = None if common_mean is None else check_number("common_mean", common_mean, least=0)
        if self.common_mean and self.variation in ("gaussian", "mean") and self.sigma == 0:
            raise OptionError(f"common_mean={common_mean!r} cannot be reached with sigma=0; leave one out")
        self.register_buffer("rarities", rarity(q, coefficient), persistent=False)

    def sigma_at(self, step: int) -> float:
        """Sigma at a step of the training.

        Args:
            step: from 0.
        """
        if self.schedule == "constant":
            return self.sigma
        if step < self.peak_step:
            share = step / self.peak_step
        else:
            share = max(0.0, (self.last_step - step) / (self.last_step - self.peak_step))
        return self.sigma * ((1 - math.cos(math.pi * share)) / 2 if self.schedule == "cosine" else share)

    def draw(self, out: Tensor, generator: torch.Generator) -> Tensor:
        """Fill a tensor with the noise of this step; see :meth:`NoisyLoss.draw`."""
        sigma = self.sigma_at(self.count.step)
        return draw_noise(out, generator, variation=self.variation, sigma=sigma, order=self.order)

    def coefficients(self) -> Tensor:
        """What the noise of each class is multiplied with, (K,)."""
        if self.common_mean is None:
            return self.rarities
        return self.rarities * (self.common_mean / noise_mean(self.variation, self.sigma, self.order))

    def _shown(self) -> tuple[str, ...]:
        names = ["sigma", "variation", "order", "coefficient", "draws"]
        names += ["schedule", "peak_step", "last_step"] if self.schedule != "constant" else []
        return (*names, *(() if self.common_mean is None else ("common_mean",)))
