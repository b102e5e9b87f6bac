"""Pure tensor functions: no state, no files.

From logits to an AUC loss, in the order of the work: ``surrogates`` says what a pair costs and in which
form (``chebyshev`` for smooth ones), ``features`` evaluates that form, ``chunks`` cuts the logits up,
``class_sums`` sums the features over classes (with ``products``; ``triton_*`` on CUDA), ``auc`` makes a
loss of the sums, ``sorted_hinge`` (with ``own_scores``, ``hinge_channels`` and ``hinge_blocks``) does
it by sorting where there are no sums, ``ranks`` joins processes and micro-batches, and ``risk`` chooses
the way. From scores to a metric: ``ranking``, ``partial_auc`` and ``score_histogram``. ``checks`` is
for all.
"""

from aucseg.functional.auc import (
    pair_table,
    reduce_pairs,
    separable_risk,
    separable_weights,
    tail_versus_rest,
)
from aucseg.functional.chebyshev import ChebyshevExpansion, chebyshev_expansion
from aucseg.functional.chunks import Request
from aucseg.functional.class_sums import ChannelSums, ClassSums, channel_sums, class_sums
from aucseg.functional.ranking import PairAUC, pairwise_auc
from aucseg.functional.sorted_hinge import sorted_hinge
from aucseg.functional.surrogates import BilinearForm, Feature, SortedForm, surrogate_form

__all__ = [
    "BilinearForm",
    "ChannelSums",
    "ChebyshevExpansion",
    "ClassSums",
    "Feature",
    "PairAUC",
    "Request",
    "SortedForm",
    "channel_sums",
    "chebyshev_expansion",
    "class_sums",
    "pair_table",
    "pairwise_auc",
    "reduce_pairs",
    "separable_risk",
    "separable_weights",
    "sorted_hinge",
    "surrogate_form",
    "tail_versus_rest",
]
