"""Pure tensor functions: no state, no files."""

from aucseg.functional.auc import pair_table, reduce_pairs, tail_versus_rest
from aucseg.functional.chunks import Request
from aucseg.functional.class_sums import ChannelSums, ClassSums, channel_sums, class_sums
from aucseg.functional.surrogates import BilinearForm, SortedForm, surrogate_form

__all__ = [
    "BilinearForm",
    "ChannelSums",
    "ClassSums",
    "Request",
    "SortedForm",
    "channel_sums",
    "class_sums",
    "pair_table",
    "reduce_pairs",
    "surrogate_form",
    "tail_versus_rest",
]
