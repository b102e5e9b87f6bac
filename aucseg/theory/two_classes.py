r"""Two classes whose every quantity is known: what an offset on a logit does to accuracy and IoU.

A frequent class of features :math:`N(0, 1)` and a rare one, of the share :math:`\pi` of all pixels, of
features :math:`N(d, 1)`. The best logit of the rare class against the frequent one is

.. math:: z(x) = d\,x - d^2 / 2 + \log \frac{\pi}{1 - \pi}

and every method that changes logits in training by a constant for each class ends at another offset on it: a
network that is trained on :math:`z + \delta` learns :math:`z - \delta`, and :math:`\delta` is gone when it
predicts. Accuracy and IoU of the rare class follow from the normal distribution (Region Rebalance, Eq. 1 and
2), and show what its Section 3.1 claims: what is best for the one is not best for the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, ndtr

from aucseg.errors import OptionError
from aucseg.theory.checks import check_positive


@dataclass(frozen=True)
class TwoClasses:
    """A rare class of normal features beside a frequent one.

    Args:
        share: pi, the rare class's share of the pixels, in (0, 1).
        distance: d, between the means in standard deviations, positive.

    Raises:
        ValueError: if a number is out of its range.
    """

    share: float
    distance: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise OptionError(f"share is in (0, 1), got {self.share!r}")
        check_positive("distance", self.distance)

    @property
    def log_odds(self) -> float:
        """log(pi / (1 - pi)), negative for a rare class."""
        return float(np.log(self.share) - np.log1p(-self.share))

    def logit(self, x: ArrayLike) -> Any:
        """The best logit z(x) of the rare class against the frequent one.

        Args:
            x: the feature.
        """
        d = self.distance
        return d * np.asarray(x, float) - d**2 / 2 + self.log_odds

    def boundary(self, offset: ArrayLike) -> Any:
        """The feature from which on a pixel is called rare, where an offset is added to the rare logit.

        Args:
            offset: on the difference of the logits; 0 is the most probable class.
        """
        d = self.distance
        return d / 2 - (self.log_odds + np.asarray(offset, float)) / d

    def accuracy(self, offset: ArrayLike) -> Any:
        """Share of the rare pixels that are called rare (Eq. 2), in [0, 1].

        Args:
            offset: as for :meth:`boundary`.
        """
        return ndtr(self.distance - self.boundary(offset))

    def false_positives(self, offset: ArrayLike) -> Any:
        """Frequent pixels that are called rare, as a share of all pixels.

        Args:
            offset: as for :meth:`boundary`.
        """
        return (1 - self.share) * ndtr(-self.boundary(offset))

    def iou(self, offset: ArrayLike) -> Any:
        """IoU of the rare class (Eq. 1), in [0, 1].

        Args:
            offset: as for :meth:`boundary`.
        """
        return self.share * self.accuracy(offset) / (self.share + self.false_positives(offset))

    def head_iou(self, offset: ArrayLike) -> Any:
        """IoU of the frequent class, in [0, 1].

        Args:
            offset: as for :meth:`boundary`.
        """
        false = self.false_positives(offset)
        missed = self.share * (1 - np.asarray(self.accuracy(offset)))
        return (1 - self.share - false) / (1 - self.share + missed)

    def balanced_accuracy(self, offset: ArrayLike) -> Any:
        """Mean accuracy of the two classes, largest at an offset of minus the log odds.

        Args:
            offset: as for :meth:`boundary`.
        """
        return (self.accuracy(offset) + ndtr(self.boundary(offset))) / 2

    def best_offset(self) -> float:
        """The offset of the largest IoU of the rare class."""
        bound = abs(self.log_odds) + self.distance**2 + 5
        found = minimize_scalar(lambda x: -self.iou(x), bounds=(-bound, bound), method="bounded")
        return float(found.x)


def learned_logit(logit: ArrayLike, noise: ArrayLike) -> Any:
    r"""The logit that a network learns where noise is added to it in training and is gone afterwards.

    Of all numbers z the expected cross entropy of :math:`z + n` against a label that is 1 with the
    probability :math:`\sigma(z^*)` is least where

    .. math:: \mathrm{E}_n \, \sigma(z + n) = \sigma(z^*)

    A constant n is undone exactly, :math:`z = z^* - n`. What varies in n flattens the left side, and the
    network makes up for that too: its logits lie further out.

    Args:
        logit: :math:`z^*`, the best logit without noise.
        noise: equally likely values of n, any shape: a sample, or quantiles.

    Returns:
        z, in the shape of ``logit``.

    Raises:
        ValueError: if there is no noise value, or one is not finite.
    """
    values = np.asarray(noise, float).ravel()
    if not values.size or not np.isfinite(values).all():
        raise OptionError(f"noise needs values, all of them finite, got {noise!r}")
    least, most = values.min(), values.max()

    def solve(best: float) -> float:
        if least == most:
            return best - float(least)
        return float(brentq(lambda z: expit(z + values).mean() - expit(best), best - most, best - least))

    return np.vectorize(solve, otypes=[float])(np.asarray(logit, float))
