"""Which runs make which table, the store of their records, and the comparison with the published numbers."""

from aucseg.errors import extra

with extra("train"):
    from aucseg.experiments.benchmarks import BenchmarkError, benchmark_table, measured_on
    from aucseg.experiments.catalogue import (
        EVIDENCE_DATASETS,
        EXPERIMENTS,
        TUNING_DATASETS,
        Arm,
        Experiment,
        Run,
        get_experiment,
    )
    from aucseg.experiments.class_change import (
        class_change,
        class_results,
        frequency_correlation,
        frequency_results,
        mean_class_change,
        published_change,
    )
    from aucseg.experiments.comparison import comparison, list_methods, together
    from aucseg.experiments.decisions import (
        Decision,
        decide,
        decision_path,
        decision_table,
        read_decision,
    )
    from aucseg.experiments.findings import FINDINGS, Finding, Remark2, remark_2
    from aucseg.experiments.folders import FolderProfile, folder_profile
    from aucseg.experiments.full_scale import (
        FREQUENCIES,
        FULL_SCALE,
        best_less_last,
        class_frequency,
        group_gaps,
        published_class_iou,
        published_runs,
        rarity_correlations,
        rarity_interval,
    )
    from aucseg.experiments.power import paired_differences, pooled_spread, power, seeds_needed
    from aucseg.experiments.profiles import (
        CHOSEN,
        PROFILES,
        STARTS,
        base_config,
        default_seeds,
        explain_config,
        make_config,
        network_changes,
    )
    from aucseg.experiments.published import (
        PublishedError,
        published_curve,
        published_datasets,
        published_effects,
        published_table,
        stated,
    )
    from aucseg.experiments.results import (
        Results,
        across,
        differences_in_words,
        effects,
        in_words,
        interval,
        paired_difference,
        side_by_side,
        summarise,
    )
    from aucseg.experiments.store import RecordStore, RunsFailed
    from aucseg.experiments.tuning import Setting, best_setting

__all__ = [
    "CHOSEN",
    "EVIDENCE_DATASETS",
    "EXPERIMENTS",
    "FINDINGS",
    "FREQUENCIES",
    "FULL_SCALE",
    "PROFILES",
    "STARTS",
    "TUNING_DATASETS",
    "Arm",
    "BenchmarkError",
    "Decision",
    "Experiment",
    "Finding",
    "FolderProfile",
    "PublishedError",
    "RecordStore",
    "Remark2",
    "Results",
    "Run",
    "RunsFailed",
    "Setting",
    "across",
    "base_config",
    "benchmark_table",
    "best_less_last",
    "best_setting",
    "class_change",
    "class_frequency",
    "class_results",
    "comparison",
    "decide",
    "decision_path",
    "decision_table",
    "default_seeds",
    "differences_in_words",
    "effects",
    "explain_config",
    "folder_profile",
    "frequency_correlation",
    "frequency_results",
    "get_experiment",
    "group_gaps",
    "in_words",
    "interval",
    "list_methods",
    "make_config",
    "mean_class_change",
    "measured_on",
    "network_changes",
    "paired_difference",
    "paired_differences",
    "pooled_spread",
    "power",
    "published_change",
    "published_class_iou",
    "published_curve",
    "published_datasets",
    "published_effects",
    "published_runs",
    "published_table",
    "rarity_correlations",
    "rarity_interval",
    "read_decision",
    "remark_2",
    "seeds_needed",
    "side_by_side",
    "stated",
    "summarise",
    "together",
]
