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
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats, check_delta, check_option, check_positive, check_whole

VARIANTS = ("printed", "corrected")
_LAST_EXHAUSTIVE = 2**16
_LAST_ODD = 2**53
_MOST = sys.float_info.max / 4  # whose small multiples are still finite


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


@dataclass(frozen=True)
class BoundThreshold:
    """From how many images on a bound says something.

    Attributes:
        num_images: images; the smallest N whose bound is below the target, an int of any size; None if there
            is none.
        target: what the bound is compared with.
        limit: what the bound tends to as N grows.
        value: the bound at ``num_images``; None without one.
    """

    num_images: int | None
    target: float
    limit: float
    value: float | None


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
        ValueError: for an unknown variant.
        OptionError: for a value outside its range, or constants that make the logarithm negative.

    Example:
        >>> float(generalization_bound(2975, 439, 19, 0.01, variant="printed").confidence_inter.round(1))
        196.0
    """
    check_option("variant", variant, VARIANTS)
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
    else:
        paired = 2 * np.floor(n / 2)  # images in a set of the cover, each in one pair
        eta_inter = 48 * math.sqrt(2) * mu * t * np.log(n)
        log_inside = np.logaddexp(np.log(2 * b * mu / top) + 2 * np.log(n) + np.log(k), np.log(c))
        inner_scale, inter_scale = 1 / np.sqrt(n), 1 / np.sqrt(paired)
        inner_range, inter_range = top * t / n, top * t
        discretisation = 8 * (inner_range + inter_range) / n
        confidence_inner, confidence_inter = inner_range / np.sqrt(2 * n), inter_range / np.sqrt(paired)
    if np.any(log_inside < 0):
        raise OptionError(
            f"the constants make the logarithm of {np.exp(log_inside.min()):g} negative, and a covering "
            "number less than one",
            remedy="give a larger cover_b or cover_c",
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


def first_useful_size(
    tau: float,
    num_classes: int,
    delta: float,
    *,
    target: float = 1.0,
    pixels: int = 512 * 512,
    lipschitz: float = 4.0,
    loss_range: float = 4.0,
    cover_a: float = 1.0,
    cover_b: float = 1.0,
    cover_c: float = 1.0,
    variant: str = "corrected",
) -> BoundThreshold:
    r"""The smallest number of images at which the bound is below a target, if any.

    The AUC risk itself is at most 4 with the square loss, and an AUC at most 1: a bound above says nothing.
    For ``"printed"`` there is no such number below a target of
    :math:`\frac{3K}{\sqrt2} \sqrt{\log(4K(K-1)/\delta)}`, which its confidence term alone exceeds for all N.

    Args:
        tau: see :func:`generalization_bound`, as for all that follow.
        num_classes: K.
        delta: probability that the bound fails.
        target: what the bound shall be below, above 0.
        pixels: k.
        lipschitz: mu.
        loss_range: L.
        cover_a: A.
        cover_b: B.
        cover_c: C.
        variant: ``"printed"`` or ``"corrected"``.

    Returns:
        The number of images, if any, and the limit of the bound. Above 65,536 images the search takes the
        bound to fall with N among even N: the corrected one does for B mu k / L >= 0.001, which is checked.
        Above 2^53 images it is the smallest double, so exact to 16 digits.

    Raises:
        ValueError: for an unknown variant.
        OptionError: for a value outside its range, or a target that takes more images than a double holds.

    Example:
        >>> first_useful_size(439, 19, 0.01, variant="printed").num_images is None
        True
    """
    check_positive("target", target)

    def bound(n: ArrayLike) -> Floats:
        return generalization_bound(
            n,
            tau,
            num_classes,
            delta,
            pixels=pixels,
            lipschitz=lipschitz,
            loss_range=loss_range,
            cover_a=cover_a,
            cover_b=cover_b,
            cover_c=cover_c,
            variant=variant,
        ).total

    limit = 0.0
    if variant == "printed":
        limit = 3 * num_classes * math.sqrt(math.log(4 * num_classes * (num_classes - 1) / delta))
    below = np.flatnonzero(bound(np.arange(2, _LAST_EXHAUSTIVE + 1)) < target)
    if len(below):
        found = int(below[0]) + 2
        return BoundThreshold(found, target, limit, float(bound(found)))
    if limit >= target:
        return BoundThreshold(None, target, limit, None)
    scale = cover_b * lipschitz * pixels / loss_range
    if scale < 1e-3:
        raise OptionError(
            f"cover_b * lipschitz * pixels / loss_range = {scale:g} is below 0.001: the bound need not fall "
            "with the number of images, and the search cannot tell"
        )
    # whole numbers of Python, which do not wrap round: the answer is often above 2^63
    low, high = _LAST_EXHAUSTIVE // 2, _LAST_EXHAUSTIVE  # halves of N: even numbers only
    while bound(2.0 * high) >= target:
        low, high = high, 2 * high
        if 2 * high > _MOST:
            raise OptionError(
                f"target is {target:g}; no number of images up to {_MOST:.1e}, about the largest that "
                "floating point holds, gets the bound below it"
            )
    while high - low > 1:
        middle = (low + high) // 2
        if float(middle) in (float(low), float(high)):
            break  # doubles next to each other
        low, high = (low, middle) if bound(2.0 * middle) < target else (middle, high)
    found = int(2.0 * high)  # what the bound was taken of
    if found <= _LAST_ODD and bound(float(found - 1)) < target:
        found -= 1
    return BoundThreshold(found, target, limit, float(bound(float(found))))
