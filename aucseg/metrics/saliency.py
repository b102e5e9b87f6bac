"""Measures of salient object detection: MAE, F-beta and E-measure of maps beside masks of two classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aucseg.functional.checks import check_ignore_index, class_index, label_map, where_float64_is
from aucseg.metrics.figures import FigureMetric, share_of_units, units

_LEVELS = 256
_BETA_SQUARED = 0.3


class SaliencyMeasures(FigureMetric):
    r"""Mean absolute error, F-beta and E-measure of saliency maps, means over images.

    With the map :math:`p \in [0, 1]` and the mask :math:`g \in \{0, 1\}` of an image of n labelled pixels:

    .. math::

        MAE = \frac1n \sum_i |p_i - g_i|, \qquad
        F_\beta(t) = \frac{(1 + \beta^2)\, P_t R_t}{\beta^2 P_t + R_t}, \quad \beta^2 = 0.3

    with precision and recall of the pixels :math:`D_t = [\lfloor 255 p \rfloor \ge t]`, for the 256
    thresholds t from 0 to 255. The E-measure (Fan et al., 2018, "Enhanced-alignment Measure for Binary
    Foreground Map Evaluation", Eq. 2 to 5) compares both less their means,
    :math:`\varphi_D = D_t - \bar D_t` and :math:`\varphi_g = g - \bar g`:

    .. math::

        \xi = \frac{2 \varphi_D \varphi_g}{\varphi_D^2 + \varphi_g^2}, \qquad
        E(t) = \frac1n \sum_i \frac{(1 + \xi_i)^2}{4}

    Where the mask is all background, :math:`E(t)` is the share that is not predicted, where it is all object,
    the share that is; there :math:`\xi` would know only one class. Published tables divide by n - 1, as the
    first code did, which is larger by :math:`n / (n - 1)`. F is 0 where precision or recall is, also in an
    image without an object. ``"F_beta_mean"`` and ``"E_mean"`` are the means over thresholds and images, as
    AUCSeg's Table 13 has them; ``"F_beta_max"`` and ``"E_max"`` the largest value of the mean curve;
    ``"F_beta_adaptive"`` takes one threshold for each image, twice the mean of its map and at most 1.

    Args:
        scale: scale each map to [0, 1] by its own smallest and largest score first, as the common toolboxes
            do; a map of one value stays as it is.
        ignore_index: label of void pixels, which count nowhere.
        **options: those of ``torchmetrics.Metric``.

    Example:
        >>> metric = SaliencyMeasures()
        >>> metric.update(torch.tensor([[[1.0, 0.5], [0.0, 0.0]]]), torch.tensor([[[1, 1], [0, 0]]]))
        >>> metric.compute()["MAE"].item()
        0.125
    """

    images: Tensor
    error: Tensor
    adaptive: Tensor
    f_curve: Tensor
    e_curve: Tensor

    def __init__(self, *, scale: bool = False, ignore_index: int = 255, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.ignore_index = bool(scale), check_ignore_index(ignore_index)
        for name, shape in (
            ("images", ()),
            ("error", ()),
            ("adaptive", ()),
            ("f_curve", (_LEVELS,)),
            ("e_curve", (_LEVELS,)),
        ):
            self.add_state(name, default=torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the figures that ``compute`` returns."""
        return ("MAE", "F_beta_mean", "F_beta_max", "F_beta_adaptive", "E_mean", "E_max")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            preds: (B, H, W) or (B, 1, H, W), floating point, probabilities of the object in [0, 1]; those at
                void pixels do not matter.
            target: (B, H, W) or (B, 1, H, W), integer or boolean: 0, 1 or ``ignore_index``. An image without
                a labelled pixel is passed over.

        Raises:
            TypeError: if preds are not floating point or the target is not integer.
            ValueError: if shapes do not fit, a label is neither 0, 1 nor void, or a score is outside [0, 1].
        """
        if not isinstance(preds, Tensor) or not preds.is_floating_point():
            kind = preds.dtype if isinstance(preds, Tensor) else type(preds).__name__
            raise TypeError(f"preds are {kind}; give probabilities, floating point in [0, 1]")
        target = label_map(target, 2)
        maps = preds[:, 0] if preds.ndim == 4 and preds.shape[1] == 1 else preds
        if maps.shape != target.shape:
            raise ValueError(
                f"preds have shape {tuple(preds.shape)}, target {tuple(target.shape)}; give one probability "
                f"for each pixel, (B, H, W) or (B, 1, H, W)"
            )
        rows = class_index(target, 2, self.ignore_index)
        for scores, labels in zip(maps, rows, strict=True):
            there = labels < 2
            score = where_float64_is(scores[there]).double()
            if score.numel():
                self._count(score, where_float64_is(labels[there]) == 1)

    def _count(self, score: Tensor, mask: Tensor) -> None:
        """Add an image: (n,) scores and whether each pixel is of the object."""
        low, high = score.aminmax()
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"preds are probabilities in [0, 1], got {float(low):g} to {float(high):g}; take the sigmoid "
                f"of logits, or divide maps of bytes by 255"
            )
        if self.scale and high > low:
            score = (score - low) / (high - low)
        level = (255 * score).long()
        # pixels at or above each threshold, of the object and of the rest
        true, false = (
            torch.bincount(level[side], minlength=_LEVELS).flip(0).cumsum(0).flip(0).double()
            for side in (mask, ~mask)
        )
        objects, n = mask.sum().double(), float(mask.numel())
        chosen = score >= (2 * score.mean()).clamp(max=1)
        found, wrong = ((chosen & side).sum().double() for side in (mask, ~mask))
        adaptive = _f_beta(found, wrong, objects)
        self.images += 1
        self.error += units((score - mask.double()).abs().mean()).to(self.error)
        self.adaptive += units(adaptive).to(self.adaptive)
        self.f_curve += units(_f_beta(true, false, objects)).to(self.f_curve)
        self.e_curve += units(_alignment(true, false, objects, n)).to(self.e_curve)

    def compute(self) -> dict[str, Tensor]:
        """The measures so far.

        Returns:
            float64 scalars, see the class; nan where no image was counted. All are in [0, 1]; MAE is better
            when it is small, the others when they are large.
        """
        images = where_float64_is(self.images).double()
        error, adaptive, f, e = (
            share_of_units(state) / images
            for state in (self.error, self.adaptive, self.f_curve, self.e_curve)
        )
        return {
            "MAE": error,
            "F_beta_mean": f.mean(),
            "F_beta_max": f.max(),
            "F_beta_adaptive": adaptive,
            "E_mean": e.mean(),
            "E_max": e.max(),
        }


def _f_beta(true: Tensor, false: Tensor, objects: Tensor) -> Tensor:
    """F-beta from pixels that are predicted and of the object, predicted and not, and of the object."""
    precision = true / (true + false).clamp(min=1)
    recall = true / objects.clamp(min=1)
    weighted = _BETA_SQUARED * precision + recall
    return (1 + _BETA_SQUARED) * precision * recall / weighted.where(weighted > 0, 1.0)


def _alignment(true: Tensor, false: Tensor, objects: Tensor, n: float) -> Tensor:
    """E at each threshold: there are four kinds of pixels, by prediction and mask, of one value each."""
    predicted = true + false
    if objects == 0:
        return 1 - predicted / n
    if objects == n:
        return predicted / n
    total = torch.zeros_like(predicted)
    for in_map, in_mask, pixels in (
        (1, 1, true),
        (1, 0, false),
        (0, 1, objects - true),
        (0, 0, n - objects - false),
    ):
        a, b = in_map - predicted / n, in_mask - objects / n  # b is never 0 here
        total = total + pixels * (1 + 2 * a * b / (a**2 + b**2)) ** 2 / 4
    return total / n
