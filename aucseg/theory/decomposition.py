r"""AUCSeg Lemma 4: pairs of pixels inside an image plus pairs of two images are all pairs.

For the classes + and -, with the square surrogate,

.. math::

    \frac{1}{|N_+||N_-|} \sum_{m \in N_+} \sum_{n \in N_-} \ell_{mn}
    = \mathbb{E}_{X} \bigl[\tilde\ell_\text{inner}\bigr]
    + \mathbb{E}_{X_1 \ne X_2} \bigl[\tilde\ell_\text{inter}\bigr]

where the expectations run over the images of D, so that

.. math::

    \tilde\ell_\text{inner} = \frac{|D|}{|N_+||N_-|} \sum_{X^+ \times X^-} \ell, \qquad
    \tilde\ell_\text{inter} = \frac{|D|(|D|-1)}{|N_+||N_-|} \sum_{X_1^+ \times X_2^-} \ell.

The paper prints |D| and |D|(|D|-1) in the denominators as well, where they cancel: its right side is then
smaller by these factors. Its Eq. 17 uses the form above.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats


@dataclass(frozen=True, eq=False)
class PairSplit:
    """The square AUC risk of a pair of classes, taken apart; losses without unit.

    Attributes:
        whole: mean over all pairs of pixels, from sums over the whole set.
        inner: expectation of the inner loss: pairs inside an image.
        inter: expectation of the inter loss: pairs of two images.
        printed: the right side of Eq. 14 as printed, with the factors that cancel.
        inner_losses: the inner loss of each image, (N,), of which ``inner`` is the mean.
        inter_losses: the inter loss of each ordered pair of images, (N, N), nan on the diagonal.
        rho_inner: largest weight of an image, N n(X+) n(X-) over all pairs of pixels; see Lemma 5.
        rho_inter: largest weight of two images, N (N-1) n(X1+) n(X2-) over the same.
    """

    whole: float
    inner: float
    inter: float
    printed: float
    inner_losses: Floats
    inter_losses: Floats
    rho_inner: float
    rho_inter: float


def split_pairs(scores: ArrayLike, labels: ArrayLike, positive: int, negative: int) -> PairSplit:
    """Split the square AUC risk of two classes into pairs inside images and pairs of images.

    Time and memory grow with the pixels and the square of the images, not with the pairs of pixels.

    Args:
        scores: f of the class ``positive``, (N, P): images by pixels.
        labels: classes, (N, P); other classes than the two do not matter.
        positive: the class +.
        negative: the class -.

    Returns:
        The parts.

    Raises:
        ValueError: for shapes that do not fit, scores that are not finite, or fewer than two images.
        OptionError: for equal classes, or a class without a pixel.

    Example:
        >>> parts = split_pairs([[1.0, 0.0], [0.5, 0.5]], [[1, 0], [1, 0]], 1, 0)
        >>> parts.inner + parts.inter == parts.whole
        True
    """
    values, classes = np.asarray(scores, np.float64), np.asarray(labels)
    if values.ndim != 2 or values.shape != classes.shape or len(values) < 2:
        raise ValueError(
            f"scores and labels must be (images, pixels), at least 2 images; got {values.shape} and "
            f"{classes.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite")
    if positive == negative:
        raise OptionError(f"an AUC compares two classes, got {positive} twice")
    first, second = classes == positive, classes == negative
    for name, mask in ((positive, first), (negative, second)):
        if not mask.any():
            raise OptionError(f"class {name} has no pixel: there is no pair to compare")
    # (1 - (f_m - f_n))^2 = (u_m + f_n)^2 with u = 1 - f: a sum over pairs is made of power sums
    ups = [np.where(first, (1 - values) ** power, 0).sum(1) for power in range(3)]
    downs = [np.where(second, values**power, 0).sum(1) for power in range(3)]
    size = len(values)
    pairs = ups[0].sum() * downs[0].sum()
    sums = np.outer(ups[2], downs[0]) + 2 * np.outer(ups[1], downs[1]) + np.outer(ups[0], downs[2])
    weights = np.outer(ups[0], downs[0]) / pairs
    up, down = ([float(part.sum()) for part in parts] for parts in (ups, downs))
    inner_losses = size * np.diag(sums) / pairs
    inter_losses = size * (size - 1) * sums / pairs
    np.fill_diagonal(inter_losses, np.nan)
    inner, inter = float(inner_losses.mean()), float(np.nanmean(inter_losses))
    off = weights[~np.eye(size, dtype=bool)]
    return PairSplit(
        whole=(up[2] * down[0] + 2 * up[1] * down[1] + up[0] * down[2]) / float(pairs),
        inner=inner,
        inter=inter,
        printed=inner / size + inter / (size * (size - 1)),
        inner_losses=inner_losses,
        inter_losses=inter_losses,
        rho_inner=float(size * np.diag(weights).max()),
        rho_inter=float(size * (size - 1) * off.max()),
    )
