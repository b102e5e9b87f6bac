"""Pure tensor functions: no state, no files.

From logits to an AUC loss: ``auc`` chooses the way and makes a loss of what ``engine`` sums over the pixels
of every class (on CUDA by ``cuda``) or, where there are no sums, ``hinge`` finds by sorting. ``surrogates``
says what a pair costs and in which form (``chebyshev`` for smooth ones), ``sums`` is the data in between,
and ``separable`` and ``small`` are short ways where weights are products and pixels are few; ``distributed``
joins processes and micro-batches; ``plain`` is for second derivatives. Offsets, scales, noise on logits and
the cross entropy of what comes out: ``logits``; one sigmoid for each class: ``binary``. Sums of
probabilities, for losses of overlap: ``overlap``. From scores to a metric: ``ranking`` and
``score_histogram``. ``checks`` is for all.
"""

from aucseg.functional.auc import pair_table, reduce_pairs, tail_versus_rest
from aucseg.functional.binary import sigmoid_focal
from aucseg.functional.chebyshev import ChebyshevExpansion, chebyshev_expansion
from aucseg.functional.engine import class_sums
from aucseg.functional.hinge import sorted_hinge
from aucseg.functional.logits import (
    adjusted_cross_entropy,
    draw_noise,
    log_prior,
    noise_mean,
    rarity,
)
from aucseg.functional.overlap import OverlapSums, lovasz_softmax, overlap_sums
from aucseg.functional.ranking import PairAUC, pairwise_auc
from aucseg.functional.separable import SeparableWeights, separable_risk, separable_weights
from aucseg.functional.sums import ChannelSums, ClassSums, Request, channels_of
from aucseg.functional.surrogates import BilinearForm, Feature, SortedForm, surrogate_form

__all__ = [
    "BilinearForm",
    "ChannelSums",
    "ChebyshevExpansion",
    "ClassSums",
    "Feature",
    "OverlapSums",
    "PairAUC",
    "Request",
    "SeparableWeights",
    "SortedForm",
    "adjusted_cross_entropy",
    "channels_of",
    "chebyshev_expansion",
    "class_sums",
    "draw_noise",
    "log_prior",
    "lovasz_softmax",
    "noise_mean",
    "overlap_sums",
    "pair_table",
    "pairwise_auc",
    "rarity",
    "reduce_pairs",
    "separable_risk",
    "separable_weights",
    "sigmoid_focal",
    "sorted_hinge",
    "surrogate_form",
    "tail_versus_rest",
]
