"""Which runs make which table of the papers.

========================  ==================================================================================
``experiment.py``         what an experiment, an arm and a run are, and the pieces that experiments share
``components.py``         AUCSeg's parts (Table 3) and the choices made on validation images
``losses.py``             surrogates, one-vs-all, the weight, the queue (Tables 15, 16 and 23)
``bank.py``               the memory bank (Tables 14, 18 to 22 and 24, Appendices E.1, G.8)
``evidence.py``           the parts on real images and from ImageNet weights, beside other losses; its rates
``region.py``             Region Rebalance (its Tables 1, 3, 5 and 6)
``longtail.py``           other losses for a long tail (Table 1), as published and tuned
``compared.py``           the methods of the three papers and their combinations, each as chosen
``blv.py``                BLV (its Tables 1 and 5 to 8), its readings, its variations at one mean
``semi_supervised.py``    BLV where few images have labels (Table 2, supplement's Table 5)
``domain_adaptation.py``  BLV from one domain to another (Tables 3 to 8)
``salient.py``            salient objects, measured as Table 13 of AUCSeg does
``networks.py``           thirteen networks, AUCSeg on four and on four sizes of one (Tables 1, 2 and 12)
========================  ==================================================================================
"""

from aucseg.errors import did_you_mean
from aucseg.experiments.catalogue import (
    bank,
    blv,
    compared,
    components,
    domain_adaptation,
    evidence,
    longtail,
    losses,
    networks,
    region,
    salient,
    semi_supervised,
)
from aucseg.experiments.catalogue.evidence import EVIDENCE_DATASETS, TUNING_DATASETS
from aucseg.experiments.catalogue.experiment import Arm, Domain, Experiment, Run
from aucseg.training import ConfigError

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        components.ABLATION_COMPONENTS,
        losses.SURROGATES,
        losses.MULTICLASS,
        losses.CE_WEIGHT,
        losses.QUEUE,
        bank.DEFAULTS,
        bank.MEMORY_KIND,
        bank.REPLACEMENT,
        bank.MEMORY_SIZE,
        bank.SAMPLE_RATIO,
        bank.RESIZE_RATIO,
        bank.FIXED_PIXELS,
        bank.SAMPLING,
        bank.BATCH_SIZE,
        bank.BATCH_SIZES,
        networks.NETWORKS,
        networks.BACKBONES,
        networks.SEGNEXT_SIZES,
        longtail.LONG_TAIL_LOSSES,
        longtail.LONG_TAIL_TUNING,
        longtail.LONG_TAIL_TUNED,
        compared.METHODS_COMPARED,
        blv.BLV_NETWORKS,
        blv.BLV_RIVALS,
        blv.BLV_VARIATIONS,
        blv.BLV_COMMON_MEAN,
        blv.BLV_SIGMA,
        blv.BLV_PARTS,
        blv.BLV_SCHEDULE,
        blv.BLV_READINGS,
        region.REGION_REBALANCE,
        region.REGION_WEIGHT,
        region.REGION_NETWORKS,
        region.REGION_DICE,
        *semi_supervised.SEMI_SUPERVISED,
        *semi_supervised.SEMI_SUPERVISED_COUNTS,
        semi_supervised.SEMI_SUPERVISED_RIVALS,
        domain_adaptation.DOMAIN_ADAPTATION,
        domain_adaptation.DOMAIN_ADAPTATION_STREETS,
        domain_adaptation.DOMAIN_ADAPTATION_16,
        domain_adaptation.DOMAIN_ADAPTATION_RIVALS,
        domain_adaptation.DOMAIN_ADAPTATION_VARIATIONS,
        domain_adaptation.DOMAIN_ADAPTATION_SIGMA,
        domain_adaptation.DOMAIN_ADAPTATION_PARTS,
        salient.SALIENT,
        components.SENSITIVITY,
        evidence.EVIDENCE,
        evidence.EVIDENCE_TUNING,
    )
}

__all__ = [
    "EVIDENCE_DATASETS",
    "EXPERIMENTS",
    "TUNING_DATASETS",
    "Arm",
    "Domain",
    "Experiment",
    "Run",
    "get_experiment",
]


def get_experiment(name: str) -> Experiment:
    """An experiment of the catalogue by name.

    Raises:
        ConfigError: for an unknown name, with the nearest or all known ones.
    """
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    raise ConfigError(f"unknown experiment {name!r}; {did_you_mean(name, EXPERIMENTS)}")
