"""What the papers prove, as calculators on plain numbers and arrays; one theorem or subject a module.

AUCSeg: `contrastive` (Theorem 2), `generalization` (Theorem 1 and from how many images it says something),
`imbalance` (its tau), `gap` (the gap that it bounds, measured), `decomposition` (Lemma 4), `covering_numbers`
(Definition 3, Lemmas 5 and 6), `rademacher` (Lemma 2), `graphs` (Definition 1, Eq. 13, Lemma 8), `batch_size`
(Proposition 1), `coverage` (the same with real co-occurrence), `crops` (the same for crops).
Region Rebalance: `accuracy_iou` (Eq. 1 to 3, Remark 1), `two_classes` (Section 3.1 where all is known).
Helpers: `checks`, `trust_region`.
"""

from aucseg.theory.accuracy_iou import (
    Overlap,
    RatioTest,
    Remark1,
    constant_ratio_test,
    false_ratio,
    iou_from_accuracy,
    iou_slope,
    overlap,
    remark1,
)
from aucseg.theory.batch_size import (
    BatchSizes,
    all_present_probability,
    batch_sizes,
    batch_sizes_of_set,
    minimum_batch_size,
    miss_probability,
    necessary_batch_size,
    proposition1,
)
from aucseg.theory.contrastive import Theorem2, theorem2
from aucseg.theory.coverage import (
    MAX_CLASSES,
    CoverageTimes,
    SimulatedBatchSize,
    coverage_probability,
    exact_batch_size,
    missing_distribution,
    simulate_coverage,
)
from aucseg.theory.covering_numbers import (
    Contraction,
    DudleyBound,
    covering_number,
    dudley_bound,
    loss_contraction,
)
from aucseg.theory.crops import crop_hit_probability, crop_presence, crop_probabilities
from aucseg.theory.decomposition import PairSplit, split_pairs
from aucseg.theory.gap import GapDesign, GapFit, GapRow, Slope, fit_gaps, measure_gaps
from aucseg.theory.generalization import BoundTerms, BoundThreshold, first_useful_size, generalization_bound
from aucseg.theory.graphs import (
    FractionalColouring,
    GreedyGroups,
    JansonSum,
    fractional_chromatic_number,
    greedy_groups,
    janson_sum,
    ordered_pairs,
    pair_chromatic_number,
    pair_dependency_graph,
    round_robin_cover,
    stuck_groups,
)
from aucseg.theory.imbalance import Imbalance, ImbalanceRange, imbalance, imbalance_range
from aucseg.theory.rademacher import Estimate, linear_log_covering, linear_rademacher, linear_rademacher_bound
from aucseg.theory.trust_region import BallMinimum, minimise_in_ball
from aucseg.theory.two_classes import TwoClasses, learned_logit

__all__ = [
    "MAX_CLASSES",
    "BallMinimum",
    "BatchSizes",
    "BoundTerms",
    "BoundThreshold",
    "Contraction",
    "CoverageTimes",
    "DudleyBound",
    "Estimate",
    "FractionalColouring",
    "GapDesign",
    "GapFit",
    "GapRow",
    "GreedyGroups",
    "Imbalance",
    "ImbalanceRange",
    "JansonSum",
    "Overlap",
    "PairSplit",
    "RatioTest",
    "Remark1",
    "SimulatedBatchSize",
    "Slope",
    "Theorem2",
    "TwoClasses",
    "all_present_probability",
    "batch_sizes",
    "batch_sizes_of_set",
    "constant_ratio_test",
    "coverage_probability",
    "covering_number",
    "crop_hit_probability",
    "crop_presence",
    "crop_probabilities",
    "dudley_bound",
    "exact_batch_size",
    "false_ratio",
    "first_useful_size",
    "fit_gaps",
    "fractional_chromatic_number",
    "generalization_bound",
    "greedy_groups",
    "imbalance",
    "imbalance_range",
    "iou_from_accuracy",
    "iou_slope",
    "janson_sum",
    "learned_logit",
    "linear_log_covering",
    "linear_rademacher",
    "linear_rademacher_bound",
    "loss_contraction",
    "measure_gaps",
    "minimise_in_ball",
    "minimum_batch_size",
    "miss_probability",
    "missing_distribution",
    "necessary_batch_size",
    "ordered_pairs",
    "overlap",
    "pair_chromatic_number",
    "pair_dependency_graph",
    "proposition1",
    "remark1",
    "round_robin_cover",
    "simulate_coverage",
    "split_pairs",
    "stuck_groups",
    "theorem2",
]
