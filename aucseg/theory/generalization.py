r"""AUCSeg Theorem 1: how far the pixel AUC risk on N images may be from the risk on new ones.

The statement, with its terms named (K classes, k pixels in an image, confidence 1 - delta, and constants A, B
and C of the covering-number assumption :math:`\log N(F, \epsilon, S) \le \frac{A}{\epsilon^2}
\log(\frac{B |S| k}{\epsilon} + C)`):

.. math::

    \underbrace{\tfrac{8}{N}}_\text{discretisation}
    + \underbrace{\tfrac{\eta_\text{inner} + \eta_\text{inter}}{\sqrt N} \sqrt{A \log(2 B \mu \tau N k + C)}
        }_\text{inner, inter}
    + \underbrace{3 \Bigl(\tfrac{1}{\sqrt{2N}} + K \sqrt{1 - \tfrac1N}\Bigr)
        \sqrt{\log \tfrac{4K(K-1)}{\delta}}}_\text{confidence},
    \qquad \eta_\text{inner} = \frac{48 \mu \tau \ln N}{N}, \quad \eta_\text{inter} = 2\sqrt2\, \tau.

That is ``variant="printed"``. Its last part does not vanish: it tends to
:math:`3 K \sqrt{\log(4K(K-1)/\delta)}`, 196 for Cityscapes, so the printed bound is never below 1.

``variant="corrected"`` is what the proof gives when each lemma is applied as it stands, for a surrogate with
values in [0, L] (L = 4 for the square loss of scores in [0, 1]):

.. math::

    \frac{8 (M_1 + M_2)}{N}
    + \frac{\eta_\text{inner} + \eta_\text{inter}}{\sqrt N}
        \sqrt{A \log\bigl(\tfrac{2 B \mu}{L} N^2 k + C\bigr)}
    + 3 \Bigl(M_1 \tfrac{1}{\sqrt{2N}} + M_2 \tfrac{1}{\sqrt N}\Bigr) \sqrt{\log \tfrac{4K(K-1)}{\delta}}

with :math:`M_1 = L \tau / N` and :math:`M_2 = L \tau`, the ranges of the two weighted losses,
:math:`\eta_\text{inner}` as above and :math:`\eta_\text{inter} = 48 \sqrt2\, \mu \tau \ln N`. Why:

1. *The lost root.* Lemma 7 counts dependent terms. They are the N(N-1) ordered pairs of images, and Lemma 8
   gives their graph the fractional chromatic number 2(N-1). So
   :math:`\sqrt{\chi_f / (2 N(N-1))} = \sqrt{1/N}`. Eq. 38 divides by the number of images instead, and N
   disappears.
2. *The range.* Lemma 7's M is the range of the loss, here weight times surrogate, not the number of classes.
3. *The complexity of pairs.* Eq. 33 defines its constant with :math:`\mu^2 \ln^2 N`; both are gone in Eq. 36.
   With m = N/2 pairs in each set of the cover, Lemma 6 gives :math:`48 \mu \tau \ln N / \sqrt m`.
4. *Lemmas 3 and 6 ask for values in [0, 1].* The losses are divided by their ranges first, and the result
   multiplied by them.

For odd N a set of the cover holds (N-1)/2 pairs, and 2 floor(N/2) stands for N below the roots of the pairs.

Assumed throughout: images i.i.d.; scores in [0, 1]; the surrogate mu-Lipschitz in the score difference; and,
tacitly in the paper, that the weights n+ n- / (n+_mean n-_mean) are fixed, though the means come from the
sample itself. A, B and C "exist": a class of networks small enough for them is not shown, so numbers from
this module show how the bound depends on its arguments, and no network's error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats, check_delta, check_positive, check_whole

VARIANTS = ("printed", "corrected")


@dataclass(frozen=True, eq=False)
class BoundTerms:
    """The terms of Theorem 1; each an array of the shape that the arguments broadcast to, in units of loss.

    Attributes:
        variant: ``"printed"`` or ``"corrected"``.
        eta_inner: coefficient of the pairs inside an image.
        eta_inter: coefficient of the pairs of two images.
        root_log: the square root of A times the logarithm.
        discretisation: what the finest cover leaves; 8/N as printed.
        inner: complexity of the pairs inside an image.
        inter: complexity of the pairs of two images.
        confidence_inner: price of the confidence for the pairs inside an image.
        confidence_inter: price of the confidence for the pairs of two images.
    """

    variant: str
    eta_inner: Floats
    eta_inter: Floats
    root_log: Floats
    discretisation: Floats
    inner: Floats
    inter: Floats
    confidence_inner: Floats
    confidence_inter: Floats

    @property
    def total(self) -> Floats:
        """The bound: the sum of the terms."""
        return np.asarray(
            self.discretisation + self.inner + self.inter + self.confidence_inner + self.confidence_inter
        )


def generalization_bound(
    num_images: ArrayLike,
    tau: ArrayLike,
    num_classes: ArrayLike,
    delta: ArrayLike,
    *,
    pixels: ArrayLike = 512 * 512,
    lipschitz: ArrayLike = 4.0,
    loss_range: ArrayLike = 4.0,
    cover_a: ArrayLike = 1.0,
    cover_b: ArrayLike = 1.0,
    cover_c: ArrayLike = 1.0,
    variant: str = "corrected",
) -> BoundTerms:
    """The bound of Theorem 1, term by term; see the module for both variants.

    All numbers may be arrays that broadcast, for curves in N, tau, k, K and delta.

    Args:
        num_images: N, at least 2.
        tau: degree of imbalance, at least 1; see :func:`imbalance`.
        num_classes: K, at least 2.
        delta: the bound fails with at most this probability, in (0, 1).
        pixels: k, pixels in an image; the default is the crop of 512 x 512 of the paper's F.2.
        lipschitz: mu of the surrogate; 4 for the square loss on score differences in [-1, 1].
        loss_range: L, largest value of the surrogate; 4 for the square loss. Not used by ``"printed"``.
        cover_a: A of the covering-number assumption; not given in the paper, 1 by default.
        cover_b: B of it, likewise.
        cover_c: C of it, likewise.
        variant: ``"printed"`` or ``"corrected"``.

    Returns:
        The terms.

    Raises:
        ValueError: for a value outside its range, or constants that make the logarithm negative.

    Example:
        >>> float(generalization_bound(2975, 439, 19, 0.01, variant="printed").confidence_inter.round(1))
        196.0
    """
    n = check_whole("num_images", num_images, 2, "pairs of two images need two")
    t = check_positive("tau", tau)
    if np.any(t < 1):
        raise OptionError(f"tau is at least 1, a largest over a mean, squared; got {t.min():g}")
    classes = check_whole("num_classes", num_classes, 2, "an AUC compares two classes")
    root_confidence = np.sqrt(np.log(4 * classes * (classes - 1) / check_delta(delta)))
    k = check_whole("pixels", pixels, 1, "an image has pixels")
    mu, top = check_positive("lipschitz", lipschitz), check_positive("loss_range", loss_range)
    a, b, c = (
        check_positive(name, value)
        for name, value in (("cover_a", cover_a), ("cover_b", cover_b), ("cover_c", cover_c))
    )
    eta_inner = 48 * mu * t * np.log(n) / n
    if variant == "printed":
        eta_inter = 2 * math.sqrt(2) * t
        log_inside = np.logaddexp(np.log(2 * b * mu * t) + np.log(n) + np.log(k), np.log(c))
        inner_scale, inter_scale = 1 / np.sqrt(n), 1 / np.sqrt(n)
        discretisation = 8 / n
        confidence_inner, confidence_inter = 1 / np.sqrt(2 * n), classes * np.sqrt(1 - 1 / n)
    elif variant == "corrected":
        paired = 2 * np.floor(n / 2)  # images in a set of the cover, each in one pair
        eta_inter = 48 * math.sqrt(2) * mu * t * np.log(n)
        log_inside = np.logaddexp(np.log(2 * b * mu / top) + 2 * np.log(n) + np.log(k), np.log(c))
        inner_scale, inter_scale = 1 / np.sqrt(n), 1 / np.sqrt(paired)
        inner_range, inter_range = top * t / n, top * t
        discretisation = 8 * (inner_range + inter_range) / n
        confidence_inner, confidence_inter = inner_range / np.sqrt(2 * n), inter_range / np.sqrt(paired)
    else:
        raise ValueError(f"unknown variant {variant!r}; use one of {', '.join(map(repr, VARIANTS))}")
    if np.any(log_inside < 0):
        raise OptionError(
            f"the constants make the logarithm of {np.exp(log_inside.min()):g} negative, and a covering "
            "number less than one; give a larger cover_b or cover_c"
        )
    root_log = np.sqrt(a * log_inside)
    terms = np.broadcast_arrays(
        eta_inner,
        eta_inter,
        root_log,
        discretisation,
        eta_inner * inner_scale * root_log,
        eta_inter * inter_scale * root_log,
        3 * confidence_inner * root_confidence,
        3 * confidence_inter * root_confidence,
    )
    return BoundTerms(variant, *(np.array(term) for term in terms))
