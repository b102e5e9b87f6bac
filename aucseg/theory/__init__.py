"""What the papers prove, as calculators on plain numbers and arrays."""

from aucseg.theory.contrastive import Theorem2, logistic_auc, theorem2, weighted_contrastive
from aucseg.theory.coverage import (
    CoverageTimes,
    SimulatedBatchSize,
    coverage_probability,
    exact_batch_size,
    simulate_coverage,
)
from aucseg.theory.covering import Contraction, DudleyBound, covering_number, dudley_bound, loss_contraction
from aucseg.theory.crops import crop_hit_probability, crop_presence, crop_probabilities
from aucseg.theory.decomposition import PairSplit, split_pairs
from aucseg.theory.gap import GapRow, measure_gaps
from aucseg.theory.gap_design import GapDesign
from aucseg.theory.gap_fit import GapFit, Slope, fit_gaps
from aucseg.theory.generalization import BoundTerms, generalization_bound
from aucseg.theory.graphs import FractionalColouring, fractional_chromatic_number
from aucseg.theory.imbalance import Imbalance, ImbalanceRange, imbalance, imbalance_range
from aucseg.theory.janson import JansonSum, janson_sum
from aucseg.theory.overlap import (
    Overlap,
    Remark1,
    false_ratio,
    iou_from_accuracy,
    iou_slope,
    overlap,
    remark1,
)
from aucseg.theory.pair_cover import (
    GreedyGroups,
    greedy_groups,
    ordered_pairs,
    pair_chromatic_number,
    pair_dependency_graph,
    round_robin_cover,
    stuck_groups,
)
from aucseg.theory.rademacher import (
    Estimate,
    linear_log_covering,
    linear_rademacher,
    linear_rademacher_bound,
)
from aucseg.theory.ratio_test import RatioTest, constant_ratio_test
from aucseg.theory.sampling import all_present_probability, minimum_batch_size, necessary_batch_size
from aucseg.theory.sizes import BatchSizes, batch_sizes, batch_sizes_of_set
from aucseg.theory.threshold import BoundThreshold, first_useful_size
from aucseg.theory.trust_region import BallMinimum, minimise_in_ball

__all__ = [
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
    "linear_log_covering",
    "linear_rademacher",
    "linear_rademacher_bound",
    "logistic_auc",
    "loss_contraction",
    "measure_gaps",
    "minimise_in_ball",
    "minimum_batch_size",
    "necessary_batch_size",
    "ordered_pairs",
    "overlap",
    "pair_chromatic_number",
    "pair_dependency_graph",
    "remark1",
    "round_robin_cover",
    "simulate_coverage",
    "split_pairs",
    "stuck_groups",
    "theorem2",
    "weighted_contrastive",
]
